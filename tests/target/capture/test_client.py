"""What each answer of PostHog means, over real HTTP."""

from __future__ import annotations

import logging
import re
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.capture.client import CaptureApi
from target_posthog.capture.hosts import ingestion_host
from target_posthog.capture.protocols import BatchWire
from target_posthog.capture.rate_limit import RateLimiter
from target_posthog.capture.results import BatchRefused
from target_posthog.errors import FixConfiguration, RunAgain, TargetPosthogError
from tests.fakes.posthog_capture import Fault, PosthogCapture
from tests.support.deliveries import Clock, batch_of, converted, item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.capture.batches import Batch

KEY = "phc_test"
SECRET = "phc_very_secret_key"


def body(*numbers: int) -> Batch:
    """Return a batch with sound events."""
    return batch_of(*map(item, numbers or (1,)))


@contextmanager
def api_to(
    host: str, clock: Clock, *, key: str = KEY, patience: float = 100
) -> Iterator[CaptureApi]:
    """Give the client, and close it."""
    api = CaptureApi(
        ingestion_host(host),
        BatchWire(key),
        api_key=key,
        max_retry_seconds=patience,
        user_agent="test/1",
        rate_limit=RateLimiter(None),
        sleep=clock.sleep,
    )
    try:
        yield api
    finally:
        api.close()


def send(capture: PosthogCapture, clock: Clock, **options: Any) -> BatchRefused | None:
    """Send one body to the stand-in."""
    with api_to(capture.url, clock, **options) as api:
        return api.send(body()).refused


def test_a_body_arrives_as_it_is_compressed_and_without_sent_at(
    capture: PosthogCapture, clock: Clock
) -> None:
    """PostHog would shift every time by `sent_at`."""
    assert send(capture, clock) is None
    (request,) = capture.requests
    assert (request.method, request.path) == ("POST", "/batch/")
    assert request.headers["content-encoding"] == "gzip"
    assert request.wire_bytes == body().packed
    assert request.headers["user-agent"] == "test/1"
    assert "sent_at" not in request.body
    (event,) = capture.events
    assert event["timestamp"] == converted(1).event["timestamp"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [(400, "event submitted without a distinct_id"), (413, "maximum event size exceeded")],
)
def test_a_refusal_is_told_with_posthogs_words(
    capture: PosthogCapture, clock: Clock, status: int, answer: str
) -> None:
    """The delivery halves the batch; trying the same body again would not help."""
    capture.fail(Fault.STATUS, status=status, body=answer)
    assert send(capture, clock) == BatchRefused(status, answer)
    assert len(capture.requests) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "project token"),
        (403, "project token"),
        (402, "billing"),
        (404, "does not take events: it answered 404"),
        (405, "does not take events: it answered 405"),
        (415, "does not take events: it answered 415"),
    ],
)
def test_what_no_repeat_can_help_stops_at_once(
    capture: PosthogCapture, clock: Clock, status: int, words: str
) -> None:
    """With the exit code of a wrong configuration, and what to set."""
    capture.fail(Fault.STATUS, status=status, body="no")
    with pytest.raises(FixConfiguration, match=words):
        send(capture, clock)
    assert len(capture.requests) == 1
    assert clock.waits == []


