"""The stand-in's v1 endpoint answers for each event as PostHog's capture service does."""

from __future__ import annotations

import gzip
import json
import uuid as uuids
import zlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import PosthogCapture
from tests.fakes.posthog_probe import (
    NOON,
    UUID,
    V1_HEADERS,
    batch,
    event,
    post_v1,
    send,
)
from tests.fakes.posthog_v1_envelope import V1_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Equal to the sender's clock in `V1_HEADERS`, so that nothing moves.
NOW = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
IDS = [str(uuids.uuid5(uuids.UUID(UUID), str(number))) for number in range(100)]
ENVELOPE = json.dumps({"created_at": NOON, "batch": [event()]}).encode()
MIB = 1024 * 1024
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 1, mtime=0),
    "deflate": zlib.compress,
}


def packed(name: str, body: bytes, cut: int = 0) -> tuple[dict[str, str], bytes]:
    """Return the header and the body of a packed request, with some bytes missing at its end."""
    whole = PACKERS[name](body)
    return {"Content-Encoding": name}, whole[: len(whole) - cut]


@pytest.fixture
def capture() -> Iterator[PosthogCapture]:
    """Serve with a clock that stands still."""
    with PosthogCapture(now=NOW) as running:
        yield running


@pytest.mark.parametrize("path", [V1_PATH, V1_PATH + "/"])
def test_a_sound_batch_is_answered_event_by_event(capture: PosthogCapture, path: str) -> None:
    """The header's name and version become `$lib` and `$lib_version`."""
    reply = send(capture, "POST", path, ENVELOPE, V1_HEADERS)

    assert (reply.status, reply.json) == (200, {"results": {UUID: {"result": "ok"}}})
    assert reply.headers["Retry-After"] is None
    assert capture.events == [
        {
            "uuid": UUID,
            "event": "viewed",
            "distinct_id": "u1",
            "timestamp": NOON,
            "properties": {"a": 1, "$lib": "probe", "$lib_version": "1.2.3"},
            "_historical": False,
        }
    ]


def envelope(*events: Any, **changes: Any) -> bytes:
    """Return a body."""
    return json.dumps({"created_at": NOON, "batch": list(events), **changes}).encode()


@pytest.mark.parametrize(
    ("status", "error", "headers", "body"),
    [
        # `http.client` sends no User-Agent or Content-Type of its own.
        *(
            (400, "missing_required_headers", {name: None}, ENVELOPE)
            for name in V1_HEADERS
            if name != "Authorization"
        ),
        (401, "missing_authorization", {"Authorization": None}, ENVELOPE),
        (400, "invalid_header_value", {"Authorization": "Basic abc"}, ENVELOPE),
        (401, "invalid_api_token", {"Authorization": "Bearer phx_mine"}, ENVELOPE),
        (415, "unsupported_content_type", {"Content-Type": "text/plain"}, ENVELOPE),
        (415, "unsupported_encoding", {"Content-Encoding": "lz4"}, ENVELOPE),
        (400, "invalid_header_value", {"PostHog-Request-Id": "17"}, ENVELOPE),
        (400, "invalid_header_value", {"PostHog-Attempt": "0"}, ENVELOPE),
        (400, "invalid_header_value", {"PostHog-Attempt": "first"}, ENVELOPE),
        (400, "invalid_header_value", {"PostHog-Request-Timestamp": "1704110400"}, ENVELOPE),
        (400, "empty_body", {}, b""),
        (400, "request_parsing_error", {}, b"{"),
        (400, "request_parsing_error", {}, b"[]"),
        (400, "request_parsing_error", {}, batch(event())),
        # Unlike v0, gzip is not seen by its first bytes; `deflate` means zlib.
        (400, "request_parsing_error", {}, gzip.compress(ENVELOPE, mtime=0)),
        *((400, "request_decoding_error", *packed(name, ENVELOPE, cut=5)) for name in PACKERS),
        (400, "empty_batch", {}, envelope()),
        (400, "invalid_batch", {}, envelope(event(), created_at="today")),
        (400, "request_parsing_error", {}, envelope(event(), historical_migration=None)),
        # 10 MiB on the wire, 50 MiB unpacked.
        (413, "payload_too_large", {}, b" " * (10 * MIB + 1)),
        (413, "payload_too_large", *packed("gzip", b" " * (50 * MIB + 1))),
        # Some faults of one event: no answer by id can be given.
        *(
            (400, error, {}, envelope(event(), bad))
            for error, bad in (
                ("missing_event_uuid", event(uuid="")),
                ("invalid_event_uuid", event(uuid="17")),
                ("duplicate_event_uuid", event(uuid=UUID.upper())),
                ("request_parsing_error", event(uuid=None)),
                ("request_parsing_error", event(event=None)),
                ("request_parsing_error", event(distinct_id=None)),
                ("request_parsing_error", event(distinct_id=17)),
                ("request_parsing_error", event(timestamp=None)),
                ("request_parsing_error", event(session_id=17)),
            )
        ),
    ],
    ids=lambda value: value[-60:-40] if isinstance(value, bytes) else str(value),
)
def test_a_request_is_refused_whole(
    capture: PosthogCapture, status: int, error: str, headers: dict[str, str | None], body: bytes
) -> None:
    """The error is JSON with a stable name, and nothing is stored."""
    sent = {name: text for name, text in {**V1_HEADERS, **headers}.items() if text is not None}
    reply = send(capture, "POST", V1_PATH, body, sent)

    assert (reply.status, reply.json["error"]) == (status, error)
    assert reply.json.keys() == {"error", "error_description", "error_uri"}
    if error == "missing_required_headers":
        assert next(iter(headers)).lower() in reply.json["error_description"].lower()
    assert capture.events == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "bearer  phc_test "),
        ("Content-Type", "Application/JSON; charset=utf-8"),
        ("PostHog-Sdk-Info", "no version"),
        ("PostHog-Sdk-Info", "x/" + "9" * 200),
    ],
)
def test_other_spellings_of_a_header_are_fine(
    capture: PosthogCapture, name: str, value: str
) -> None:
    """An unusable name of the library only adds no `$lib`."""
    reply = send(capture, "POST", V1_PATH, ENVELOPE, {**V1_HEADERS, name: value})

    assert reply.status == 200
    assert ("$lib" in capture.events[0]["properties"]) == (name != "PostHog-Sdk-Info")


