"""The stand-in's `/batch/` changes and keeps events as PostHog's capture service does."""

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


@pytest.fixture
def capture() -> Iterator[PosthogCapture]:
    """Serve with a clock that stands still."""
    with PosthogCapture(now=NOW) as running:
        yield running


def test_a_sound_batch_is_answered_and_kept(capture: PosthogCapture) -> None:
    """The stored event has what PostHog shows of it, and the batch's flag apart."""
    reply = post(capture, batch(event(), historical_migration=True))

    assert (reply.status, reply.json) == (200, {"status": "Ok"})
    assert capture.events == [
        {
            "uuid": UUID,
            "event": "viewed",
            "distinct_id": "u1",
            "timestamp": NOON,
            "properties": {"a": 1},
            "_historical": True,
        }
    ]


@pytest.mark.parametrize("path", ["/batch", "/batch/", "/i/v0/e", "/capture/?ver=1"])
def test_all_v0_paths_take_a_batch(capture: PosthogCapture, path: str) -> None:
    """With and without the slash."""
    assert post(capture, batch(event()), path).status == 200
    assert len(capture.events) == 1


def test_a_wrong_key_of_a_right_shape_is_accepted_and_its_events_vanish(
    capture: PosthogCapture,
) -> None:
    """Capture does not know which projects exist."""
    reply = post(capture, batch(event(), api_key="phc_wrong"))

    assert (reply.status, reply.json) == (200, {"status": "Ok"})
    assert capture.events == []
    assert [stored["uuid"] for stored in capture.vanished] == [UUID]
    assert capture.requests[0].stored == 0


def test_blanks_around_a_key_do_no_harm(capture: PosthogCapture) -> None:
    """A copied line break must not lose all events."""
    post(capture, batch(SOUND, api_key=" phc_test\n"))

    assert len(capture.events) == 1


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/batch/", {"Content-Encoding": "gzip"}),
        ("/batch/?compression=gzip", {}),
        ("/batch/?compression=gzip-js", {}),
        ("/batch/", {}),
    ],
)
def test_gzip_is_seen_by_header_by_query_or_by_its_first_bytes(
    capture: PosthogCapture, path: str, headers: dict[str, str]
) -> None:
    """All three ways lead to the same events."""
    post(capture, gzip.compress(batch(event())), path, headers)

    assert len(capture.events) == 1
    assert capture.requests[0].body == json.loads(batch(event()))


def test_a_single_event_and_a_bare_list_are_taken_but_never_historical(
    capture: PosthogCapture,
) -> None:
    """The flag belongs to the envelope of a batch."""
    one = {**SOUND, "api_key": "phc_test", "historical_migration": True}
    post(capture, json.dumps(one).encode())
    post(capture, json.dumps([one]).encode())

    assert [stored["_historical"] for stored in capture.events] == [False, False]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("x" * 201, "x" * 200),
        ("é" * 201, "é" * 200),
        ("a\0b", "a\ufffdb"),
        (23, "23"),
        (23.5, "23.5"),
        (True, "true"),
        (["a", 1], '["a",1]'),
        ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
        (" u1 ", " u1 "),
    ],
)
def test_ids_are_made_text_of_at_most_200_characters(
    capture: PosthogCapture, sent: Any, kept: str
) -> None:
    """Nothing of it is told to the sender."""
    assert post(capture, batch(event(distinct_id=sent))).status == 200
    assert capture.events[0]["distinct_id"] == kept


def test_the_id_may_stand_in_the_properties(capture: PosthogCapture) -> None:
    """The one at the top wins when there are both."""
    inside = {"distinct_id": "inside"}
    post(capture, batch(event(distinct_id=None, properties=inside), event(properties=inside)))

    assert [stored["distinct_id"] for stored in capture.events] == ["inside", "u1"]


def test_event_names_are_cut_at_200_utf_16_units(capture: PosthogCapture) -> None:
    """JavaScript counts a character beyond the basic plane twice."""
    post(capture, batch(event(event="n" * 201), event(event="🦔" * 101)))

    assert [stored["event"] for stored in capture.events] == ["n" * 200, "🦔" * 100]


@pytest.mark.parametrize("uuid", [None, ""])
def test_an_event_without_a_uuid_gets_a_new_one(capture: PosthogCapture, uuid: str | None) -> None:
    """So the same event sent twice is held twice."""
    body = batch(event(uuid=uuid))
    post(capture, body)
    post(capture, body)

    assert {uuids.UUID(stored["uuid"]).version for stored in capture.events} == {7}
    assert len(capture.held()) == 2


@pytest.mark.parametrize("uuid", [UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}"])
def test_a_uuid_is_kept_in_its_usual_form(capture: PosthogCapture, uuid: str) -> None:
    """Rust's parser takes several forms."""
    post(capture, batch(event(uuid=uuid)))

    assert capture.events[0]["uuid"] == UUID


def test_performance_events_are_left_out(capture: PosthogCapture) -> None:
    """A batch of nothing else is fine too."""
    performance = event(event="$performance_event")

    assert post(capture, batch(performance, SOUND)).status == 200
    assert post(capture, batch(performance)).json == {"status": "Ok"}
    assert [stored["event"] for stored in capture.events] == ["viewed"]


def test_person_properties_beside_the_properties_move_into_them(capture: PosthogCapture) -> None:
    """The outer ones win."""
    both = event(properties={"$set": {"a": 1, "b": 1}}, **{"$set": {"b": 2}, "$set_once": {"c": 3}})
    post(capture, batch(both))

    assert capture.events[0]["properties"] == {"$set": {"a": 1, "b": 2}, "$set_once": {"c": 3}}


def test_sent_at_moves_every_event_by_the_difference_of_the_clocks(
    capture: PosthogCapture,
) -> None:
    """Unless the event says `$ignore_sent_at`."""
    kept = event(properties={"$ignore_sent_at": True})
    post(capture, batch(event(), kept, sent_at="2024-05-31T23:59:30Z"))

    assert [stored["timestamp"] for stored in capture.events] == [
        "2024-01-01T12:00:30.000000Z",
        NOON,
    ]


def test_an_offset_overrides_the_time_of_an_event(capture: PosthogCapture) -> None:
    """Milliseconds before now, meant for clients without a clock."""
    post(capture, batch(event(offset=1500)))

    assert capture.events[0]["timestamp"] == "2024-05-31T23:59:58.500000Z"


@pytest.mark.parametrize("timestamp", [None, "", "yesterday", "2024-13-01T00:00:00Z"])
def test_a_time_that_cannot_be_read_becomes_now(
    capture: PosthogCapture, timestamp: str | None
) -> None:
    """Silently, with a 200."""
    assert post(capture, batch(event(timestamp=timestamp))).status == 200
    assert capture.events[0]["timestamp"] == "2024-06-01T00:00:00.000000Z"


def test_a_repeat_is_one_event_only_when_all_four_keys_agree(capture: PosthogCapture) -> None:
    """uuid, name, id and day: ClickHouse replaces by these, and the last one stays."""
    post(
        capture,
        batch(
            event(),
            event(properties={"a": 2}),
            event(timestamp="2024-01-01T23:59:59Z", properties={"a": 3}),
            event(event="other"),
            event(distinct_id="u2"),
            event(timestamp="2024-01-02T00:00:00Z"),
        ),
    )

    assert len(capture.events) == 6
    assert len(capture.held()) == 4
    assert capture.held()[UUID, "viewed", "u1", "2024-01-01"]["properties"] == {"a": 3}
