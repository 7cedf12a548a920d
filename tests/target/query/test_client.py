"""Queries to PostHog: what comes, what it waits for, and what it says when nothing comes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.errors import FixConfiguration, NotAsked, QueryTooLarge
from target_posthog.query import client as query_client
from target_posthog.query.client import QueryApi
from tests.support.peers import answering
from tests.support.rows import uuid_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.deliveries import Clock

KEY = "phx_reader"
Open = Callable[..., QueryApi]
NUMBERS = "SELECT number FROM (SELECT 1 AS number FROM events) ORDER BY number"


@pytest.fixture
def opened(clock: Clock) -> Iterator[Open]:
    """Return what opens clients; no test waits for real."""
    clients: list[QueryApi] = []

    def opening(host: str, project: str = "7", key: str = KEY, seconds: float = 100.0) -> QueryApi:
        one = QueryApi(
            host, project, key, user_agent="test/1", max_retry_seconds=seconds, sleep=clock.sleep
        )
        clients.append(one)
        return one

    yield opening
    for one in clients:
        one.close()


def refusal(code: str, detail: str) -> bytes:
    """Return an error as PostHog writes it."""
    return json.dumps({"type": "x", "code": code, "detail": detail, "attr": None}).encode()


def send(capture: PosthogCapture, count: int) -> None:
    """Have the ingestion hold events."""
    sent = {"event": "viewed", "distinct_id": "ann", "timestamp": "2024-01-01T05:00:00Z"}
    capture.events.extend(
        {**sent, "uuid": uuid_of(number), "properties": {}} for number in range(count)
    )


def test_all_rows_come(capture: PosthogCapture, api: PosthogQuery, opened: Open) -> None:
    """Not only the hundred that PostHog gives by itself."""
    send(capture, 120)
    assert opened(api.url).rows("SELECT count(), 'é' FROM events") == [[120, "é"]]
    assert len(opened(api.url).rows("SELECT uuid FROM events")) == 120


def test_an_answer_is_never_an_old_one(
    capture: PosthogCapture, api: PosthogQuery, opened: Open
) -> None:
    """PostHog keeps answers for a while."""
    client = opened(api.url)
    for count in (1, 2):
        send(capture, 1)
        api.merged = False
        assert client.rows("SELECT count() FROM events") == [[count]]


def test_more_rows_than_posthog_gives_are_told(
    capture: PosthogCapture, api: PosthogQuery, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is missing in silence."""
    monkeypatch.setattr(query_client, "MOST_ROWS", 10)
    send(capture, 11)
    with pytest.raises(QueryTooLarge, match="more than 10 rows"):
        opened(api.url).rows("SELECT uuid FROM events")
    capture.events.pop()
    assert len(opened(api.url).rows("SELECT uuid FROM events")) == 10


def test_it_waits_as_long_as_posthog_wants(api: PosthogQuery, opened: Open, clock: Clock) -> None:
    """Then the same query gets its answer."""
    api.throttle(30)
    api.answer_next(503, {"type": "server_error", "code": "error", "detail": "A little too busy."})
    assert opened(api.url).rows("SELECT count() FROM events") == [[0]]
    assert [one.status for one in api.asked] == [429, 503, 200]
    assert clock.now >= 30


