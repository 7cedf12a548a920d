"""The stand-in's `/batch/` keeps and refuses what PostHog's capture service does."""

from __future__ import annotations

import gzip
import json
import uuid as uuids
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import PosthogCapture
from tests.fakes.posthog_probe import NOON, UUID, batch, event, post

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
SOUND = event(uuid=None)
MIB = 1024 * 1024
#: As `RawRequest` reads it, an envelope with one event of a wrong type fits only as `Engage`.
NO_SHAPE = "failed to hydrate events from request: non-engage request missing event name attribute"
NO_VARIANT = "failed to parse request: data did not match any variant"
NO_ID = "event submitted without a distinct_id"
NO_TOKEN = "event submitted without an api_key"
TWO_TOKENS = "batch submitted with inconsistent api_key values"
NO_GZIP = "failed to decode request: invalid GZIP data"
TOO_BIG = "maximum event size exceeded"


@pytest.fixture
def capture() -> Iterator[PosthogCapture]:
    """Serve with a clock that stands still."""
    with PosthogCapture(now=NOW) as running:
        yield running


def nested(levels: int) -> Any:
    """Return a list that holds `levels` lists in one another."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_a_sound_batch_is_answered_and_kept(capture: PosthogCapture) -> None:
    """The stored event has what PostHog shows of it, and the batch's flag apart."""
    reply = post(capture, batch(event(), historical_migration=True))

    assert (reply.status, reply.json) == (200, {"status": "Ok"})
    assert capture.events == [{**event(), "_historical": True}]


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        *((path, {}, batch(event())) for path in ("/batch", "/batch/", "/i/v0/e", "/capture/?v=1")),
        ("/batch/", {"Content-Encoding": "gzip"}, gzip.compress(batch(event()), mtime=0)),
        ("/batch/?compression=gzip", {}, gzip.compress(batch(event()), mtime=0)),
        ("/batch/?compression=gzip-js", {}, gzip.compress(batch(event()), mtime=0)),
        ("/batch/", {}, gzip.compress(batch(event()), mtime=0)),
        ("/batch/", {}, batch(event(), api_key=" phc_test\n")),
        # A bare list and a single event have their key inside, and are never historical.
        ("/batch/", {}, json.dumps([event(api_key="phc_test")]).encode()),
        ("/i/v0/e", {}, json.dumps(event(token="phc_test", historical_migration=True)).encode()),
        ("/e/", {}, json.dumps(event(properties={"token": "phc_test"})).encode()),
        # Envelope, batch, event and properties take four of 127 levels.
        ("/batch/", {}, batch(event(properties={"x": nested(123)}))),
        ("/batch/", {}, batch(event(properties={"x": "y" * 999_000}))),
    ],
    ids=lambda value: value[:9] if isinstance(value, bytes) else str(value),
)
def test_a_batch_is_taken_in_many_forms(
    capture: PosthogCapture, path: str, headers: dict[str, str], body: bytes
) -> None:
    """On every path, packed as a header, the query or the first bytes say, blanks at the key."""
    assert post(capture, body, path, headers).status == 200
    assert [stored["_historical"] for stored in capture.events] == [False]
    plain = gzip.decompress(body) if body[:1] == b"\x1f" else body
    assert capture.requests[0].body == json.loads(plain)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        # Ids become text of at most 200 characters, and nothing of it is told to the sender.
        (event(distinct_id="x" * 201), {"distinct_id": "x" * 200}),
        (event(distinct_id="é" * 201), {"distinct_id": "é" * 200}),
        (event(distinct_id="a\0b"), {"distinct_id": "a\ufffdb"}),
        (event(distinct_id=23), {"distinct_id": "23"}),
        (event(distinct_id=23.5), {"distinct_id": "23.5"}),
        (event(distinct_id=True), {"distinct_id": "true"}),
        (event(distinct_id=["a", 1]), {"distinct_id": '["a",1]'}),
        (event(distinct_id={"b": 1, "a": 2}), {"distinct_id": '{"a":2,"b":1}'}),
        (event(distinct_id=" u1 "), {"distinct_id": " u1 "}),
        # The id may stand in the properties; the one at the top wins.
        (event(distinct_id=None, properties={"distinct_id": "in"}), {"distinct_id": "in"}),
        (event(properties={"distinct_id": "in"}), {"distinct_id": "u1"}),
        # Names are cut at 200 UTF-16 units: a character beyond the basic plane counts twice.
        (event(event="n" * 201), {"event": "n" * 200}),
        (event(event="🦔" * 101), {"event": "🦔" * 100}),
        # Rust's parser takes several forms of a uuid.
        *((event(uuid=form), {"uuid": UUID}) for form in (UUID.upper(), UUID.replace("-", ""))),
        (event(uuid=f"{{{UUID}}}"), {"uuid": UUID}),
        # Person properties beside the properties move into them, and win.
        (
            event(
                properties={"$set": {"a": 1, "b": 1}}, **{"$set": {"b": 2}, "$set_once": {"c": 3}}
            ),
            {"properties": {"$set": {"a": 1, "b": 2}, "$set_once": {"c": 3}}},
        ),
        # Milliseconds before now, meant for clients without a clock.
        (event(offset=1500), {"timestamp": "2024-05-31T23:59:58.500000Z"}),
        # A time that cannot be read becomes now, silently.
        *(
            (event(timestamp=time), {"timestamp": "2024-06-01T00:00:00.000000Z"})
            for time in (None, "", "yesterday", "2024-13-01T00:00:00Z")
        ),
    ],
    ids=lambda value: json.dumps(value, ensure_ascii=False)[-40:],
)
def test_an_event_is_kept_as_posthog_keeps_it(
    capture: PosthogCapture, sent: dict[str, Any], kept: dict[str, Any]
) -> None:
    """All of these get 200."""
    assert post(capture, batch(sent)).status == 200
    (stored,) = capture.events
    assert {name: stored[name] for name in kept} == kept


