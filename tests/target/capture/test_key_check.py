"""The token is asked for before the first event goes out, once a run, in every way to send."""

from __future__ import annotations

import logging
import re
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.capture.key_check import KeyCheck
from target_posthog.errors import FixConfiguration, RunAgain
from tests.fakes.posthog_capture import PosthogCapture
from tests.support.batch_messages import batch, put
from tests.support.peers import answering
from tests.support.rows import row, rows
from tests.support.singer import record, records, schema, state
from tests.support.target import run_apart

if TYPE_CHECKING:
    from tests.support.deliveries import Clock
    from tests.support.singer import Json
    from tests.support.target import Target

KEY = "phc_test"
UNKNOWN = "phc_of_nobody"


def check(host: str, clock: Clock, key: str = KEY, seconds: float = 100) -> None:
    """Ask once."""
    made = KeyCheck(host, key, user_agent="test/1", max_retry_seconds=seconds, sleep=clock.sleep)
    with closing(made):
        made.run_once()
        made.run_once()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings."""
    return [one.message for one in caplog.records if one.levelno >= logging.WARNING]


def rows_by(way: str, target: Target, count: int) -> list[Json]:
    """Return the messages of so many rows, as records or as a batch file."""
    sent = rows(range(count))
    messages = records(sent) if way == "records" else [batch([put(target.folder, "a", sent)])]
    return [schema(), *messages, state({"at": 1})]


def test_a_token_that_posthog_knows_is_asked_for_once(
    capture: PosthogCapture, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """In the form that PostHog's own libraries use."""
    check(capture.url, clock)
    (asked,) = capture.key_checks
    assert (asked.method, asked.path, asked.query) == ("POST", "/flags/", "v=2")
    assert asked.body == {"api_key": KEY, "distinct_id": "target-posthog"}
    assert said(caplog) == []


@pytest.mark.parametrize("flags", ["ready", "plain"])
def test_a_token_that_posthog_does_not_know_stops_the_run(flags: Any, clock: Clock) -> None:
    """In both forms of the refusal; the token is not shown."""
    with PosthogCapture(flags=flags) as capture, pytest.raises(FixConfiguration) as raised:
        check(capture.url, clock, UNKNOWN)
    assert f"PostHog at {capture.url} does not know the project token (401: " in str(raised.value)
    assert "invalid or has expired" in str(raised.value)
    assert "Settings, Project" in str(raised.value)
    assert UNKNOWN not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {}, b"not found"),
        (200, {}, b"<html>Welcome</html>"),
        (200, {}, b'{"status":"Ok"}'),
        (200, {}, b"[1]"),
        (200, {}, b"[" * 100_000),
        (200, {"Content-Encoding": "gzip"}, b"no gzip"),
        (204, {}, b""),
        (301, {"Location": "http://[elsewhere"}, b""),
        (400, {}, b"bad request"),
        (401, {"WWW-Authenticate": "Basic"}, b"who are you"),
        (401, {}, b" <html>Sign in</html>"),
        (402, {}, b"billing limit"),
        (403, {}, b"forbidden"),
        (405, {}, b""),
    ],
)
def test_an_answer_that_is_none_of_posthogs_is_a_warning(
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    status: int,
    headers: dict[str, str],
    body: bytes,
) -> None:
    """A proxy, or an installation without this service, may still take events."""
    with answering(status, headers, body) as (url, requests):
        check(url, clock)
    assert len(requests) == 1
    (warning,) = said(caplog)
    assert f"could not be checked at {url}/flags/" in warning
    assert "check_api_key: false" in warning
    assert clock.waits == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_service_that_is_down_is_waited_for_a_little(
    clock: Clock, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Flags have a service of their own: events may be taken all the same."""
    with answering(status, {}, b"down") as (url, requests):
        check(url, clock)
    assert len(requests) > 1
    assert sum(clock.waits) == pytest.approx(10)
    (warning,) = said(caplog)
    assert f"it answered {status} (down)" in warning


def test_a_network_that_fails_is_waited_for_as_ever(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Then the run stops, and names host and cause."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(RunAgain, match=f"reached for 100 s: {re.escape(url)}: .*refused"):
        check(url, clock)
    assert sum(clock.waits) == pytest.approx(100)
    assert len(said(caplog)) == 1


@pytest.mark.parametrize("protocol", ["batch", "v1"])
@pytest.mark.parametrize("way", ["records", "batch files"])
def test_nothing_of_a_run_with_an_unknown_token_is_sent(
    target: Target, protocol: str, way: str
) -> None:
    """Neither as records nor by workers; the state stays."""
    messages = rows_by(way, target, 30)
    ended = run_apart(target, messages, api_key=UNKNOWN, protocol=protocol)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "does not know the project token" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert UNKNOWN not in ended.stderr
    assert target.capture.requests == []


@pytest.mark.parametrize("way", ["records", "batch files"])
def test_a_run_asks_once_however_many_requests_and_workers_it_has(target: Target, way: str) -> None:
    """Before the first of them."""
    run_apart(target, rows_by(way, target, 40), max_batch_events=5, workers=3).checked()
    assert len(target.capture.requests) >= 8
    (asked,) = target.capture.key_checks
    assert asked.arrived < min(request.arrived for request in target.capture.requests)


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        ({}, [schema(), state({"at": 1})]),
        ({}, [schema(), record(row(1, user_id="x" * 201)), state({"at": 1})]),
        ({"check_api_key": False}, [schema(), record(row(1)), state({"at": 1})]),
        ({"preview_path": "preview"}, [schema(), record(row(1)), state({"at": 1})]),
    ],
    ids=["no events", "rejects only", "not wanted", "preview"],
)
def test_nobody_is_asked_where_no_event_is_sent_or_nobody_wants_it(
    target: Target, settings: Json, messages: list[Json]
) -> None:
    """A run without events needs no token."""
    run_apart(target, messages, **settings).checked()
    assert target.capture.key_checks == []
