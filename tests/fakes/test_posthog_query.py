"""The stand-in of the query API answers from a real ClickHouse, as strict as PostHog."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.fakes import posthog_probe
from tests.fakes.posthog_query import PosthogQuery
from tests.support.rows import uuid_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.posthog_capture import PosthogCapture

COUNTS = """
SELECT intDiv(toUnixTimestamp(timestamp), 86400) AS day, event, count(), uniqExact(uuid) AS kept
FROM events WHERE toUnixTimestamp(timestamp) >= 1704067200 GROUP BY day, event ORDER BY day, event
"""


def event(number: int, *, hour: int = 5) -> dict[str, Any]:
    """Return an event of 1 January 2024."""
    return posthog_probe.event(
        uuid=uuid_of(number),
        distinct_id="ann",
        timestamp=f"2024-01-01T{hour:02}:00:00.000000Z",
        properties={"server_upload_time": "2024-01-01 05:00:01.000000"},
    )


@pytest.fixture
def api(capture: PosthogCapture) -> Iterator[PosthogQuery]:
    """Return the query API over what the ingestion stored."""
    with PosthogQuery(capture) as running:
        yield running


def send(capture: PosthogCapture, *events: dict[str, Any]) -> None:
    """Post events."""
    assert posthog_probe.post(capture, posthog_probe.batch(*events)).status == 200


def ask(
    api: PosthogQuery,
    query: str,
    *,
    key: str | None = None,
    project: int = 7,
    refresh: str = "force_blocking",
) -> Any:
    """Post a query; return the answer."""
    return requests.post(
        f"{api.url}/api/projects/{project}/query/",
        json={"query": {"kind": "HogQLQuery", "query": query}, "refresh": refresh},
        headers={"Authorization": f"Bearer {key or api.key}"},
        timeout=30,
    )


def test_repeats_are_two_rows_until_parts_are_merged(
    capture: PosthogCapture, api: PosthogQuery
) -> None:
    """Equal in uuid, name, person and day they are one then; another day makes another event."""
    send(capture, event(1), event(2))
    send(capture, event(1, hour=7))
    send(capture, {**event(2), "timestamp": "2024-01-02T00:00:00Z"})
    api.merged = False
    assert ask(api, COUNTS).json()["results"] == [[19723, "viewed", 3, 2], [19724, "viewed", 1, 1]]
    api.merged = True
    assert ask(api, COUNTS).json()["results"] == [[19723, "viewed", 2, 2], [19724, "viewed", 1, 1]]


def test_times_are_shown_as_the_project_sees_them(
    capture: PosthogCapture, api: PosthogQuery
) -> None:
    """Its time zone moves days and hours; a text of a property that it took for a date, too."""
    send(capture, event(1))
    query = """
    SELECT toString(toDate(timestamp)), toUnixTimestamp(properties.server_upload_time),
        JSONExtractString(properties, 'server_upload_time') FROM events
    """
    ((day, seen, text),) = ask(api, query).json()["results"]
    assert day == "2023-12-31"
    assert text == "2024-01-01 05:00:01.000000"
    eight_hours = 8 * 3600
    assert seen == datetime(2024, 1, 1, 5, 0, 1, tzinfo=timezone.utc).timestamp() + eight_hours


def test_people_are_those_that_links_made(capture: PosthogCapture, api: PosthogQuery) -> None:
    """Both ids of an alias belong to one person."""
    link = {**event(2), "event": "$create_alias"}
    link["properties"] = {"distinct_id": "ann", "alias": "phone"}
    send(capture, {**event(1), "distinct_id": "phone"}, event(3), link)
    rows = ask(api, "SELECT uniqExact(person_id), uniqExact(distinct_id) FROM events").json()
    assert rows["results"] == [[1, 2]]


def test_without_a_limit_a_hundred_rows_come(capture: PosthogCapture, api: PosthogQuery) -> None:
    """More are there, and said to be."""
    send(capture, *(event(number) for number in range(120)))
    cut = ask(api, "SELECT uuid FROM events ORDER BY uuid").json()
    assert (len(cut["results"]), cut["hasMore"]) == (100, True)
    query = "SELECT uuid FROM events ORDER BY uuid LIMIT 50000 OFFSET 100"
    rest = ask(api, query).json()
    assert (len(rest["results"]), rest["hasMore"]) == (20, False)
    assert rest["results"][0] == [uuid_of(100)]


def test_an_answer_may_be_an_old_one(capture: PosthogCapture, api: PosthogQuery) -> None:
    """Unless the request wants a new one."""
    query = "SELECT count() FROM events"
    counts = []
    for number, refresh in enumerate(["blocking", "blocking", "force_blocking"]):
        send(capture, event(number))
        counts += ask(api, query, refresh=refresh).json()["results"][0]
    assert counts == [1, 1, 3]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"key": "phx_other"}, 401, "authentication_failed"),
        ({"key": "phx_reader_of_another_scope"}, 403, "permission_denied"),
        ({"project": 8}, 404, "not_found"),
        ({"query": "SELEC x"}, 400, "illegal_hogql"),
        ({"query": "SELECT nothing_here FROM events"}, 400, "illegal_hogql"),
        ({"query": "SELECT 1 FROM elsewhere"}, 400, "illegal_hogql"),
        ({"query": "SELECT sleep(3) FROM events"}, 400, "illegal_hogql"),
    ],
)
def test_who_may_not_ask_is_refused(
    api: PosthogQuery, change: dict[str, Any], status: int, code: str
) -> None:
    """As PostHog's REST framework words it."""
    answer = ask(api, **{"query": "SELECT 1 FROM events", **change})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_one_request_too_many_is_throttled(api: PosthogQuery) -> None:
    """With the seconds to wait, in words and in the header."""
    api.throttle(3)
    answer = ask(api, "SELECT count() FROM events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert "Expected available in 3 seconds" in answer.json()["detail"]
    assert ask(api, "SELECT count() FROM events").status_code == 200
