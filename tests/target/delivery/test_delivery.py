"""Every record has one fate: accepted, superseded, skipped or rejected."""

from __future__ import annotations

import json
import logging
import random
from typing import TYPE_CHECKING

import pytest

from target_posthog.capture.batches import Limits
from target_posthog.errors import RunAgain, TooManyRejects
from target_posthog.model import GroupState, Link, Rejected, Skipped
from target_posthog.posthog.events import MAX_EVENT_BYTES
from tests.support.deliveries import (
    OLD,
    FakeTransport,
    converted,
    delivery_to,
    envelope_bytes,
    item,
    rejected_lines,
    take,
)
from tests.support.rows import uuid_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from target_posthog.delivery.delivery import Delivery
    from target_posthog.model import Json

RECENT = "2024-05-31T00:00:00.000000Z"


def take_all(delivery: Delivery, numbers: Iterable[int]) -> None:
    """Hand over sound events."""
    for number in numbers:
        take(delivery, {"row": number}, converted(number))


def uuids(transport: FakeTransport) -> list[str]:
    """Return the uuids of what was accepted, in order."""
    return [event["uuid"] for event in transport.accepted]


def test_a_batch_goes_out_when_it_is_full_and_the_rest_at_the_flush(tmp_path: Path) -> None:
    """Not one request per record, and nothing forgotten."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path, limits=Limits(3, 10**6)) as delivery:
        take_all(delivery, range(7))
        assert [len(json.loads(body)["batch"]) for body in transport.bodies] == [3, 3]
        delivery.attend()
        assert delivery.counts.open == 1
        delivery.flush()
        assert uuids(transport) == [uuid_of(number) for number in range(7)]
        assert delivery.counts.open == 0


def test_no_more_waits_than_a_stretch_and_what_the_lanes_have_room_for(tmp_path: Path) -> None:
    """Memory stays flat, however long the run and however many links there are."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path, limits=Limits(5, 1_000_000)) as delivery:
        for row in range(23):
            link = Link(f"user-{row % 4}", f"device-{row % 4}") if row % 3 else None
            take(delivery, {"row": row}, converted(row, link=link))
            assert delivery.counts.exported - delivery.counts.accepted <= 3 * 5
        delivery.flush()
        assert delivery.counts.accepted == 23
        assert delivery.counts.links == 4


def test_auto_sets_neighbours_apart_that_stand_on_both_sides_of_the_limit(tmp_path: Path) -> None:
    """However many go into a request together."""
    transport = FakeTransport()
    times = [OLD, RECENT]
    with delivery_to(transport, tmp_path, historical_migration="auto") as delivery:
        delivery.take_events(
            [item(number, timestamp=times[number % 2]) for number in range(6)], "events"
        )
        delivery.flush()
    bodies = [json.loads(body) for body in transport.bodies]
    assert [
        (body["historical_migration"], [event["timestamp"] for event in body["batch"]])
        for body in bodies
    ] == [(True, times[:1] * 3), (False, times[1:] * 3)]


def test_a_flush_of_nothing_sends_nothing(tmp_path: Path) -> None:
    """PostHog refuses a request without an event."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path) as delivery:
        delivery.flush()
        take(delivery, {}, Skipped("rule"))
        delivery.flush()
    assert transport.bodies == []


def test_what_is_skipped_and_rejected_is_counted_by_name(tmp_path: Path) -> None:
    """And the rejected record is in the file as it came."""
    with delivery_to(FakeTransport(), tmp_path) as delivery:
        take(delivery, {"row": 1}, Skipped("skip_events"))
        take(delivery, {"row": 2}, Rejected("bad_time", "No time."))
        take(delivery, {"row": 3}, converted(3, timestamp="9999-01-01T00:00:00.000000Z"))
        delivery.flush()
        counts = delivery.counts
    assert (counts.exported, counts.accepted, counts.open) == (3, 0, 0)
    assert counts.skipped == {"skip_events": 1}
    assert counts.rejected == {"bad_time": 1, "future_time": 1}
    assert [(line["code"], line["stage"], line["record"]) for line in rejected_lines(tmp_path)] == [
        ("bad_time", "convert", {"row": 2}),
        ("future_time", "check", {"row": 3}),
    ]


def test_a_repeat_within_a_batch_is_skipped_and_a_later_one_sent_again(tmp_path: Path) -> None:
    """Newer PostHog refuses a batch that holds a uuid twice; apart, PostHog merges them."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path) as delivery:
        take_all(delivery, [1, 2, 1])
        delivery.flush()
        assert delivery.counts.skipped == {"duplicate": 1}
        take_all(delivery, [1])
        delivery.flush()
        assert (delivery.counts.accepted, delivery.counts.superseded) == (2, 1)
    assert uuids(transport) == [uuid_of(1), uuid_of(2), uuid_of(1)]


