"""What each answer of PostHog means, over real HTTP."""

from __future__ import annotations

import logging
import re
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.hosts import ingestion_host
from target_posthog.capture.peer import redirect_words
from target_posthog.capture.protocols import BatchWire
from target_posthog.capture.results import BatchRefused
from target_posthog.errors import FixConfiguration, RunAgain, TargetPosthogError
from tests.fakes.posthog_capture import Fault, PosthogCapture
from tests.support.deliveries import Clock, batch_of, capture_api, converted, item

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from target_posthog.capture.batches import Batch
    from target_posthog.capture.client import CaptureApi

KEY = "phc_test"
SECRET = "phc_very_secret_key"


def body(*numbers: int) -> Batch:
    """Return a batch with sound events."""
    return batch_of(*map(item, numbers or (1,)))


@dataclass(frozen=True)
class Client:
    """What sends to the stand-in, by a clock that only its waits move on."""

    capture: PosthogCapture
    clock: Clock

    def api(
        self, host: str = "", *, key: str = KEY, patience: float = 100
    ) -> AbstractContextManager[CaptureApi]:
        """Give the client, and close it."""
        address, wire = ingestion_host(host or self.capture.url), BatchWire(key)
        return capture_api(address, wire, key=key, patience=patience, sleep=self.clock.sleep)

    def send(self, **options: Any) -> BatchRefused | None:
        """Send one body."""
        with self.api(**options) as api:
            return api.send(body()).refused


@pytest.fixture
def client(capture: PosthogCapture, clock: Clock) -> Client:
    """A client of this test's own."""
    return Client(capture, clock)


def test_a_body_arrives_as_it_is_compressed_and_without_sent_at(client: Client) -> None:
    """PostHog would shift every time by `sent_at`."""
    assert client.send() is None
    (request,) = client.capture.requests
    assert (request.method, request.path) == ("POST", "/batch/")
    assert request.headers["content-encoding"] == "gzip"
    assert request.wire_bytes == body().packed
    assert request.headers["user-agent"] == "test/1"
    assert "sent_at" not in request.body
    (event,) = client.capture.events
    assert event["timestamp"] == converted(1).event["timestamp"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [(400, "event submitted without a distinct_id"), (413, "maximum event size exceeded")],
)
def test_a_refusal_is_told_with_posthogs_words(client: Client, status: int, answer: str) -> None:
    """The delivery halves the batch; trying the same body again would not help."""
    client.capture.fail(Fault.STATUS, status=status, body=answer)
    assert client.send() == BatchRefused(status, answer)
    assert len(client.capture.requests) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "project token"),
        (402, "billing"),
        (403, r"does not take events: it answered 403 \(error code: 1020\)"),
        (404, r"does not take events: it answered 404 \(error code: 1020\)"),
        (405, "does not take events: it answered 405"),
        (415, "does not take events: it answered 415"),
    ],
)
def test_what_no_repeat_can_help_stops_at_once(client: Client, status: int, words: str) -> None:
    """With the exit code of a wrong configuration, and what to set."""
    client.capture.fail(Fault.STATUS, status=status, body="error code: 1020")
    with pytest.raises(FixConfiguration, match=words):
        client.send()
    assert len(client.capture.requests) == 1
    assert client.clock.waits == []


@pytest.mark.parametrize(
    ("status", "page"),
    [
        *((status, "<html>Attention required</html>") for status in (400, 401, 403, 404, 405, 451)),
        (403, "error code: 1020"),
        (404, "default backend - 404"),
        (421, "no such host"),
    ],
)
def test_a_page_before_posthog_is_no_wrong_key_and_no_bad_event(
    client: Client, status: int, page: str
) -> None:
    """At the start it is the wrong host; in mid-run a firewall may let the next one pass."""
    client.capture.fail(Fault.STATUS, status=status, body=page)
    words = re.escape(f"does not take events: it answered {status} ({page}). Set `host`")
    with client.api() as api:
        with pytest.raises(FixConfiguration, match=words):
            api.send(body())
        api.send(body(1))
        client.capture.fail(Fault.STATUS, times=2, status=status, body=page)
        assert api.send(body(2)).refused is None
    assert len(client.capture.held()) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(client: Client, status: int) -> None:
    """A redirected POST becomes a GET without its body, and would look delivered."""
    with PosthogCapture() as other:
        client.capture.fail(
            Fault.REDIRECT, location=f"{other.url}/batch/?a=1", status=status, body="<html>"
        )
        words = f"it answered {status} and redirects to {other.url}/batch/. Set `host`"
        with pytest.raises(FixConfiguration, match=re.escape(words)):
            client.send()
        assert other.requests == []
    assert client.capture.events == []


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
def test_a_redirect_to_anything_is_told_in_words(client: Client, location: str, words: str) -> None:
    """What is wrong with it, or where it leads; never a traceback, never a secret."""
    client.capture.fail(Fault.REDIRECT, location=location, status=308)
    with pytest.raises(FixConfiguration) as raised:
        client.send(key=SECRET)
    told = str(raised.value)
    assert words in told
    assert "hushhush" not in told
    assert SECRET not in told
    assert len(told) < 700


