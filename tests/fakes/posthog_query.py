"""A strict stand-in for PostHog's query API, over a real ClickHouse that holds what capture took.

`POST /api/projects/{id}/query/` with a personal API key; the limits and refusals are those of
posthog.com's docs/api/queries and docs/api, and of `posthog/api/query.py`.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tests.fakes.local_server import Answer, StandIn
from tests.fakes.posthog_hogql import DEFAULT_ROWS, MOST_ROWS, HogQLError, Printer
from tests.fakes.posthog_warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.fakes.local_server import Incoming
    from tests.fakes.posthog_capture import PosthogCapture

_PATH = re.compile(r"/api/(?:projects|environments)/([^/]+)/query/?$")
_LIMIT = re.compile(r"\bLIMIT\s+(\d+)", re.IGNORECASE)
_JSON = "application/json"


@dataclass(frozen=True)
class Asked:
    """One request that was received whole: its query, and the status of the answer."""

    query: str
    status: int


class PosthogQuery(StandIn):
    """PostHog's query API on a port of its own; a context manager.

    Args:
        capture: the ingestion whose stored events are asked for.
        key: the personal API key that may read queries.
        project: the project's number.
        timezone: the project's time zone.
        dates: properties that PostHog took for dates.
        port: where it serves; 0 takes a free one.

    Attributes:
        loses: uuids of events that are never found.
        merged: whether repeats have been merged by now.
        asked: every request, in order.
    """

    def __init__(
        self,
        capture: PosthogCapture,
        *,
        key: str = "phx_reader",
        project: int = 7,
        timezone: str = "America/Los_Angeles",
        dates: frozenset[str] = frozenset({"server_upload_time", "event_time"}),
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.key = key
        self.project = project
        self.loses: set[str] = set()
        self.merged = True
        self.asked: list[Asked] = []
        self._capture = capture
        self._printer = Printer(project, timezone, dates)
        self._planned: deque[Answer] = deque()
        self._cached: dict[str, Answer] = {}
        self._warehouse: Warehouse | None = None
        self._content: object = None
        self._lock = threading.Lock()

    def answer_next(self, status: int, body: object, **headers: str) -> None:
        """Give the next request this answer, whatever it asks for."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._planned.append(Answer(status, orjson.dumps(body), _JSON, named))

    def throttle(self, seconds: int) -> None:
        """Refuse the next request, as one too many in a minute."""
        detail = f"Request was throttled. Expected available in {seconds} seconds."
        self.answer_next(
            429, _error("throttled_error", "throttled", detail), Retry_After=f"{seconds}"
        )

    def respond(self, incoming: Incoming) -> Answer:
        """Answer a query, one after the other."""
        with self._lock:
            query, refresh = _asked_of(incoming)
            answer = self._planned.popleft() if self._planned else None
            answer = answer or self._handle(incoming, query, refresh)
            self.asked.append(Asked(query or "", answer.status))
            return answer

    def _handle(self, incoming: Incoming, query: str | None, refresh: object) -> Answer:
        refusal = _refusal(incoming, self.key, {str(self.project), "@current"})
        if refusal is not None:
            return refusal
        if query is None:
            detail = "Query must be an object with `kind` and `query`."
            return _refused(400, "validation_error", "invalid_input", detail)
        # Without `refresh` an answer may be an earlier one (docs/api/queries, "Caching").
        if refresh != "force_blocking" and query in self._cached:
            return self._cached[query]
        try:
            self._cached[query] = self._run(query)
            return self._cached[query]
        except HogQLError as error:
            return _refused(400, "validation_error", "illegal_hogql", str(error))

    def _run(self, query: str) -> Answer:
        sql = self._printer.print(query)
        try:
            found = self._filled().query(sql)
        except RuntimeError as error:
            raise HogQLError(str(error).partition("\n")[0]) from error
        given = _LIMIT.findall(query)
        limit = min(int(given[-1]), MOST_ROWS) if given else DEFAULT_ROWS
        content: dict[str, Any] = {
            "results": found["data"][:limit],
            "columns": [one["name"] for one in found["meta"]],
            "types": [[one["name"], one["type"]] for one in found["meta"]],
            "hogql": query,
            "clickhouse": sql,
            "hasMore": len(found["data"]) > limit,
            "limit": limit,
        }
        return Answer(200, orjson.dumps(content), _JSON)

    def _filled(self) -> Warehouse:
        """Return the warehouse with what can be found by now; it is filled when that changes."""
        can_be_found = [one for one in self._capture.events if one["uuid"] not in self.loses]
        content = [*map(id, can_be_found), self.merged]
        if self._warehouse is None:
            self._warehouse = Warehouse(self.project)
        if content != self._content:
            self._content = content
            self._warehouse.empty()
            self._warehouse.store(can_be_found)
            self._warehouse.name_people(self._capture.persons().who_is_who())
            if self.merged:
                self._warehouse.merge()
        return self._warehouse


def _refusal(incoming: Incoming, key: str, projects: Collection[str]) -> Answer | None:
    """Return what PostHog answers to whoever may not ask.

    Args:
        incoming: the request.
        key: the personal API key that may.
        projects: what the project is called in a path.
    """
    path = _PATH.fullmatch(incoming.path)
    if path is None:
        return _refused(404, "invalid_request", "not_found", "Endpoint not found.")
    if incoming.method != "POST":
        detail = f'Method "{incoming.method}" not allowed.'
        return _refused(405, "invalid_request", "method_not_allowed", detail)
    refusal = _refusal_of_key(incoming.headers.get("Authorization", ""), key)
    if refusal is not None:
        return refusal
    if path[1] not in projects:
        return _refused(404, "invalid_request", "not_found", "Project not found.")
    return None


def _refusal_of_key(given: str, key: str) -> Answer | None:
    if not given:
        detail = "Authentication credentials were not provided."
        return _refused(401, "authentication_error", "not_authenticated", detail)
    if given == f"Bearer {key}_of_another_scope":
        detail = "API key missing required scope 'query:read'"
        return _refused(403, "authentication_error", "permission_denied", detail)
    if given != f"Bearer {key}":
        detail = "Personal API key found in request Authorization header is invalid."
        return _refused(401, "authentication_error", "authentication_failed", detail)
    return None


def _asked_of(incoming: Incoming) -> tuple[str | None, object]:
    """Return the HogQL of a request, None when it has none, and how new its answer is to be."""
    try:
        asked = orjson.loads(incoming.wire_bytes)
        query = asked["query"]
        text = query["query"] if query["kind"] == "HogQLQuery" else None
    except (ValueError, KeyError, TypeError):
        return None, None
    return text if isinstance(text, str) else None, asked.get("refresh")


def _error(kind: str, code: str, detail: str) -> dict[str, Any]:
    return {"type": kind, "code": code, "detail": detail, "attr": None}


def _refused(status: int, kind: str, code: str, detail: str) -> Answer:
    return Answer(status, orjson.dumps(_error(kind, code, detail)), _JSON)