@pytest.mark.parametrize("max_events", [1, 2, 3, 1000])
def test_of_two_versions_of_an_event_the_later_one_stays(tmp_path: Path, max_events: int) -> None:
    """Whichever batches they fall into; within one, only the later is sent."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path, limits=Limits(max_events, 10**6)) as delivery:
        for number, version in ((1, "a"), (2, "a"), (1, "b"), (3, "a"), (1, "c")):
            take(delivery, {"version": version}, converted(number, properties={"v": version}))
        delivery.flush()
        counts = delivery.counts
    assert (counts.exported, counts.accepted, counts.superseded, counts.open) == (5, 3, 2, 0)
    assert counts.skipped == {}
    last = {event["uuid"]: event["properties"]["v"] for event in transport.accepted}
    assert last == {uuid_of(1): "c", uuid_of(2): "a", uuid_of(3): "a"}


def test_a_version_of_a_refused_event_supersedes_nothing(tmp_path: Path) -> None:
    """PostHog has no older one of it."""
    transport = FakeTransport(culprits=frozenset({uuid_of(1)}))
    with delivery_to(transport, tmp_path, limits=Limits(1, 10**6)) as delivery:
        take_all(delivery, [1])
        delivery.flush()
        transport.culprits = frozenset()
        take(delivery, {}, converted(1, properties={"v": 2}))
        delivery.flush()
        counts = delivery.counts
    assert (counts.accepted, counts.superseded, counts.rejected.total()) == (1, 0, 1)


@pytest.mark.parametrize(
    "changes",
    [{"event": "left"}, {"distinct_id": "other"}, {"timestamp": "2024-01-02T00:00:00.000000Z"}],
)
def test_another_event_under_the_same_uuid_is_sent_too(tmp_path: Path, changes: Json) -> None:
    """PostHog keeps both, and takes no uuid twice in one request."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path) as delivery:
        take_all(delivery, [1])
        take(delivery, {}, converted(1, **changes))
        delivery.flush()
        counts = delivery.counts
        assert (counts.accepted, counts.superseded, counts.skipped) == (2, 0, {})
    assert [len(json.loads(body)["batch"]) for body in transport.bodies] == [1, 1]


def test_a_repeat_of_a_rejected_event_is_no_duplicate(tmp_path: Path) -> None:
    """Skipping it would leave PostHog without the event."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path) as delivery:
        take(delivery, {"row": 1}, converted(1, timestamp="9999-01-01T00:00:00.000000Z"))
        take_all(delivery, [1])
        delivery.flush()
        assert delivery.counts.skipped == {}
    assert uuids(transport) == [uuid_of(1)]


def test_a_culprit_is_halved_down_to_and_the_rest_arrives_in_order(tmp_path: Path) -> None:
    """In about 2·log2(n) requests, not one per event."""
    transport = FakeTransport(culprits=frozenset({uuid_of(70)}))
    with delivery_to(transport, tmp_path) as delivery:
        take_all(delivery, range(128))
        delivery.flush()
        assert delivery.counts.rejected == {"refused_by_posthog": 1}
        assert (delivery.counts.accepted, delivery.counts.open) == (127, 0)
    assert uuids(transport) == [uuid_of(number) for number in range(128) if number != 70]
    assert len(transport.bodies) == 15
    (line,) = rejected_lines(tmp_path)
    assert (line["code"], line["stage"], line["record"]) == (
        "refused_by_posthog",
        "send",
        {"row": 70},
    )
    assert line["reason"] == "PostHog answered 400: bad event"


def test_a_body_that_is_too_large_for_the_way_is_halved(tmp_path: Path) -> None:
    """A proxy may take less than PostHog does."""
    transport = FakeTransport(max_bytes=envelope_bytes() + 500)
    with delivery_to(transport, tmp_path) as delivery:
        take_all(delivery, range(40))
        delivery.flush()
        assert (delivery.counts.accepted, delivery.counts.open) == (40, 0)
    assert uuids(transport) == [uuid_of(number) for number in range(40)]


def test_a_refused_link_costs_no_record(tmp_path: Path) -> None:
    """It is counted on its own and written down; the record that showed it arrives."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path) as delivery:
        take(delivery, {"row": 1}, converted(1, link=Link("u1", "other")))
        delivery.flush()
        link_uuid = transport.accepted[0]["uuid"]
    (tmp_path / "ledger.db").unlink()

    transport = FakeTransport(culprits=frozenset({link_uuid}))
    with delivery_to(transport, tmp_path) as delivery:
        for number in range(10):
            take(delivery, {"row": number}, converted(number, link=Link("u1", "other")))
        delivery.flush()
        take(delivery, {"row": 11}, converted(11, link=Link("u1", "other")))
        delivery.flush()
        counts = delivery.counts
    assert (counts.accepted, counts.links, counts.open) == (11, 0, 0)
    assert counts.rejected == {}
    assert counts.added_rejected == {"refused_by_posthog": 1}
    (line,) = rejected_lines(tmp_path)
    assert line["record"]["event"] == "$create_alias"
    assert line["added"] == {"link": ["u1", "other"]}