@given(
    st.text(st.characters(max_codepoint=255), max_size=60)
    | st.from_regex(r"(https?:)?//[\[\]:@%a.\d]*/?.{0,9}", fullmatch=True)
)
def test_any_redirect_is_told_in_words(location: str) -> None:
    """Without what stands before the host or behind the path: those can hold secrets."""
    assert redirect_words(location).startswith("redirects to ")
    told = redirect_words(f"https://me:hushhush@host/path?token=hushhush#{location}")
    assert told == "redirects to https://host/path"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 599])
def test_what_passes_is_tried_again_with_the_same_body(client: Client, status: int) -> None:
    """Byte by byte the same, so that PostHog can merge what it got twice."""
    client.capture.fail(Fault.STATUS, times=3, status=status)
    assert client.send() is None
    assert [request.status for request in client.capture.requests] == [status] * 3 + [200]
    assert len({request.wire_bytes for request in client.capture.requests}) == 1
    assert len(client.clock.waits) == 3


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE_STORE, Fault.LOSE_ANSWER])
def test_a_cut_connection_is_tried_again(client: Client, fault: Fault) -> None:
    """PostHog may have stored it or not; it holds it once."""
    client.capture.fail(fault, times=2)
    assert client.send() is None
    assert len(client.capture.requests) == 3
    assert len({request.wire_bytes for request in client.capture.requests}) == 1
    assert len(client.capture.held()) == 1


def test_waiting_grows_with_jitter(client: Client) -> None:
    """Many workers must not come back at the same moment, nor too often."""
    client.capture.fail(Fault.STATUS, times=12)
    with client.api(patience=10_000) as api:
        api.send(body())
    assert len(set(client.clock.waits)) == 12
    assert all(0 <= wait <= min(60, 0.5 * 2**n) for n, wait in enumerate(client.clock.waits))
    assert max(client.clock.waits) > 1


def test_retry_after_is_a_minimum(client: Client) -> None:
    """Where it can be read; else the usual wait takes its place (forms: tests/common)."""
    for value in (17, "soon"):
        client.capture.fail(Fault.STATUS, status=429, retry_after=value)
        assert client.send() is None
    asked, usual = client.clock.waits
    assert asked == 17
    assert usual <= 0.5


def test_waiting_is_bounded_and_the_last_try_is_made_at_its_end(client: Client) -> None:
    """Then the run stops, and the state stands where it is."""
    client.capture.fail(Fault.STATUS, times=10_000)
    with pytest.raises(RunAgain, match=r"for 100 s: it answered 503.*max_retry_seconds") as raised:
        client.send()
    assert client.clock.now == pytest.approx(1100.0)
    assert raised.value.saved in str(raised.value)


@pytest.mark.parametrize(
    ("asked", "words", "remedy"),
    [
        (100, "100 s", "Run again after that time"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "more than a year", "run again in some minutes"),
    ],
)
def test_a_wait_that_would_pass_the_limit_is_not_begun(
    client: Client, asked: object, words: str, remedy: str
) -> None:
    """Sleeping for an hour and then giving up would help nobody; how long it would be is told."""
    client.capture.fail(Fault.STATUS, status=429, retry_after=asked)
    told = rf"asks to wait {words}, longer than `max_retry_seconds` \(100\): it answered 429"
    with pytest.raises(RunAgain, match=rf"{told}(.|\n)*{remedy}"):
        client.send()
    assert client.clock.waits == []


def test_each_body_has_the_whole_time(client: Client) -> None:
    """A pause in the first hour does not shorten that of the last."""
    with client.api() as api:
        for _ in range(3):
            client.capture.fail(Fault.STATUS, status=429, retry_after=90)
            assert api.send(body()).refused is None
    assert client.clock.waits == [90.0] * 3