@pytest.mark.parametrize(
    ("bad", "details"),
    [
        (event(event=""), "missing_event_name"),
        (event(event="n" * 201), "event_name_too_long"),
        (event(event="é" * 101), "event_name_too_long"),
        (event(event="$performance_event"), "dropped_performance_event"),
        (event(distinct_id=" "), "missing_distinct_id"),
        (event(distinct_id="é" * 101), "distinct_id_too_large"),
        (event(timestamp="2024-01-01 12:00:00"), "invalid_event_timestamp"),
        (event(properties=[]), "malformed_event_properties"),
        (event(options=[]), "invalid_options"),
        (event(options={"process_person_profile": "maybe"}), "invalid_options"),
        (event(options={"product_tour_id": 1.5}), "invalid_options"),
        (event(properties={"x": '"' * 400_000}), "event_too_big"),
    ],
)
def test_other_faults_drop_one_event(
    capture: PosthogCapture, bad: dict[str, Any], details: str
) -> None:
    """The rest of the batch is kept."""
    reply = post_v1(capture, bad, event(uuid=IDS[0]))

    assert reply.json["results"] == {
        UUID: {"result": "drop", "details": details},
        IDS[0]: {"result": "ok"},
    }
    assert [stored["uuid"] for stored in capture.events] == [IDS[0]]


@pytest.mark.parametrize("illegal", ["user", "SYSTEM", " null "])
def test_an_id_that_means_nobody_is_kept_without_a_person(
    capture: PosthogCapture, illegal: str
) -> None:
    """The answer is ok, with a remark."""
    reply = post_v1(capture, event(distinct_id=illegal))

    assert reply.json["results"][UUID] == {
        "result": "ok",
        "details": "person_processing_disabled",
    }
    assert capture.persons().people() == []


def test_blanks_around_ids_are_cut_off(capture: PosthogCapture) -> None:
    """Unlike v0, so that padded ids lead to the same person."""
    reply = post_v1(capture, event(uuid=f" {UUID} ", distinct_id=" u1\n"))

    assert reply.json["results"] == {UUID: {"result": "ok"}}
    assert (capture.events[0]["uuid"], capture.events[0]["distinct_id"]) == (UUID, "u1")


def test_options_become_properties(capture: PosthogCapture) -> None:
    """Together with session and window; they win over the sender's own."""
    post_v1(
        capture,
        event(
            properties={"$lib": "mine"},
            session_id="s",
            window_id="w",
            options={
                "cookieless_mode": "0",
                "disable_skew_correction": 1,
                "process_person_profile": False,
                "product_tour_id": 7,
                "unknown": [],
            },
        ),
    )

    assert capture.events[0]["properties"] == {
        "$cookieless_mode": False,
        "$ignore_sent_at": True,
        "$lib": "probe",
        "$lib_version": "1.2.3",
        "$process_person_profile": False,
        "$product_tour_id": "7",
        "$session_id": "s",
        "$window_id": "w",
    }