def test_what_we_add_is_counted_apart_from_the_records(tmp_path: Path) -> None:
    """Else accepted would be more than exported."""
    group = GroupState("org", "acme", {"plan": "a"})
    with delivery_to(FakeTransport(), tmp_path) as delivery:
        for number, user in enumerate(("u1", "u2")):
            take(delivery, {}, converted(number, link=Link(user, "d"), groups=(group,)))
        delivery.flush()
        counts = delivery.counts
    assert (counts.exported, counts.accepted) == (2, 2)
    assert (counts.links, counts.groups, counts.shared_devices) == (1, 1, 1)


def test_what_is_not_delivered_stays_open(tmp_path: Path) -> None:
    """The exception passes `flush`, so no state is written."""
    transport = FakeTransport(raises=RunAgain("It is down.", "Wait."))
    with delivery_to(transport, tmp_path) as delivery:
        take_all(delivery, range(3))
        with pytest.raises(RunAgain):
            delivery.flush()
        assert (delivery.counts.accepted, delivery.counts.open) == (0, 3)
        transport.raises = None
        delivery.flush()
        assert (delivery.counts.accepted, delivery.counts.open) == (3, 0)
    assert uuids(transport) == [uuid_of(number) for number in range(3)]


def test_a_flush_brings_the_rejects_to_the_disk(tmp_path: Path) -> None:
    """The state may move on after it, and the process may die."""
    with delivery_to(FakeTransport(), tmp_path) as delivery:
        take(delivery, {"row": 1}, Rejected("bad_time", "No time."))
        delivery.flush()
        assert len(rejected_lines(tmp_path)) == 1


@pytest.mark.parametrize(("setting", "flag"), [("true", True), ("false", False)])
def test_the_flag_is_what_the_user_says(tmp_path: Path, setting: str, flag: object) -> None:
    """For old and recent events alike."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path, historical_migration=setting) as delivery:
        take_all(delivery, [1])
        take(delivery, {}, converted(2, timestamp=RECENT))
        delivery.flush()
    assert [json.loads(body)["historical_migration"] for body in transport.bodies] == [flag]


def test_auto_sends_old_and_recent_events_apart(tmp_path: Path) -> None:
    """A link travels with the record that showed it, and before it."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path, historical_migration="auto") as delivery:
        take(delivery, {}, converted(1, timestamp=RECENT, link=Link("u1", "d")))
        take_all(delivery, [2])
        take(delivery, {}, converted(3, timestamp="2024-05-30T11:59:59.999999Z"))
        take(delivery, {}, converted(4, timestamp="2024-05-30T12:00:00.000000Z"))
        delivery.flush()
    bodies = [json.loads(body) for body in transport.bodies]
    assert [
        (body["historical_migration"], [event["event"] for event in body["batch"]])
        for body in bodies
    ] == [(True, ["viewed"] * 2), (False, ["$create_alias", "viewed", "viewed"])]
    assert [event["uuid"] for event in bodies[1]["batch"][1:]] == [uuid_of(1), uuid_of(4)]


@pytest.mark.parametrize(("setting", "warnings"), [("true", 1), ("false", 0), ("auto", 0)])
def test_recent_events_in_a_historical_migration_are_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, setting: str, warnings: int
) -> None:
    """PostHog may bill them; one line says so, and what to do."""
    with (
        caplog.at_level(logging.WARNING, "target-posthog"),
        delivery_to(FakeTransport(), tmp_path, historical_migration=setting) as delivery,
    ):
        for number in range(3):
            take_all(delivery, [number + 10])
            take(delivery, {}, converted(number, timestamp=RECENT))
            delivery.flush()
    assert len(caplog.records) == warnings
    assert all("historical_migration: auto" in line.message for line in caplog.records)


def test_too_many_rejects_stop_the_run(tmp_path: Path) -> None:
    """More than a tenth after the first 10,000: a wrong mapping must not fill a disk."""
    with delivery_to(FakeTransport(), tmp_path) as delivery:
        take_all(delivery, range(9_000))
        for _ in range(1_000):
            take(delivery, {"row": 1}, Rejected("bad_time", "No time."))
        with pytest.raises(TooManyRejects, match=r"1,001 of 10,001.*\(0\.1\).*jsonl"):
            take(delivery, {"row": 1}, Rejected("bad_time", "No time."))
    assert len(rejected_lines(tmp_path)) == 1_001