@pytest.mark.parametrize("status", [401, 403, 404, 405, 451])
def test_a_page_before_posthog_is_no_wrong_key(
    capture: PosthogCapture, clock: Clock, status: int
) -> None:
    """At the start it is the wrong host; in mid-run a firewall may let the next one pass."""
    page = "<html>Attention required</html>"
    capture.fail(Fault.STATUS, status=status, body=page)
    words = re.escape(f"does not take events: it answered {status} ({page}). Set `host`")
    with api_to(capture.url, clock) as api:
        with pytest.raises(FixConfiguration, match=words):
            api.send(body())
        api.send(body(1))
        capture.fail(Fault.STATUS, times=2, status=status, body=page)
        assert api.send(body(2)).refused is None
    assert len(capture.held()) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(
    capture: PosthogCapture, clock: Clock, status: int
) -> None:
    """A redirected POST becomes a GET without its body, and would look delivered."""
    with PosthogCapture() as other:
        capture.fail(
            Fault.REDIRECT, location=f"{other.url}/batch/?a=1", status=status, body="<html>"
        )
        words = f"it answered {status} and redirects to {other.url}/batch/. Set `host`"
        with pytest.raises(FixConfiguration, match=re.escape(words)):
            send(capture, clock)
        assert other.requests == []
    assert capture.events == []


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://[::1/batch/", "redirects to what is not a valid address"),
        ("http://host:99999/", "redirects to what is not a valid address"),
        ("http://[v7.x]:y/", "redirects to what is not a valid address"),
        ("ftp://files/", "redirects to what is not a valid address"),
        ("", "redirects to what is not a valid address"),
        ("http://\xff\xfe/", "redirects to http://"),
        (f"https://elsewhere/?token={SECRET}", "redirects to https://elsewhere/."),
        (f"/login/{SECRET}\t\x1b[31m", r"redirects to /login/***\x1b[31m"),
        ("//user:hushhush@elsewhere/x", "redirects to https://elsewhere/x"),
        ("http://elsewhere/" + "x" * 5000, "redirects to http://elsewhere/xxx"),
    ],
)
def test_a_redirect_to_anything_is_told_in_words(
    capture: PosthogCapture, clock: Clock, location: str, words: str
) -> None:
    """What is wrong with it, or where it leads; never a traceback, never a secret."""
    capture.fail(Fault.REDIRECT, location=location, status=308)
    with pytest.raises(FixConfiguration) as raised:
        send(capture, clock, key=SECRET)
    told = str(raised.value)
    assert words in told
    assert "hushhush" not in told
    assert SECRET not in told
    assert len(told) < 700


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 599])
def test_what_passes_is_tried_again_with_the_same_body(
    capture: PosthogCapture, clock: Clock, status: int
) -> None:
    """Byte by byte the same, so that PostHog can merge what it got twice."""
    capture.fail(Fault.STATUS, times=3, status=status)
    assert send(capture, clock) is None
    assert [request.status for request in capture.requests] == [status] * 3 + [200]
    assert len({request.wire_bytes for request in capture.requests}) == 1
    assert len(clock.waits) == 3


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE_STORE, Fault.LOSE_ANSWER])
def test_a_cut_connection_is_tried_again(
    capture: PosthogCapture, clock: Clock, fault: Fault
) -> None:
    """PostHog may have stored it or not; it holds it once."""
    capture.fail(fault, times=2)
    assert send(capture, clock) is None
    assert len(capture.requests) == 3
    assert len({request.wire_bytes for request in capture.requests}) == 1
    assert len(capture.held()) == 1


def test_waiting_grows_with_jitter(capture: PosthogCapture, clock: Clock) -> None:
    """Many workers must not come back at the same moment, nor too often."""
    capture.fail(Fault.STATUS, times=12)
    with api_to(capture.url, clock, patience=10_000) as api:
        api.send(body())
    assert len(set(clock.waits)) == 12
    assert all(0 <= wait <= min(60, 0.5 * 2**n) for n, wait in enumerate(clock.waits))
    assert max(clock.waits) > 1


def test_retry_after_is_a_minimum(capture: PosthogCapture, clock: Clock) -> None:
    """Where it can be read; else the usual wait takes its place (forms: tests/common)."""
    for value in (17, "soon"):
        capture.fail(Fault.STATUS, status=429, retry_after=value)
        assert send(capture, clock) is None
    asked, usual = clock.waits
    assert asked == 17
    assert usual <= 0.5


def test_waiting_is_bounded_and_the_last_try_is_made_at_its_end(
    capture: PosthogCapture, clock: Clock
) -> None:
    """Then the run stops, and the state stands where it is."""
    capture.fail(Fault.STATUS, times=10_000)
    with pytest.raises(RunAgain, match=r"for 100 s: it answered 503.*max_retry_seconds") as raised:
        send(capture, clock)
    assert clock.now == pytest.approx(1100.0)
    assert raised.value.saved in str(raised.value)


@pytest.mark.parametrize(
    ("asked", "words", "remedy"),
    [
        (100, "100 s", "Run again after that time"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "more than a year", "run again in some minutes"),
    ],
)
def test_a_wait_that_would_pass_the_limit_is_not_begun(
    capture: PosthogCapture, clock: Clock, asked: object, words: str, remedy: str
) -> None:
    """Sleeping for an hour and then giving up would help nobody; how long it would be is told."""
    capture.fail(Fault.STATUS, status=429, retry_after=asked)
    told = rf"asks to wait {words}, longer than `max_retry_seconds` \(100\): it answered 429"
    with pytest.raises(RunAgain, match=rf"{told}(.|\n)*{remedy}"):
        send(capture, clock)
    assert clock.waits == []


def test_each_body_has_the_whole_time(capture: PosthogCapture, clock: Clock) -> None:
    """A pause in the first hour does not shorten that of the last."""
    with api_to(capture.url, clock) as api:
        for _ in range(3):
            capture.fail(Fault.STATUS, status=429, retry_after=90)
            assert api.send(body()).refused is None
    assert clock.waits == [90.0] * 3


