"""What Amplitude knows about a small project, in the shapes of its documentation."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from tests.fakes.amplitude_project import (
    ANNOTATIONS,
    COHORTS,
    EVENT_PROPERTIES,
    EVENTS_LIST,
    TAXONOMY,
    TAXONOMY_EVENTS,
    AmplitudeProject,
)

FIRST = date(2024, 1, 1)


def days(count: int) -> list[date]:
    """Days from the first one on."""
    return [FIRST + timedelta(days=number) for number in range(count)]


def a_property(**names: Any) -> dict[str, Any]:
    """A property as the Taxonomy API's documentation shows it."""
    return {
        **names,
        "description": "Why",
        "type": "boolean",
        "regex": None,
        "enum_values": None,
        "is_array_type": False,
        "is_hidden": False,
        "classifications": ["PII"],
    }


#: Entries in the shapes of Amplitude's documentation.
LISTS: dict[str, list[dict[str, Any]]] = {
    COHORTS: [
        {
            "appId": 123456,
            "archived": False,
            "definition": {"version": 3, "andClauses": [{"negated": False}]},
            "description": "test description",
            "finished": True,
            "id": "id_12345",
            "name": "Test Cohort 1",
            "owners": ["demo@example.com"],
            "viewers": [],
            "published": True,
            "size": 111,
            "type": "redshift",
            "lastMod": 1679437294,
            "createdAt": 1679437288,
            "lastComputed": 1679440233,
            "hidden": False,
            "metadata": None,
            "view_count": None,
            "popularity": None,
            "last_viewed": None,
            "chart_id": None,
            "edit_id": None,
            "is_predictive": False,
            "is_official_content": False,
            "location_id": None,
            "shortcut_ids": [],
            "syncMetadata": [{"target": "braze", "frequency": "hourly", "last_failure": None}],
        }
    ],
    ANNOTATIONS: [
        {
            "id": 12345,
            "start": "2025-11-01T07:00:00+00:00",
            "details": "the release of feature X",
            "category": {"id": 45678, "name": "Releases"},
            "end": "2025-11-10T07:00:00+01:00",
            "label": "Feature X Release",
            "chart_id": None,
        }
    ],
    EVENTS_LIST: [
        {
            "id": 5,  # not documented, but in Airbyte's schema of this list
            "non_active": False,
            "value": "Add Friends",
            "totals": 193167,
            "deleted": False,
            "flow_hidden": False,
            "hidden": False,
            "display": "Add Friends",
        }
    ],
    TAXONOMY_EVENTS: [
        {
            "event_type": "Onboard Start",
            "category": {"name": "Onboarding"},
            "description": None,
            "display_name": None,
            "is_active": False,
            "is_hidden_from_dropdowns": False,
            "is_hidden_from_persona_results": False,
            "is_hidden_from_pathfinder": False,
            "is_hidden_from_timeline": False,
            "tags": ["first"],
            "owner": None,
        },
        {"event_type": "A & B?", "category": None, "description": ""},
    ],
    TAXONOMY + "category": [{"id": 412931, "name": "Attribution"}],
    EVENT_PROPERTIES: [a_property(event_property="plan", event_type=None, is_required=False)],
    f"{EVENT_PROPERTIES}?Onboard Start": [
        a_property(event_property="step", event_type="Onboard Start", is_required=True)
    ],
    f"{EVENT_PROPERTIES}?A & B?": [a_property(event_property="step", is_required=False)],
    TAXONOMY + "user-property": [a_property(user_property="gp:tier", deleted=False)],
    TAXONOMY + "group-property": [a_property(group_property="grp:size", group_type=None)],
}


def a_project() -> AmplitudeProject:
    """A project with an entry in each list, and figures of 200 days."""
    return AmplitudeProject(
        lists=dict(LISTS),
        users={day: (100 + number, number) for number, day in enumerate(days(200))},
        sessions={day: 1204.0238276716443 + number for number, day in enumerate(days(200))},
    )