def test_every_time_moves_by_the_difference_of_the_clocks() -> None:
    """Here the request's own header is the sender's clock; an option switches it off."""
    with PosthogCapture(now=NOW.replace(minute=1)) as capture:
        steady = event(uuid=IDS[0], options={"disable_skew_correction": True})
        post_v1(capture, event(), steady)

    assert [stored["timestamp"] for stored in capture.events] == [
        "2024-01-01T12:01:00.000000Z",
        NOON,
    ]


@pytest.mark.parametrize("name", PACKERS)
def test_compressed_bodies_are_unpacked(capture: PosthogCapture, name: str) -> None:
    """Of both kinds."""
    headers, body = packed(name, ENVELOPE)

    assert send(capture, "POST", V1_PATH, body, {**V1_HEADERS, **headers}).status == 200
    assert capture.requests[0].body == json.loads(ENVELOPE)


def test_named_events_are_put_off_as_often_as_asked(capture: PosthogCapture) -> None:
    """An event that gets `retry` is not kept, and the answer asks for patience."""
    capture.retry_v1([IDS[0]], times=2)
    events = [event(uuid=IDS[0]), event(uuid=IDS[1])]

    for _ in range(2):
        reply = post_v1(capture, *events)
        assert reply.headers["Retry-After"] == "1"
        assert reply.json["results"] == {
            IDS[0]: {"result": "retry", "details": "not_persisted"},
            IDS[1]: {"result": "ok"},
        }
    assert {stored["uuid"] for stored in capture.events} == {IDS[1]}

    assert post_v1(capture, *events).json["results"][IDS[0]] == {"result": "ok"}


def test_a_share_of_all_events_is_put_off(capture: PosthogCapture) -> None:
    """Sent again, each of them is kept."""
    capture.retry_v1(share=0.3)
    events = [event(uuid=uuid) for uuid in IDS]

    results = post_v1(capture, *events).json["results"]
    again = [one for one in events if results[one["uuid"]]["result"] == "retry"]
    assert 15 <= len(again) <= 45

    post_v1(capture, *again)
    assert sorted(stored["uuid"] for stored in capture.events) == sorted(IDS)


@pytest.mark.parametrize(
    ("mode", "status", "error"),
    [
        # Where v0 says 200.
        ({"over_quota": True}, 429, "billing_limit_exceeded"),
        # Such installations speak v0 all the same.
        ({"v1": "unconfigured"}, 503, "service_unavailable"),
        ({"v1": "absent"}, 404, ""),
    ],
)
def test_v1_refuses_all_where_it_cannot_keep_it(
    mode: dict[str, Any], status: int, error: str
) -> None:
    """With a status of its own."""
    with PosthogCapture(now=NOW, **mode) as capture:
        reply = post_v1(capture, event())
        assert (reply.status, error in reply.text) == (status, True)
        assert reply.headers["Retry-After"] == (None if status == 404 else "1")
        assert capture.events == []
        assert send(capture, "POST", "/batch/", batch(event())).status == 200
        assert len(capture.events) == ("v1" in mode)


def test_v1_says_when_it_throws_events_away() -> None:
    """Where v0 answers as if all were well."""
    with PosthogCapture(now=NOW, import_mode=True) as capture:
        assert post_v1(capture, event()).json["results"][UUID] == {
            "result": "drop",
            "details": "non_historical_import_drop",
        }
        assert capture.events == []
        assert [dropped.reason for dropped in capture.dropped] == ["non_historical_import_drop"]


def test_v1_gives_verdicts_on_order(capture: PosthogCapture) -> None:
    """A warning keeps the event, a drop does not."""
    capture.judge_v1(IDS[:1], "warning", "person_processing_disabled")
    capture.judge_v1(IDS[1:2], "drop", "event_restriction_drop")
    capture.judge_v1(IDS[2:3], "drop")
    results = post_v1(capture, *(event(uuid=uuid) for uuid in IDS[:4])).json["results"]
    assert [results[uuid] for uuid in IDS[:4]] == [
        {"result": "warning", "details": "person_processing_disabled"},
        {"result": "drop", "details": "event_restriction_drop"},
        {"result": "drop"},
        {"result": "ok"},
    ]
    assert [stored["uuid"] for stored in capture.events] == [IDS[0], IDS[3]]
    with pytest.raises(ValueError, match="no such verdict"):
        capture.judge_v1(IDS, "ok")


def test_the_flag_of_the_envelope_marks_every_event(capture: PosthogCapture) -> None:
    """As in v0."""
    post_v1(capture, event(), historical_migration=True)

    assert capture.events[0]["_historical"]
    assert capture.requests[0].historical_migration
