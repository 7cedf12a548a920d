"""Which event waits for which.

A lane is a queue of events with at most one request under way. Lanes run in parallel; all events
of a person share one, so their order is kept however many requests are under way and in whatever
order they end. There is one lane at first, so that all rows keep their order and a small run makes
few requests; more once waiting for responses has cost time. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from target_posthog.delivery.lane import Lane, LaneRun
from target_posthog.delivery.lane_keys import LaneKeys
from target_posthog.posthog.events import is_repeat, stored_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.capture.batches import Batch, Limits
    from target_posthog.capture.protocols import Wire
    from target_posthog.posthog.events import OutgoingEvent

#: What became of an event that was put into a lane: it is new in its batch, the very same is there
#: already and it was left out, or it took the place of an older version.
Put = Literal["added", "repeats", "replaces"]


class _Room:
    """How much all lanes may hold: at most one batch for each, and one more.

    Args:
        limits: of one batch.
        count: how many lanes there are.
    """

    def __init__(self, limits: Limits, count: int) -> None:
        self._events = limits.max_events * (count + 1)
        self._bytes = limits.max_bytes * (count + 1)

    def add_lanes(self, limits: Limits, count: int) -> None:
        """Have so many lanes more."""
        self.take(-limits.max_events * count, -limits.max_bytes * count)

    def take(self, events: int, size: int) -> None:
        """Have so much less from now on."""
        self._events -= events
        self._bytes -= size

    def is_left(self, events: int = 0, size: int = 0) -> bool:
        """Return True if there is still some room after so much."""
        return self._events > events and self._bytes > size


class Lanes:
    """The queues of events, and which batches may be sent now.

    What is held is bounded; see `_Room`. One class, as all that comes and goes counts in it.

    Args:
        count: how many lanes there are.
        limits: of one batch.
        wire: the protocol.

    Attributes:
        count: how many lanes there are.
        limits: of one batch; once they are smaller, larger ones that wait go in parts.
        keys: which event goes into which.
        has_full_batch: a batch, or the room for all of them, is full: one should be sent.
    """

    def __init__(self, count: int, limits: Limits, wire: Wire) -> None:
        self.count = count
        lanes = self._lanes = [Lane() for _ in range(count)]
        self.keys = LaneKeys(count, lambda number, key: lanes[number].holds(key))
        self.has_full_batch = False
        self.limits = limits
        self._wire = wire
        self._room = _Room(limits, count)

    @property
    def oldest(self) -> int | None:
        """The lowest epoch of what is not settled, None when all is."""
        return min((batch.epoch for lane in self._lanes for batch in lane.waiting), default=None)

    @property
    def under_way(self) -> int:
        """How many batches are under way."""
        return sum(lane.under_way is not None for lane in self._lanes)

    @property
    def must_wait(self) -> bool:
        """Whether nothing may be added before a batch that is under way is done."""
        return not self._room.is_left() and self.under_way > 0

    @property
    def is_held_up(self) -> bool:
        """Whether something waits only for what is under way in its lane."""
        return any(
            lane.under_way is not None and (lane.built or lane.growing) for lane in self._lanes
        )

    def add(self, item: OutgoingEvent, *, historical: bool, created_at: str, epoch: int = 0) -> Put:
        """Put an event at the end of its lane.

        No uuid stands in a batch twice: v1 refuses a request that holds one twice
        (rust/capture v1/analytics/process.rs, `duplicate_event_uuid`). Of two versions of an event
        the later one stays; two events of one uuid that PostHog would both keep go out both.
        """
        lane = self._lanes[self.keys.number_of(item.ordering_key)]
        size = len(item.body) + 1
        builder = lane.growing.get(historical)
        if any(item.uuid in builder.by_uuid for builder in lane.growing.values()):
            put = self._put_beside_twin(lane, item, historical=historical)
            if put != "added":
                return put
        elif builder is not None and builder.size + size > self.limits.max_bytes + 1:
            lane.build(live=not historical)
            self.has_full_batch = True
        builder = lane.builder(self._wire, historical, created_at, epoch)
        builder.add(item)
        self._room.take(1, size)
        if self.limits.are_reached(len(builder.by_uuid), builder.size):
            lane.build(live=not historical)
            self.has_full_batch = True
        elif not self._room.is_left():
            self.has_full_batch = True
        return "added"

    def add_all(
        self, items: Sequence[OutgoingEvent], *, historical: bool, created_at: str, epoch: int = 0
    ) -> bool:
        """Do what `add` does for each of these events, when it would do nothing else.

        Returns:
            False when it might fill a batch with them, or one is in a batch already. Then none is
            added.
        """
        runs = self._runs_of(items)
        size = sum(run.size for run in runs)
        if not self._room.is_left(len(items), size) or not all(
            run.fits(self.limits, historical=historical) for run in runs
        ):
            return False
        for run in runs:
            builder = run.lane.builder(self._wire, historical, created_at, epoch)
            builder.add_all(run.by_uuid, run.size)
            # Nobody looks for what waits of a key in a lane that is the only one: all lanes that
            # come later wait for it.
            if self.count > 1:
                builder.keys.update([item.ordering_key for item in run.by_uuid.values()])
        self._room.take(len(items), size)
        return True

    def double(self) -> None:
        """Have twice as many lanes: each new one takes half of the keys of one that there was.

        It waits for what that one has now.
        """
        self._room.add_lanes(self.limits, self.count)
        # In place: `keys` asks this very list.
        self._lanes += [lane.half() for lane in self._lanes]
        self.count = self.keys.count = 2 * self.count

    def join(self, first: str, second: str) -> None:
        """Put what is still to come of `second` behind all that waits of both keys."""
        if not self.keys.join(first, second):
            behind, own = (self._lanes[self.keys.number_of(key)] for key in (first, second))
            own.wait_for(behind)

    def build_all(self) -> None:
        """Let all that waits go out, full or not."""
        for lane in self._lanes:
            lane.build()

    def ready(self) -> Iterator[tuple[int, Batch]]:
        """Start and yield batches, with the numbers of their lanes, at most one for each lane."""
        self._pass_milestones()
        for number, lane in enumerate(self._lanes):
            if lane.has_built:
                yield number, lane.start(self.limits)
        if not self._room.is_left():
            idle = [number for number, lane in enumerate(self._lanes) if lane.can_begin]
            if idle:
                # Else nothing could be added, and no lane might ever be full.
                fullest = max(idle, key=lambda number: self._lanes[number].size)
                yield fullest, self._lanes[fullest].start(self.limits)
        self.has_full_batch = False

    def _pass_milestones(self) -> None:
        """Remove milestones that are reached; one may let another lane reach its own."""
        passed = True
        while passed:
            passed = any([lane.pass_milestones() for lane in self._lanes])  # noqa: C419 - of each

    def done(self, number: int) -> Batch:
        """Take the batch that was under way off its lane, and return it."""
        lane = self._lanes[number]
        batch, lane.under_way = lane.under_way, None
        if batch is None:
            raise ValueError(f"nothing is under way in lane {number}")
        self._room.take(-len(batch.items), -batch.size)
        return batch

    def put_back(self, number: int, batches: Sequence[Batch]) -> None:
        """Put batches at the head of a lane, in this order: they go before all that waits."""
        self._lanes[number].built.extendleft(reversed(batches))
        for batch in batches:
            self._room.take(len(batch.items), batch.size)

    def _put_beside_twin(self, lane: Lane, item: OutgoingEvent, *, historical: bool) -> Put:
        """Put an event into a lane where one of its uuid waits, if it needs no batch of its own.

        Otherwise all that waits there is built, so that the later one of the two goes later.
        """
        builder = lane.growing.get(historical)
        twin = None if builder is None else builder.by_uuid.get(item.uuid)
        if builder is not None and twin is not None and stored_once(twin) == stored_once(item):
            if item.is_derived or is_repeat(item, twin):
                return "repeats"
            more = len(item.body) - len(twin.body)
            if not twin.is_derived and builder.size + more <= self.limits.max_bytes:
                builder.replace(item)
                self._room.take(0, more)
                self.has_full_batch |= not self._room.is_left()
                return "replaces"
        lane.build()
        self.has_full_batch = True
        return "added"

    def _runs_of(self, items: Sequence[OutgoingEvent]) -> list[LaneRun]:
        """Return the lanes of these events, and which go there."""
        if self.count == 1:
            return [LaneRun(self._lanes[0], items)]
        number_of = self.keys.number_of
        of_lanes: dict[int, list[OutgoingEvent]] = {}
        for item in items:
            of_lanes.setdefault(number_of(item.ordering_key), []).append(item)
        return [LaneRun(self._lanes[number], of_lane) for number, of_lane in of_lanes.items()]