@pytest.mark.parametrize("uuid", [None, ""])
def test_an_event_without_a_uuid_gets_a_new_one(capture: PosthogCapture, uuid: str | None) -> None:
    """So the same event sent twice is held twice."""
    body = batch(event(uuid=uuid))
    post(capture, body)
    post(capture, body)

    assert {uuids.UUID(stored["uuid"]).version for stored in capture.events} == {7}
    assert len(capture.held()) == 2


def test_a_wrong_key_of_a_right_shape_is_accepted_and_its_events_vanish(
    capture: PosthogCapture,
) -> None:
    """Capture does not know which projects exist."""
    reply = post(capture, batch(event(), api_key="phc_wrong"))

    assert (reply.status, reply.json) == (200, {"status": "Ok"})
    assert capture.events == []
    assert [stored["uuid"] for stored in capture.vanished] == [UUID]
    assert capture.requests[0].stored == 0


def test_performance_events_are_left_out(capture: PosthogCapture) -> None:
    """A batch of nothing else is fine too."""
    performance = event(event="$performance_event")

    assert post(capture, batch(performance, SOUND)).status == 200
    assert post(capture, batch(performance)).json == {"status": "Ok"}
    assert [stored["event"] for stored in capture.events] == ["viewed"]


def test_sent_at_moves_every_event_by_the_difference_of_the_clocks(
    capture: PosthogCapture,
) -> None:
    """Unless the event says `$ignore_sent_at`."""
    kept = event(properties={"$ignore_sent_at": True})
    post(capture, batch(event(), kept, sent_at="2024-05-31T23:59:30Z"))

    times = [stored["timestamp"] for stored in capture.events]
    assert times == ["2024-01-01T12:00:30.000000Z", NOON]


def test_a_repeat_is_one_event_only_when_all_four_keys_agree(capture: PosthogCapture) -> None:
    """uuid, name, id and day: ClickHouse replaces by these, and the last one stays."""
    others = ({"event": "other"}, {"distinct_id": "u2"}, {"timestamp": "2024-01-02T00:00:00Z"})
    last = event(timestamp="2024-01-01T23:59:59Z", properties={"a": 3})
    post(
        capture,
        batch(event(), event(properties={"a": 2}), last, *(event(**one) for one in others)),
    )

    assert (len(capture.events), len(capture.held())) == (6, 4)
    assert capture.held()[UUID, "viewed", "u1", "2024-01-01"]["properties"] == {"a": 3}


