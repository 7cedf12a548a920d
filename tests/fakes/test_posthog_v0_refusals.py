"""The stand-in's `/batch/` refuses what PostHog's capture service refuses, as a whole."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import PosthogCapture
from tests.fakes.posthog_probe import UUID, batch, event, post

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
SOUND = event(uuid=None)
NO_SHAPE = "failed to hydrate events from request: non-engage request missing event name attribute"


@pytest.fixture
def capture() -> Iterator[PosthogCapture]:
    """Serve with a clock that stands still."""
    with PosthogCapture(now=NOW) as running:
        yield running


def nested(levels: int) -> Any:
    """Make a list that holds `levels` lists in one another."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "bad",
    [
        event(uuid="no-uuid"),
        event(uuid=UUID[:-1]),
        event(uuid=5),
        event(properties=[]),
        event(properties="{}"),
        {**event(), "properties": None},
        event(timestamp=1704110400),
        event(event=None),
        event(event=7),
        {**event(), "$set": []},
        {**event(), "$set_once": "x"},
        event(offset=1.5),
        event(offset=2**63),
        event(api_key=5),
        {**event(), "$distinct_id": "u1"},
        "event",
        None,
    ],
    ids=lambda bad: json.dumps(bad)[-40:],
)
def test_one_event_of_a_wrong_type_refuses_all(capture: PosthogCapture, bad: Any) -> None:
    """The untagged enum `RawRequest` then fits only as `Engage`, which has no name here."""
    reply = post(capture, batch(SOUND, bad, SOUND))

    assert (reply.status, reply.text) == (400, NO_SHAPE)
    assert reply.headers.get_content_type() == "text/plain"
    assert capture.events == []


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (event(event=""), "event submitted with an empty event name"),
        (event(distinct_id=None), "event submitted without a distinct_id"),
        (event(distinct_id=""), "event submitted without a distinct_id"),
        (event(distinct_id=" \t"), "event submitted without a distinct_id"),
        (
            event(distinct_id=None, properties={"distinct_id": None}),
            "event submitted without a distinct_id",
        ),
        (
            event(properties={"$cookieless_mode": "yes"}),
            "event submitted with invalid cookieless mode",
        ),
    ],
)
def test_one_event_without_what_it_needs_refuses_all(
    capture: PosthogCapture, bad: dict[str, Any], text: str
) -> None:
    """A docs page says such events still get 200; the code answers 400."""
    reply = post(capture, batch(SOUND, bad, SOUND))

    assert (reply.status, reply.text) == (400, text)
    assert capture.events == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "request missing data payload"),
        (batch(), "request holds no event"),
        (b"[]", "request holds no event"),
        (b"\xff{}", "failed to decode request: invalid UTF8 in request payload"),
        (b"\x1f\x8b\x08 broken", "failed to decode request: invalid GZIP data"),
        (gzip.compress(batch(SOUND), mtime=0)[:-9], "failed to decode request: invalid GZIP data"),
        (gzip.compress(b"\xff", mtime=0), "failed to decode request: invalid gzip data"),
        (b"17", "failed to parse request: data did not match any variant"),
        (b"[{}]", "failed to parse request: data did not match any variant"),
        (batch(SOUND, sent_at=5), NO_SHAPE),
        (batch(SOUND, historical_migration="true"), NO_SHAPE),
        (batch(SOUND, token="phc_test"), "failed to parse request: data did not match"),
        (b'{"batch":[]}', NO_SHAPE),
        (batch(SOUND)[:-1], "failed to parse request"),
        (batch(event(properties={"x": float("nan")})), "failed to parse request"),
        (batch(event(properties={"x": "?"})).replace(b'"?"', b"1e999"), "failed to parse request"),
        (batch(event(properties={"x": "\ud800"})), "failed to parse request"),
        (
            batch(event(properties={"x": nested(124)})),
            "failed to parse request: recursion limit exceeded",
        ),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else None,
)
def test_a_body_that_cannot_be_read_is_refused(
    capture: PosthogCapture, body: bytes, text: str
) -> None:
    """400 and the reason as plain text."""
    reply = post(capture, body)

    assert reply.status == 400
    assert reply.text.startswith(text)
    assert capture.events == []


def test_json_may_be_nested_127_deep(capture: PosthogCapture) -> None:
    """Envelope, batch, event and properties take four of these levels."""
    assert post(capture, batch(event(properties={"x": nested(123)}))).status == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (batch(SOUND, api_key=""), "API key is not valid: empty"),
        (batch(SOUND, api_key=" \n"), "API key is not valid: empty"),
        (batch(SOUND, api_key="k" * 65), "API key is not valid: too_long"),
        (batch(SOUND, api_key="phc_é"), "API key is not valid: not_ascii"),
        (batch(SOUND, api_key="phx_mine"), "API key is not valid: personal_api_key"),
        (batch(SOUND, api_key="a\0b"), "API key is not valid: null_byte"),
        (json.dumps([SOUND]).encode(), "event submitted without an api_key"),
        (
            json.dumps([{**SOUND, "token": "a"}, {**SOUND, "token": "b"}]).encode(),
            "batch submitted with inconsistent api_key values",
        ),
    ],
)
def test_a_key_of_a_wrong_shape_is_refused(capture: PosthogCapture, body: bytes, text: str) -> None:
    """401, before any event is looked at."""
    reply = post(capture, body)

    assert (reply.status, reply.text) == (401, text)
    assert capture.events == []


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_body_called_gzip_that_is_not_is_refused(capture: PosthogCapture, how: str) -> None:
    """The claim is believed."""
    headers = {"Content-Encoding": "gzip"} if how == "header" else {}
    path = "/batch/?compression=gzip" if how == "query" else "/batch/"

    assert post(capture, batch(SOUND), path, headers).status == 400


def message_limit(sent: dict[str, Any]) -> int:
    """Find the lowest limit under which an event still passes."""
    low, high = 0, 10_000
    while high - low > 1:
        middle = (low + high) // 2
        with PosthogCapture(max_event_bytes=middle) as capture:
            passed = post(capture, batch(sent)).status == 200
        low, high = (low, middle) if passed else (middle, high)
    return high


def test_the_size_of_an_event_counts_its_quotes_twice() -> None:
    """The event stands as a JSON string inside the JSON of its Kafka message."""
    plain, quotes = event(properties={"x": "a" * 50}), event(properties={"x": '"' * 50})

    # A quote is written \" in the event, and both of these are escaped once more.
    assert message_limit(quotes) - message_limit(plain) == 150


def test_one_event_too_big_refuses_all(capture: PosthogCapture) -> None:
    """413; the stand-in stores nothing then."""
    reply = post(capture, batch(SOUND, event(properties={"x": "y" * 999_000}), SOUND))
    assert reply.status == 200

    reply = post(capture, batch(SOUND, event(properties={"x": "y" * 1_000_000}), SOUND))

    assert reply.status == 413
    assert reply.text.startswith("maximum event size exceeded")
    assert len(capture.events) == 3


def test_a_body_over_20_mib_on_the_wire_is_refused(capture: PosthogCapture) -> None:
    """The answer arrives although the body was too long."""
    reply = post(capture, b" " * (20 * 1024 * 1024 + 1))

    assert reply.status == 413
    assert reply.text.startswith("maximum event size exceeded")


def test_a_body_over_100_mib_unpacked_is_refused(capture: PosthogCapture) -> None:
    """Five times the limit of the wire."""
    reply = post(capture, gzip.compress(b" " * (100 * 1024 * 1024 + 1), 1))

    assert reply.status == 413
    assert reply.text.startswith("maximum event size exceeded")
