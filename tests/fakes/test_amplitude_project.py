"""The stand-in for the project's endpoints refuses what the real ones refuse."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
import requests

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.fakes.amplitude_project import (
    ANNOTATIONS,
    AVERAGE,
    COHORTS,
    EVENT_PROPERTIES,
    PROJECT_PATHS,
    TAXONOMY_EVENTS,
    USERS,
    AmplitudeProject,
    ProjectRequest,
)
from tests.fakes.amplitude_reading import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """A project with one cohort, one planned event and two days of figures."""
    project = AmplitudeProject(
        lists={
            COHORTS: [{"id": "c1", "syncMetadata": []}],
            TAXONOMY_EVENTS: [{"event_type": "opened"}],
            EVENT_PROPERTIES: [{"event_property": "plan", "event_type": None}],
            f"{EVENT_PROPERTIES}?opened": [{"event_property": "page", "event_type": "opened"}],
        },
        users={date(2024, 1, 1): (10, 2), date(2024, 1, 2): (11, 3)},
    )
    with AmplitudeExportApi([], project=project) as running:
        yield running


def ask(
    api: AmplitudeExportApi,
    path: str,
    auth: tuple[str, str] | None = KEYS,
    **query: str,
) -> requests.Response:
    """Ask as a client does."""
    return requests.get(api.url + path, params=query, auth=auth, timeout=30)


@pytest.mark.parametrize("path", sorted(PROJECT_PATHS))
def test_keys_are_needed_everywhere(api: AmplitudeExportApi, path: str) -> None:
    """No keys get 401, wrong ones 403."""
    assert ask(api, path, auth=None).status_code == 401
    assert ask(api, path, auth=("a", "b")).status_code == 403


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (USERS, {}),
        (USERS, {"start": "2024-01-01", "end": "20240102"}),
        (USERS, {"start": "20240132", "end": "20240202"}),
        (USERS, {"start": "20240102", "end": "20240101"}),
        (USERS, {"start": "20240101", "end": "20240101", "m": "all"}),
        (USERS, {"start": "20240101", "end": "20240101", "i": "2"}),
        (AVERAGE, {"start": "20240101", "end": "20240101", "m": "active"}),
        (ANNOTATIONS, {"page": "2"}),
        (EVENT_PROPERTIES, {"event_type": "unheard of"}),
    ],
)
def test_what_makes_no_sense_is_400(
    api: AmplitudeExportApi, path: str, query: dict[str, str]
) -> None:
    """Days of another form, an empty range, unknown parameters and unknown events."""
    assert ask(api, path, KEYS, **query).status_code == 400


def test_figures_come_one_a_day_in_order(api: AmplitudeExportApi) -> None:
    """Both ends are included, and each metric has its own series, or none without events."""
    data = ask(api, USERS, KEYS, start="20240101", end="20240102", m="new").json()["data"]

    assert data["series"] == [[2, 3]]
    assert data["xValues"] == ["2024-01-01", "2024-01-02"]
    assert api.project.requests == [
        ProjectRequest(USERS, {"start": "20240101", "end": "20240102", "m": "new"}, 200)
    ]
    sessions = ask(api, AVERAGE, KEYS, start="20240101", end="20240102").json()["data"]
    assert sessions["series"] == []


@pytest.mark.parametrize(
    ("path", "ranges", "statuses"),
    [
        # A day of users costs one; later the cost is there again.
        (USERS, [("20230101", "20240401")] * 4, [200, 200, 429, 200]),
        # A day of sessions costs four, so 250 days are the most.
        (AVERAGE, [("20230101", "20230907"), ("20230101", "20230101")], [200, 429]),
    ],
)
def test_more_than_the_cost_of_five_minutes_is_429(
    api: AmplitudeExportApi, path: str, ranges: list[tuple[str, str]], statuses: list[int]
) -> None:
    """The answer names the limit."""
    answers = [ask(api, path, KEYS, start=start, end=end) for start, end in ranges]

    assert [answer.status_code for answer in answers] == statuses
    assert "query of cost" in answers[statuses.index(429)].text


def test_properties_of_one_event_come_apart_from_the_shared_ones(api: AmplitudeExportApi) -> None:
    """Without an event the shared ones, with an event its own."""
    shared = ask(api, EVENT_PROPERTIES).json()["data"]
    own = ask(api, EVENT_PROPERTIES, KEYS, event_type="opened").json()["data"]

    assert [row["event_property"] for row in (*shared, *own)] == ["plan", "page"]


def test_the_taxonomy_needs_an_enterprise_plan(api: AmplitudeExportApi) -> None:
    """Other plans get 404; the cohorts are still there, with their syncs when asked for."""
    api.project.enterprise = False

    assert ask(api, TAXONOMY_EVENTS).status_code == 404
    assert ask(api, COHORTS).json() == {"cohorts": [{"id": "c1"}]}
    with_syncs = ask(api, COHORTS, KEYS, includeSyncInfo="true").json()
    assert with_syncs == {"cohorts": [{"id": "c1", "syncMetadata": []}]}