def test_a_few_rejects_at_the_start_do_not_stop_the_run(tmp_path: Path) -> None:
    """Their share says nothing yet."""
    with delivery_to(FakeTransport(), tmp_path) as delivery:
        for _ in range(10_000):
            take(delivery, {}, Rejected("bad_time", "No time."))
        delivery.flush()
        assert delivery.counts.rejected == {"bad_time": 10_000}


def test_a_limit_of_all_never_stops(tmp_path: Path) -> None:
    """The user may want to see all of them."""
    with delivery_to(FakeTransport(), tmp_path, max_reject_ratio=1) as delivery:
        for _ in range(10_500):
            take(delivery, {}, Rejected("bad_time", "No time."))
        assert delivery.counts.rejected == {"bad_time": 10_500}


def test_a_batch_is_as_large_as_its_limit_and_no_larger(tmp_path: Path) -> None:
    """Links that are added count too."""
    transport = FakeTransport()
    with delivery_to(transport, tmp_path, limits=Limits(1000, 2_000)) as delivery:
        for number in range(50):
            link = Link(f"user-{number}", f"device-{number}")
            take(delivery, {}, converted(number, link=link))
        delivery.flush()
    assert max(len(body) for body in transport.bodies) <= 2_000 + envelope_bytes()
    assert len(transport.accepted) == 100


def hex_text(size: int, seed: int) -> str:
    """Return a text that is compressed to half of its size."""
    return random.Random(seed).randbytes(size // 2).hex()


@pytest.mark.parametrize("max_lanes", [1, 4])
def test_a_bound_that_a_server_shows_holds_for_the_rest_of_the_run(
    tmp_path: Path, max_lanes: int
) -> None:
    """PostHog of 2024 takes 2 MB as sent; to send each batch whole first costs it all twice."""
    transport = FakeTransport(max_wire_bytes=1_000_000)
    limits = Limits(5000, 4_000_000)
    with delivery_to(transport, tmp_path, limits=limits, max_lanes=max_lanes) as delivery:
        delivery.dispatcher._concurrency.count = max_lanes
        for number in range(800):
            properties = {"text": hex_text(30_000, number), "number": number}
            take(delivery, {}, converted(number, properties=properties))
        delivery.flush()
        assert (delivery.counts.accepted, delivery.counts.open) == (800, 0)
    refused = [size for size in transport.wire_sizes if size > 1_000_000]
    # 4 MB and 2 MB; what is under way or full by then in other lanes may be refused as well.
    assert len(refused) == 2 if max_lanes == 1 else 2 <= len(refused) <= 2 * max_lanes
    last = max(n for n, size in enumerate(transport.wire_sizes) if size > 1_000_000)
    assert len(transport.wire_sizes) - last > 20
    assert max(map(len, transport.bodies[last + 1 :])) <= 1_000_000 + envelope_bytes()
    if max_lanes == 1:
        numbers = [event["properties"]["number"] for event in transport.accepted]
        assert numbers == list(range(800))


def test_one_event_that_is_too_large_makes_no_batch_smaller(tmp_path: Path) -> None:
    """PostHog says the same of it (413), although it takes batches of this size as sent."""
    culprit = uuid_of(700)
    transport = FakeTransport(culprits=frozenset({culprit}), status=413)
    with delivery_to(transport, tmp_path, limits=Limits(5000, 4_000_000)) as delivery:
        for number in range(1700):
            properties = {"text": hex_text(10_000 + number, number)}
            if number == 700:
                properties = {"text": '"' * 400_000}
            take(delivery, {"row": number}, converted(number, properties=properties))
        delivery.flush()
        assert (delivery.counts.accepted, delivery.counts.rejected.total()) == (1699, 1)
    assert [line["record"]["row"] for line in rejected_lines(tmp_path)] == [700]
    # The one behind that of the culprit, and before the rest.
    (later,) = [body for body in transport.bodies if uuid_of(1100).encode() in body]
    assert len(later) > 3_900_000


@pytest.mark.parametrize("size", [100, 1_000])
def test_a_bound_is_never_smaller_than_the_largest_event(tmp_path: Path, size: int) -> None:
    """A server that refuses even that is not right at all, and the events it refuses are told."""
    transport = FakeTransport(max_bytes=envelope_bytes() + size)
    with delivery_to(transport, tmp_path, max_reject_ratio=1) as delivery:
        take_all(delivery, range(20))
        delivery.flush()
        assert delivery.counts.open == 0
        assert delivery.counts.rejected.total() == (20 if size == 100 else 0)
        assert delivery.dispatcher.lanes.limits.max_bytes == MAX_EVENT_BYTES
