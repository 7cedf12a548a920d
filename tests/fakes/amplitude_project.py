"""A stand-in for Amplitude's endpoints that tell about a project: lists, and figures by day.

It refuses what the real ones refuse. Each rule stands beside its fact: a page of Amplitude's
documentation (Behavioral Cohorts API, Chart Annotations API, Dashboard REST API, Taxonomy API),
or something observed on the live service. Keys and the cap on requests at once are the server's.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tests.fakes import amplitude_answers as answers
from tests.fakes.amplitude_answers import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

COHORTS = "/api/3/cohorts"
ANNOTATIONS = "/api/3/annotations"
EVENTS_LIST = "/api/2/events/list"
USERS = "/api/2/users"
AVERAGE = "/api/2/sessions/average"
TAXONOMY = "/api/2/taxonomy/"
TAXONOMY_EVENTS = TAXONOMY + "event"
EVENT_PROPERTIES = TAXONOMY + "event-property"

#: The parameters of each endpoint. What a service says to others is not recorded; here: 400.
_PARAMETERS: Mapping[str, frozenset[str]] = {
    COHORTS: frozenset({"includeSyncInfo"}),
    ANNOTATIONS: frozenset({"category", "chart_id", "start", "end"}),
    EVENTS_LIST: frozenset(),
    USERS: frozenset({"start", "end", "m", "i"}),
    AVERAGE: frozenset({"start", "end"}),
    TAXONOMY_EVENTS: frozenset({"showDeleted"}),
    TAXONOMY + "category": frozenset(),
    EVENT_PROPERTIES: frozenset({"event_type"}),
    TAXONOMY + "user-property": frozenset(),
    TAXONOMY + "group-property": frozenset({"group_type"}),
}
PROJECT_PATHS = frozenset(_PARAMETERS)

# Dashboard REST API, "Endpoint costs": 1,000 in five minutes. A day of the chart "User Sessions"
# costs 4, one of a chart that is not listed there 1.
_COST_OF_FIVE_MINUTES = 1000
_COST_OF_A_DAY = {USERS: 1, AVERAGE: 4}


@dataclass(frozen=True)
class ProjectRequest:
    """One request: its path, its query, and what it was answered with."""

    path: str
    parameters: Mapping[str, str]
    status: int


@dataclass
class AmplitudeProject:
    """What Amplitude knows about one project.

    Attributes:
        lists: The entries of each list, by path; an endpoint without one has no entries. The
            properties of one event have its name behind a `?`.
        users: Active and new users of each day.
        sessions: Average session length of each day.
        enterprise: Whether the plan has the Taxonomy API.
        cost_left: How much the next five minutes may cost; it comes back with each 429, as if
            the reader had waited.
        instead: Answers that come first, in order, whatever is asked for.
        requests: Every request so far.
    """

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    users: dict[date, tuple[int, int]] = field(default_factory=dict)
    sessions: dict[date, float | None] = field(default_factory=dict)
    enterprise: bool = True
    cost_left: int = _COST_OF_FIVE_MINUTES
    instead: deque[Answer] = field(default_factory=deque)
    requests: list[ProjectRequest] = field(default_factory=list)

    def answer(self, path: str, query: str, refusal: Answer | None) -> Answer:
        """Answer a GET request; `refusal` is what the keys already got."""
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        if refusal is None and self.instead:
            refusal = self.instead.popleft()
        given = refusal or self._content(path, parameters)
        self.requests.append(ProjectRequest(path, parameters, given.status))
        return given

    def five_minutes_later(self) -> None:
        """Let the time pass that the limit on costs looks at."""
        self.cost_left = _COST_OF_FIVE_MINUTES

    def _content(self, path: str, parameters: dict[str, str]) -> Answer:
        if unknown := sorted(set(parameters) - _PARAMETERS[path]):
            return _bad_request(path, f"Unknown parameter {unknown[0]}")
        if path in {USERS, AVERAGE}:
            return self._figures(path, parameters)
        if path == COHORTS:
            # Behavioral Cohorts API, "Get all cohorts".
            return _json({"cohorts": self._cohorts(parameters)})
        if not path.startswith(TAXONOMY):
            # Chart Annotations API, "Get all annotations"; Dashboard REST API, "Events list".
            return _json({"data": self.lists.get(path, [])})
        if not self.enterprise:
            # Taxonomy API: 404 if the subscription does not qualify.
            return _json({"success": False, "errors": [{"message": "Not found"}]}, 404)
        return self._taxonomy(path, parameters)

    def _cohorts(self, parameters: dict[str, str]) -> list[dict[str, Any]]:
        # The parameter adds the cohorts' syncs to the answer.
        if parameters.get("includeSyncInfo") == "true":
            return self.lists.get(COHORTS, [])
        left_out = "syncMetadata"
        return [
            {name: value for name, value in cohort.items() if name != left_out}
            for cohort in self.lists.get(COHORTS, [])
        ]

    def _taxonomy(self, path: str, parameters: dict[str, str]) -> Answer:
        name = parameters.get("event_type")
        if name is None:
            # Without an event, only the properties that all events share.
            return _json({"success": True, "data": self.lists.get(path, [])})
        known = {event["event_type"] for event in self.lists.get(TAXONOMY_EVENTS, [])}
        if name not in known:
            return _bad_request(path, "Not found")
        return _json({"success": True, "data": self.lists.get(f"{path}?{name}", [])})

    def _figures(self, path: str, parameters: dict[str, str]) -> Answer:
        # "First date included in data series, formatted YYYYMMDD"; "Last date included".
        first, last = (_day(parameters.get(name, "")) for name in ("start", "end"))
        if first is None or last is None:
            return _bad_request(path, "start and end are required in the format YYYYMMDD")
        if last < first:
            return _bad_request(path, "end is before start")
        # Either "new" or "active"; either 1, 7 or 30.
        if parameters.get("m", "active") not in {"active", "new"}:
            return _bad_request(path, "Invalid m")
        if parameters.get("i", "1") not in {"1", "7", "30"}:
            return _bad_request(path, "Invalid i")
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        cost = len(days) * _COST_OF_A_DAY[path]
        if cost > self.cost_left:
            self.five_minutes_later()
            return answers.too_many_requests("7")
        self.cost_left -= cost
        return _json({"data": self._series(path, parameters, days)})

    def _series(self, path: str, parameters: dict[str, str], days: list[date]) -> dict[str, Any]:
        figures: Mapping[date, float | None] = self.sessions
        if path == USERS:
            column = ("active", "new").index(parameters.get("m", "active"))
            figures = {day: both[column] for day, both in self.users.items()}
        # Observed by Airbyte (#15208): a range without events has no series at all.
        if not any(day in figures for day in days):
            return {"series": [], "seriesMeta": [], "xValues": []}
        return {
            "series": [[figures.get(day, 0) for day in days]],
            "seriesMeta": [{"segmentIndex": 0}],
            "xValues": [day.isoformat() for day in days],
        }


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date() if len(text) == 8 else None  # noqa: DTZ007 - a day of the project's zone
    except ValueError:
        return None


def _bad_request(path: str, reason: str) -> Answer:
    # Taxonomy API: a list of errors. Dashboard REST API, observed (airbyte#46712): the envelope.
    if path.startswith(TAXONOMY):
        return _json({"success": False, "errors": [{"message": reason}]}, 400)
    return answers.envelope(400, "invalid", "Invalid chart definition", reason)


def _json(content: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode())