def test_it_does_not_wait_longer_than_the_user_wants(
    api: PosthogQuery, opened: Open, clock: Clock
) -> None:
    """It says when to come again."""
    api.throttle(1800)
    with pytest.raises(NotAsked, match=r"asks to wait 30 minutes .*`max_retry_seconds` \(100\)"):
        opened(api.url).rows("SELECT 1 FROM events")
    assert clock.waits == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": "phx_other"}, "refused the personal API key (401: Personal API key found in"),
        ({"key": "phx_reader_of_another_scope"}, "may not query project 7 at"),
        ({"project": "8"}, "shows this key no project 8 (404: Project not found.)"),
    ],
)
def test_who_may_not_ask_is_told_what_to_change(
    api: PosthogQuery,
    opened: Open,
    change: dict[str, str],
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At once, and without the key."""
    with pytest.raises(FixConfiguration) as raised:
        opened(api.url, **change).rows("SELECT 1 FROM events")
    assert words in str(raised.value)
    assert len(api.asked) == 1
    assert change.get("key", KEY) not in str(raised.value) + caplog.text


@pytest.mark.parametrize(
    ("status", "code", "detail", "error", "words"),
    [
        (504, "error", "Query has hit the max execution time.", QueryTooLarge, "too much"),
        (512, "error", "Estimated query execution time is too long.", QueryTooLarge, "too much"),
        (513, "clickhouse_memory_limit_exceeded", "ran out of memory", QueryTooLarge, "too much"),
        (513, "error", "We're under heavy load right now.", NotAsked, "did not answer"),
        (400, "too_many_bytes", "Limit for rows or bytes", QueryTooLarge, "too much"),
        (400, "illegal_hogql", "Unknown function", NotAsked, "does not understand the query (400"),
        (402, "quota_limit_exceeded", "Your organization", FixConfiguration, "no queries"),
        (500, "error", "A server error occurred.", NotAsked, "it answered 500 (A server error"),
        (409, "conflict", "Why", FixConfiguration, "it answered 409: Why"),
    ],
)
def test_each_status_has_its_meaning(
    opened: Open, status: int, code: str, detail: str, error: type[Exception], words: str
) -> None:
    """Too much at once is told from what is down, and both from what is wrong."""
    answer = answering(status, {}, refusal(code, detail))
    with answer as (url, _), pytest.raises(error) as raised:
        opened(url).rows("SELECT 1 FROM events")
    assert type(raised.value) is error
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (403, {}, b"<html>Proxy says no</html>", "does not take queries: it answered 403"),
        (404, {}, b"not here", "does not take queries: it answered 404 (not here)"),
        (302, {"Location": "https://login.example.com/x?phx_reader"}, b"", "redirects to https://"),
    ],
)
def test_another_server_is_not_taken_for_posthog(
    opened: Open, status: int, headers: dict[str, str], body: bytes, words: str
) -> None:
    """No key is wrong because of it."""
    answer = answering(status, headers, body)
    with answer as (url, requests), pytest.raises(FixConfiguration) as raised:
        opened(url).rows("SELECT 1 FROM events")
    assert words in str(raised.value)
    assert "`app_host`" in str(raised.value)
    assert KEY not in str(raised.value)
    assert len(requests) == 1


@pytest.mark.parametrize("body", [b"<html>phx_reader</html>", b"[]", b'{"results": null}', b"\xff"])
def test_a_200_that_holds_no_rows_is_tried_again(
    opened: Open, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A maintenance page, a login page, an answer that was given to somebody else."""
    answer, refused = answering(200, {}, body), pytest.raises(NotAsked, match="not as PostHog's")
    with answer as (url, requests), caplog.at_level(logging.WARNING), refused:
        opened(url, seconds=5).rows("SELECT 1 FROM events")
    assert len(requests) > 1
    assert "PostHog cannot answer a query now" in caplog.text
    assert KEY not in caplog.text


def test_the_key_goes_in_the_header_alone(opened: Open) -> None:
    """To the address of the project, with the name of this program."""
    with answering(200, {}, b'{"results": [[1]]}') as (url, requests):
        assert opened(url).rows("SELECT 1") == [[1]]
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/projects/7/query/ HTTP/1.1")
    assert b"Authorization: Bearer phx_reader" in head
    assert b"User-Agent: test/1" in head
    content: Any = json.loads(body)
    assert content["query"] == {"kind": "HogQLQuery", "query": "SELECT 1\nLIMIT 50000"}
    assert content["refresh"] == "force_blocking"