def test_the_user_learns_once_that_it_waits(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Quiet waiting looks like hanging; a line per try would be noise."""
    client.capture.fail(Fault.STATUS, times=5)
    with caplog.at_level(logging.WARNING, "target-posthog"):
        client.send()
    assert [record.message for record in caplog.records] == [
        "PostHog cannot take a batch now: it answered 503. Trying again for up to 100 s."
    ]


def test_several_requests_that_wait_for_the_same_are_told_once(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a short outage is a line for each lane; later it is said again."""
    with (
        caplog.at_level(logging.WARNING, "target-posthog"),
        client.api() as api,
        pytest.MonkeyPatch.context() as patch,
    ):
        for at in (100.0, 101.0, 109.0, 111.0):
            patch.setattr("target_posthog.capture.client.time.monotonic", lambda at=at: at)
            client.capture.fail(Fault.STATUS)
            api.send(body())
        client.capture.fail(Fault.STATUS, status=429)
        api.send(body())
    said = [record.message.split(".")[0] for record in caplog.records]
    waits = "PostHog cannot take a batch now: it answered "
    assert said == [f"{waits}503", f"{waits}503", f"{waits}429"]


@pytest.mark.parametrize(
    "answer", ["<html>Welcome to the hotel's network</html>", '{"status":"error"}', "[" * 100_000]
)
def test_a_200_that_is_not_posthogs_yes_is_no_acceptance(client: Client, answer: str) -> None:
    """A portal says 200 to everything; the events would be lost. PostHog may come back."""
    client.capture.fail(Fault.STATUS, times=2, status=200, body=answer)
    assert client.send() is None
    assert len(client.capture.requests) == 3
    client.capture.fail(Fault.STATUS, times=10_000, status=200, body=answer)
    with pytest.raises(RunAgain) as raised:
        client.send()
    words = f"{client.capture.url} answered 200, but not as PostHog's ingestion does: "
    assert words in str(raised.value)
    assert raised.value.saved in str(raised.value)
    assert len(str(raised.value)) < 800


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_a_key_that_a_server_repeats_is_not_shown(client: Client, status: int) -> None:
    """Messages go to logs, and refusals to the rejects file."""
    answer = f"bad token {SECRET} in request" + "x" * 1000
    client.capture.fail(Fault.STATUS, status=status, body=answer)
    try:
        refused = client.send(key=SECRET)
        assert refused is not None
        shown = refused.reason
    except TargetPosthogError as error:
        shown = str(error)
    assert "bad token *** in request" in shown
    assert SECRET not in shown
    assert len(shown) < 700


def test_an_answer_is_shown_as_one_line(client: Client) -> None:
    """It stands in a log, or in a field of the rejects file."""
    client.capture.fail(Fault.STATUS, status=413, body="<html>\n\n  <h1>Too\r\nLarge</h1>")
    assert client.send() == BatchRefused(413, "<html> <h1>Too Large</h1>")


def test_nobody_at_the_address_is_waited_for_and_then_told(client: Client) -> None:
    """The network may come back."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        client.api(f"http://127.0.0.1:{port}", patience=5) as api,
        pytest.raises(RunAgain, match=f"for 5 s: http://127.0.0.1:{port}: .*refused"),
    ):
        api.send(body())
    assert sum(client.clock.waits) == pytest.approx(5)


def test_a_server_without_tls_is_told_as_such(client: Client) -> None:
    """An https address of a plain server is a usual slip."""
    host = client.capture.url.replace("http://", "https://")
    with (
        client.api(host, patience=1) as api,
        pytest.raises(RunAgain, match=r"https://127\.0\.0\.1:\d+: the TLS connection failed \("),
    ):
        api.send(body())


def test_a_slow_answer_is_waited_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a limit; then the same body goes out again."""
    monkeypatch.setattr("target_posthog.capture.bounded_http._ANSWER_SECONDS", 0.3)
    client.capture.fail(Fault.SLOW, seconds=1.0)
    started = time.monotonic()
    assert client.send() is None
    assert time.monotonic() - started < 5
    assert [request.status for request in client.capture.requests] == [200, 200]
    assert len(client.capture.held()) == 1


@pytest.mark.parametrize(
    "host", ["http://" + "a" * 70 + ".invalid", "http://.example.invalid", "http://a b"]
)
def test_a_host_that_cannot_be_looked_up_is_a_matter_of_configuration(
    client: Client, host: str
) -> None:
    """Trying again would not help."""
    with client.api(host) as api, pytest.raises(FixConfiguration, match="Set `host`"):
        api.send(body())
    assert client.clock.waits == []


def test_the_password_of_a_proxy_is_not_shown(client: Client) -> None:
    """It may stand in front of the host."""
    client.capture.fail(Fault.STATUS, status=404)
    host = client.capture.url.replace("http://", "http://user:hushhush@")
    with client.api(host) as api, pytest.raises(FixConfiguration) as raised:
        api.send(body())
    assert "hushhush" not in str(raised.value)
    assert client.capture.url in str(raised.value)