def test_the_user_learns_once_that_it_waits(
    capture: PosthogCapture, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Quiet waiting looks like hanging; a line per try would be noise."""
    capture.fail(Fault.STATUS, times=5)
    with caplog.at_level(logging.WARNING, "target-posthog"):
        send(capture, clock)
    assert [record.message for record in caplog.records] == [
        "PostHog cannot take a batch now: it answered 503. Trying again for up to 100 s."
    ]


def test_several_requests_that_wait_for_the_same_are_told_once(
    capture: PosthogCapture, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a short outage is a line for each lane; later it is said again."""
    with (
        caplog.at_level(logging.WARNING, "target-posthog"),
        api_to(capture.url, clock) as api,
        pytest.MonkeyPatch.context() as patch,
    ):
        for at in (100.0, 101.0, 109.0, 111.0):
            patch.setattr("target_posthog.capture.client.time.monotonic", lambda at=at: at)
            capture.fail(Fault.STATUS)
            api.send(body())
        capture.fail(Fault.STATUS, status=429)
        api.send(body())
    said = [record.message.split(".")[0] for record in caplog.records]
    waits = "PostHog cannot take a batch now: it answered "
    assert said == [f"{waits}503", f"{waits}503", f"{waits}429"]


@pytest.mark.parametrize(
    "answer", ["<html>Welcome to the hotel's network</html>", '{"status":"error"}', "[" * 100_000]
)
def test_a_200_that_is_not_posthogs_yes_is_no_acceptance(
    capture: PosthogCapture, clock: Clock, answer: str
) -> None:
    """A portal says 200 to everything; the events would be lost. PostHog may come back."""
    capture.fail(Fault.STATUS, times=2, status=200, body=answer)
    assert send(capture, clock) is None
    assert len(capture.requests) == 3
    capture.fail(Fault.STATUS, times=10_000, status=200, body=answer)
    with pytest.raises(RunAgain) as raised:
        send(capture, clock)
    assert f"{capture.url} answered 200, but not as PostHog's ingestion does: " in str(raised.value)
    assert raised.value.saved in str(raised.value)
    assert len(str(raised.value)) < 800


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_a_key_that_a_server_repeats_is_not_shown(
    capture: PosthogCapture, clock: Clock, status: int
) -> None:
    """Messages go to logs, and refusals to the rejects file."""
    capture.fail(Fault.STATUS, status=status, body=f"bad token {SECRET} in request" + "x" * 1000)
    try:
        refused = send(capture, clock, key=SECRET)
        assert refused is not None
        shown = refused.reason
    except TargetPosthogError as error:
        shown = str(error)
    assert "bad token *** in request" in shown
    assert SECRET not in shown
    assert len(shown) < 700


def test_an_answer_is_shown_as_one_line(capture: PosthogCapture, clock: Clock) -> None:
    """It stands in a log, or in a field of the rejects file."""
    capture.fail(Fault.STATUS, status=400, body="<html>\n\n  <h1>Bad\r\nRequest</h1>")
    assert send(capture, clock) == BatchRefused(400, "<html> <h1>Bad Request</h1>")


def test_nobody_at_the_address_is_waited_for_and_then_told(clock: Clock) -> None:
    """The network may come back."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        api_to(f"http://127.0.0.1:{port}", clock, patience=5) as api,
        pytest.raises(RunAgain, match=f"for 5 s: http://127.0.0.1:{port}: .*refused"),
    ):
        api.send(body())
    assert sum(clock.waits) == pytest.approx(5)


def test_a_server_without_tls_is_told_as_such(capture: PosthogCapture, clock: Clock) -> None:
    """An https address of a plain server is a usual slip."""
    host = capture.url.replace("http://", "https://")
    with (
        api_to(host, clock, patience=1) as api,
        pytest.raises(RunAgain, match=r"https://127\.0\.0\.1:\d+: the TLS connection failed \("),
    ):
        api.send(body())


def test_a_slow_answer_is_waited_for(
    capture: PosthogCapture, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to a limit; then the same body goes out again."""
    monkeypatch.setattr("target_posthog.capture.bounded_http._ANSWER_SECONDS", 0.3)
    capture.fail(Fault.SLOW, seconds=1.0)
    started = time.monotonic()
    assert send(capture, clock) is None
    assert time.monotonic() - started < 5
    assert [request.status for request in capture.requests] == [200, 200]
    assert len(capture.held()) == 1


@pytest.mark.parametrize(
    "host", ["http://" + "a" * 70 + ".invalid", "http://.example.invalid", "http://a b"]
)
def test_a_host_that_cannot_be_looked_up_is_a_matter_of_configuration(
    host: str, clock: Clock
) -> None:
    """Trying again would not help."""
    with api_to(host, clock) as api, pytest.raises(FixConfiguration, match="Set `host`"):
        api.send(body())
    assert clock.waits == []


def test_the_password_of_a_proxy_is_not_shown(capture: PosthogCapture, clock: Clock) -> None:
    """It may stand in front of the host."""
    capture.fail(Fault.STATUS, status=404)
    host = capture.url.replace("http://", "http://user:hushhush@")
    with api_to(host, clock) as api, pytest.raises(FixConfiguration) as raised:
        api.send(body())
    assert "hushhush" not in str(raised.value)
    assert capture.url in str(raised.value)
