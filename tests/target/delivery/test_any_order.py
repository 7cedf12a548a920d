"""However requests end: each device keeps its order, and what is held is held once, in bounds."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.batches import Limits
from target_posthog.capture.results import SendResult
from target_posthog.delivery.lanes import Lanes
from target_posthog.posthog.events import stored_once
from tests.support.deliveries import (
    MEMORY,
    OLD,
    WIRE,
    FakeTransport,
    converted,
    delivery_to,
    item,
    rejected_lines,
    take,
)
from tests.support.examples import examples
from tests.support.rows import uuid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from target_posthog.capture.batches import Batch
    from target_posthog.posthog.events import OutgoingEvent

MOST_EVENTS = 40
# An event: its device, its uuid, its name, whether it is historical, and how long it is.
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.integers(0, 30),
        st.sampled_from("ab"),
        st.booleans(),
        st.integers(0, 400),
    ),
    max_size=MOST_EVENTS,
)
LIMITS = st.builds(Limits, st.integers(1, 8), st.integers(1, 3000))


class Run:
    """Uses lanes as the delivery does, and notes what left them.

    Args:
        limits: of a batch.
        count: how many lanes there are at first.
        pick: chooses from so many.
    """

    def __init__(self, limits: Limits, count: int, pick: Callable[[int], int]) -> None:
        self.limits = limits
        self.lanes = Lanes(count, limits, WIRE)
        self.added: list[tuple[OutgoingEvent, bool]] = []
        self.delivered: list[tuple[OutgoingEvent, bool]] = []
        self.under_way: dict[int, Batch] = {}
        self._pick = pick

    def add(self, one: OutgoingEvent, *, historical: bool) -> None:
        """Put an event into its lane, once there is room."""
        twins = [
            (twin, flag)
            for twin, flag in self.held()
            if stored_once(twin) == stored_once(one) and flag == historical
        ]
        put = self.lanes.add(one, historical=historical, created_at=OLD)
        if put == "repeats":
            assert any(twin.body == one.body for twin, _ in twins)
            return
        if put == "replaces":
            # The one of the same lane, which is the last of the same device.
            replaced = next(pair for pair in reversed(twins) if self.is_beside(pair[0], one))
            assert replaced[0].body != one.body
            self.added = [pair for pair in self.added if pair[0] is not replaced[0]]
        self.added.append((one, historical))
        if self.lanes.has_full_batch:
            self.begin()
        while self.lanes.must_wait:
            self.end()
        self.check_bounds()

    def is_beside(self, one: OutgoingEvent, other: OutgoingEvent) -> bool:
        """Tell whether two events share a lane."""
        number_of = self.lanes.keys.number_of
        return number_of(one.ordering_key) == number_of(other.ordering_key)

    def add_all(self, items: Sequence[OutgoingEvent], *, historical: bool) -> None:
        """Put events into their lanes together, or one by one when they want more than that."""
        if self.lanes.add_all(items, historical=historical, created_at=OLD):
            self.added += [(one, historical) for one in items]
            assert not self.lanes.has_full_batch
            self.check_bounds()
        else:
            for one in items:
                self.add(one, historical=historical)

    def held(self) -> list[tuple[OutgoingEvent, bool]]:
        """Return what was added and is not delivered."""
        gone = {id(one) for one, _ in self.delivered}
        return [(one, flag) for one, flag in self.added if id(one) not in gone]

    def begin(self, *, everything: bool = False) -> None:
        """Begin what may go."""
        if everything:
            self.lanes.build_all()
        for number, batch in self.lanes.ready():
            assert number not in self.under_way
            self.check_batch(batch)
            self.under_way[number] = batch
        assert self.lanes.under_way == len(self.under_way)

    def end(self) -> None:
        """End any of the requests: taken, halved, or to be sent again."""
        assert self.under_way, "everybody waits, and nothing is under way"
        numbers = sorted(self.under_way)
        number = numbers[self._pick(len(numbers))]
        batch = self.under_way.pop(number)
        assert self.lanes.done(number) is batch
        outcome = self._pick(4)
        if outcome == 0:
            self.lanes.put_back(number, [batch])
        elif outcome == 1 and len(batch.items) > 1:
            self.lanes.put_back(number, batch.split())
        else:
            self.delivered += [(one, batch.historical) for one in batch.items]
        self.begin()

    def drain(self) -> None:
        """Let everything go."""
        self.begin(everything=True)
        while self.under_way:
            self.end()
            self.begin(everything=True)

    def double(self) -> None:
        """Go on with twice as many lanes, whatever waits."""
        self.lanes.double()

    def check_batch(self, batch: Batch) -> None:
        """See that a request is within its limits."""
        assert 1 <= len(batch.items) <= self.limits.max_events
        # The last comma is not sent.
        assert len(batch.items) == 1 or batch.size - 1 <= self.limits.max_bytes
        uuids = [one.uuid for one in batch.items]
        assert len(set(uuids)) == len(uuids)

    def check_bounds(self) -> None:
        """See that no more is held than a batch for each lane and one more."""
        batches = self.lanes.count + 1
        held = [one for one, _ in self.held()]
        assert len(held) <= batches * self.limits.max_events
        largest = max((len(one.body) + 1 for one in held), default=0)
        size = sum(len(one.body) + 1 for one in held)
        assert size <= batches * self.limits.max_bytes + largest


def runs_of(
    events: Sequence[tuple[int, int, str, bool, int]], data: st.DataObject
) -> Iterator[tuple[bool, list[tuple[int, int, str, bool, int]]]]:
    """Yield neighbours that are all historical or all live, at most five."""
    for historical, alike in groupby(events, key=lambda one: one[3]):
        rest = list(alike)
        while rest:
            size = data.draw(st.integers(1, 5))
            yield historical, rest[:size]
            del rest[:size]


def check_versions(added: Sequence[tuple[OutgoingEvent, bool]], place: dict[int, int]) -> None:
    """See that of the versions of an event the last one was delivered last."""
    versions: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
    for one, _ in added:
        versions[one.ordering_key, stored_once(one)].append(place[id(one)])
    assert all(places == sorted(places) for places in versions.values())


@examples(300)
@given(events=EVENTS, limits=LIMITS, count=st.integers(1, 5), data=st.data())
def test_whatever_happens_each_device_keeps_its_order(
    events: list[tuple[int, int, str, bool, int]], limits: Limits, count: int, data: st.DataObject
) -> None:
    """Under any sequence of ends, put back batches and doublings, with nothing lost or doubled."""
    run = Run(limits, count, lambda many: data.draw(st.integers(0, many - 1)))
    for historical, few in runs_of(events, data):
        items = [
            item(number, event=name, properties={"$device_id": f"d{device}", "text": "x" * length})
            for device, number, name, _, length in few
        ]
        run.add_all(items, historical=historical)
        what = data.draw(st.integers(0, 9))
        if what == 0:
            run.double()
        elif what < 4 and run.under_way:
            run.end()
    run.drain()
    assert not run.lanes.under_way
    run.begin(everything=True)
    assert not run.under_way

    assert sorted(id(one) for one, _ in run.delivered) == sorted(id(one) for one, _ in run.added)
    assert {(id(one), flag) for one, flag in run.delivered} == {
        (id(one), flag) for one, flag in run.added
    }
    place = {id(one): number for number, (one, _) in enumerate(run.delivered)}
    check_versions(run.added, place)
    devices: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for one, historical in run.added:
        devices[one.ordering_key].append((place[id(one)], historical))
    for places in devices.values():
        for flag in (True, False):
            of_kind = [at for at, historical in places if historical is flag]
            assert of_kind == sorted(of_kind)
        last_historical = -1
        for at, historical in places:
            # A live event may be overtaken by a historical one, and never overtakes one.
            last_historical = max(last_historical, at) if historical else last_historical
            assert historical or at > last_historical


#: What a stretch of events joins, a device and a user each, and whose events it has.
STRETCHES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 7), st.integers(8, 15)), max_size=3),
        st.lists(st.integers(0, 15), max_size=4),
    ),
    max_size=15,
)


@examples(150)
@given(stretches=STRETCHES, limits=LIMITS, count=st.sampled_from([1, 2, 4]), data=st.data())
def test_whoever_is_joined_nothing_of_a_user_overtakes_what_waited_of_the_device(
    stretches: list[tuple[list[tuple[int, int]], list[int]]],
    limits: Limits,
    count: int,
    data: st.DataObject,
) -> None:
    """However lanes wait for each other, and however many more there are meanwhile."""
    run = Run(limits, count, lambda many: data.draw(st.integers(0, many - 1)))
    added: dict[int, list[OutgoingEvent]] = defaultdict(list)
    before: list[tuple[OutgoingEvent, OutgoingEvent]] = []
    number = 0
    for joined, keys in stretches:
        what = data.draw(st.integers(0, 9))
        if what == 0 and run.lanes.count < 8:
            run.double()
        elif what < 4 and run.under_way:
            run.end()
        run.lanes.keys.forget_moved()
        for device, user in joined:
            run.lanes.join(f"k{device}", f"k{user}")
        ahead = {user: [one for device, of in joined if of == user for one in added[device]]
                 for _, user in joined}  # fmt: skip
        for key in [*keys, *(user for _, user in joined)]:
            one = item(number, event="e")
            one.ordering_key = f"k{key}"
            number += 1
            run.add(one, historical=True)
            before += [(first, one) for first in [*added[key], *ahead.get(key, ())]]
            added[key].append(one)
    run.drain()
    place = {id(one): at for at, (one, _) in enumerate(run.delivered)}
    assert len(place) == number
    assert all(place[id(first)] < place[id(second)] for first, second in before)


class AnyOrder:
    """Requests that end in any order, each after a time that makes more lanes worth it.

    Args:
        transport: what they meet.
        pick: chooses from so many.
    """

    def __init__(self, transport: FakeTransport, pick: Callable[[int], int]) -> None:
        self.now = 0.0
        self.most_under_way = 0
        self._transport = transport
        self._pick = pick
        self._under_way: dict[int, Batch] = {}

    def begin(self, lane: int, batch: Batch) -> None:
        """Send a request; a lane has one at a time."""
        assert lane not in self._under_way
        self._under_way[lane] = batch
        self.most_under_way = max(self.most_under_way, len(self._under_way))

    def next_done(self, timeout: float | None = None) -> tuple[int, SendResult | Exception] | None:
        """Let any request end; without a wait, perhaps none."""
        if not self._under_way or (timeout == 0 and self._pick(2)):
            return None
        lanes = sorted(self._under_way)
        lane = lanes[self._pick(len(lanes))]
        result = self._transport.send(self._under_way.pop(lane))
        self.now += 2.0
        return lane, SendResult(result.accepted, result.refused, result.left, seconds=2.0)

    def descriptors(self) -> Sequence[int]:
        """Return none: nobody waits."""
        return ()

    def close(self) -> None:
        """Have nothing to close."""


@examples(100)
@given(
    devices=st.lists(st.integers(0, 12), max_size=60),
    limits=st.builds(Limits, st.integers(1, 4), st.just(10**6)),
    culprits=st.sets(st.integers(0, 59), max_size=3),
    flush_after=st.sets(st.integers(0, 59), max_size=3),
    max_lanes=st.sampled_from([1, 2, 8]),
    data=st.data(),
)
def test_a_delivery_over_many_lanes_keeps_each_devices_order(
    devices: list[int],
    limits: Limits,
    culprits: set[int],
    flush_after: set[int],
    max_lanes: int,
    data: st.DataObject,
) -> None:
    """Also while the lanes double, and around events that PostHog refuses."""
    transport = FakeTransport(culprits=frozenset(map(uuid_of, culprits)))
    in_flight = AnyOrder(transport, lambda many: data.draw(st.integers(0, many - 1)))
    with TemporaryDirectory() as name:
        folder = Path(name)
        with delivery_to(
            transport,
            folder,
            limits=limits,
            ledger_url=MEMORY,
            in_flight=in_flight,
            clock=lambda: in_flight.now,
            max_lanes=max_lanes,
            max_reject_ratio=1,
        ) as delivery:
            for number, device in enumerate(devices):
                properties = {"$device_id": f"d{device}", "number": number}
                take(delivery, {"row": number}, converted(number, properties=properties))
                if number in flush_after:
                    delivery.flush()
                    assert delivery.counts.open == 0
            delivery.flush()
            counts = delivery.counts
            assert delivery.dispatcher.lanes.count <= max_lanes
        rejected = [line["record"]["row"] for line in rejected_lines(folder)]

    assert in_flight.most_under_way <= max_lanes
    accepted = [event["properties"]["number"] for event in transport.accepted]
    assert sorted([*accepted, *rejected]) == list(range(len(devices)))
    assert set(rejected) == culprits & set(range(len(devices)))
    assert (counts.accepted, counts.rejected.total()) == (len(accepted), len(rejected))
    by_device: dict[int, list[int]] = defaultdict(list)
    for number in accepted:
        by_device[devices[number]].append(number)
    for numbers in by_device.values():
        assert numbers == sorted(numbers)


@pytest.mark.parametrize(("events", "lanes"), [(2, 1), (3, 2)])
def test_what_holds_up_the_end_of_a_job_makes_more_lanes_worth_it(
    tmp_path: Path, events: int, lanes: int
) -> None:
    """A worker's jobs are short: most of its waiting is at their ends. For one batch it must be."""
    transport = FakeTransport()
    in_flight = AnyOrder(transport, lambda many: many - 1)
    with delivery_to(
        transport,
        tmp_path,
        limits=Limits(2, 10**6),
        in_flight=in_flight,
        clock=lambda: in_flight.now,
        max_lanes=2,
    ) as delivery:
        for job in range(5):
            for number in range(events):
                take(delivery, {}, converted(10 * job + number))
            delivery.flush()
        assert delivery.dispatcher.lanes.count == lanes
    assert len(transport.accepted) == 5 * events