@pytest.mark.parametrize(
    ("status", "text", "bad"),
    [
        *(
            (400, NO_SHAPE, bad)
            for bad in (
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
            )
        ),
        # A page of the documentation says that such events still get 200; the code answers 400.
        (400, "event submitted with an empty event name", event(event="")),
        (400, NO_ID, event(distinct_id=None)),
        (400, NO_ID, event(distinct_id="")),
        (400, NO_ID, event(distinct_id=" \t")),
        (400, NO_ID, event(distinct_id=None, properties={"distinct_id": None})),
        (
            400,
            "event submitted with invalid cookieless mode",
            event(properties={"$cookieless_mode": "yes"}),
        ),
        (413, TOO_BIG, event(properties={"x": "y" * 1_000_000})),
    ],
    ids=lambda value: json.dumps(value)[-40:],
)
def test_one_bad_event_refuses_all(
    capture: PosthogCapture, status: int, text: str, bad: Any
) -> None:
    """The reason comes as plain text, and nothing is stored."""
    reply = post(capture, batch(SOUND, bad, SOUND))

    assert (reply.status, reply.text.split(": Event rejected")[0]) == (status, text)
    assert reply.headers.get_content_type() == "text/plain"
    assert capture.events == []


@pytest.mark.parametrize(
    ("status", "text", "body"),
    [
        (400, "request missing data payload", b""),
        (400, "request holds no event", batch()),
        (400, "failed to decode request: invalid UTF8 in request payload", b"\xff{}"),
        (400, NO_GZIP, b"\x1f\x8b\x08 broken"),
        (400, NO_GZIP, gzip.compress(batch(SOUND), mtime=0)[:-9]),
        (400, "failed to decode request: invalid gzip data", gzip.compress(b"\xff", mtime=0)),
        (400, NO_VARIANT, b"17"),
        (400, "request holds no event", b"[]"),
        (400, NO_VARIANT, b"[{}]"),
        (400, NO_SHAPE, batch(SOUND, sent_at=5)),
        (400, NO_SHAPE, batch(SOUND, historical_migration="true")),
        (400, NO_VARIANT, batch(SOUND, token="phc_test")),
        (400, NO_SHAPE, b'{"batch":[]}'),
        (400, NO_SHAPE, b'{"event":7}'),
        (400, "failed to parse request", batch(SOUND)[:-1]),
        (400, "failed to parse request", batch(event(properties={"x": float("nan")}))),
        (400, "failed to parse request", batch(event(properties={"x": 7})).replace(b"7", b"1e999")),
        (400, "failed to parse request", batch(event(properties={"x": "\ud800"}))),
        (
            400,
            "failed to parse request: recursion limit exceeded",
            batch(event(properties={"x": nested(124)})),
        ),
        # Keys are looked at before any event.
        (401, NO_TOKEN, json.dumps([SOUND]).encode()),
        (401, NO_TOKEN, json.dumps(SOUND).encode()),
        (401, TWO_TOKENS, json.dumps([event(token="a"), event(api_key="b")]).encode()),
        (401, "API key is not valid: empty", batch(SOUND, api_key="")),
        (401, "API key is not valid: empty", batch(SOUND, api_key=" \n")),
        (401, "API key is not valid: too_long", batch(SOUND, api_key="k" * 65)),
        (401, "API key is not valid: not_ascii", batch(SOUND, api_key="phc_é")),
        (401, "API key is not valid: personal_api_key", batch(SOUND, api_key="phx_mine")),
        (401, "API key is not valid: null_byte", batch(SOUND, api_key="a\0b")),
        # 20 MiB on the wire, and five times as much unpacked; the answer arrives all the same.
        (413, TOO_BIG, b" " * (20 * MIB + 1)),
        (413, TOO_BIG, gzip.compress(b" " * (100 * MIB + 1), 1, mtime=0)),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else None,
)
def test_a_body_that_cannot_be_read_is_refused(
    capture: PosthogCapture, status: int, text: str, body: bytes
) -> None:
    """The reason comes as plain text, and nothing is stored."""
    reply = post(capture, body)

    assert reply.status == status
    assert reply.text.startswith(text)
    assert capture.events == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/batch/", {"Content-Encoding": "gzip"}), ("/batch/?compression=gzip", {})],
    ids=["header", "query"],
)
def test_a_body_called_gzip_that_is_not_is_refused(
    capture: PosthogCapture, path: str, headers: dict[str, str]
) -> None:
    """The claim is believed."""
    assert post(capture, batch(SOUND), path, headers).status == 400


def message_limit(sent: dict[str, Any]) -> int:
    """Return the lowest limit under which an event still passes."""
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
