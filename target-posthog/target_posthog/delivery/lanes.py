"""Which event waits for which.

A lane is a queue of events with at most one request under way. Lanes run in parallel; all events
of a person share one, so their order is kept however many requests are under way and in whatever
order they end. There is one lane at first, so that all rows keep their order and a small run makes
few requests; more once waiting for responses has cost time. Pure.
"""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Literal

from target_posthog.capture.batches import BatchBuilder, size_of
from target_posthog.posthog.events import is_repeat, stored_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.capture.batches import Batch, Limits
    from target_posthog.capture.protocols import Wire
    from target_posthog.posthog.events import OutgoingEvent

#: What became of an event that was put into a lane: it is new in its batch, the very same is there
#: already and it was left out, or it took the place of an older version.
Put = Literal["added", "repeats", "replaces"]

#: An answer that takes longer comes from far away, and another request could be under way
#: meanwhile. Seconds.
_SLOW_ANSWER = 0.05
#: How much waiting for slow answers doubles the lanes. Seconds.
_LOST_BEFORE_DOUBLING = 0.2
#: How many keys may be in other lanes than their own before those are forgotten of which nothing
#: waits.
_MOST_MOVED = 10_000


@dataclass
class _Lane:
    """One lane: built batches go before those that still grow, historical ones before live."""

    built: deque[Batch] = field(default_factory=deque)
    growing: dict[bool, BatchBuilder] = field(default_factory=dict)
    under_way: Batch | None = None

    @property
    def can_begin(self) -> bool:
        return self.under_way is None and bool(self.built or self.growing)

    @property
    def size(self) -> int:
        return sum(builder.size for builder in self.growing.values())

    def build(self, *, live: bool = True) -> None:
        """Let the historical events that wait go out, and behind them the live ones."""
        for historical in (True, False) if live else (True,):
            builder = self.growing.pop(historical, None)
            if builder is not None:
                self.built.append(builder.build())

    @property
    def waiting(self) -> Iterator[Batch | BatchBuilder]:
        """All that is not settled."""
        under_way = () if self.under_way is None else (self.under_way,)
        return chain(under_way, self.built, self.growing.values())


class _Run:
    """Events in order that go to one lane.

    Attributes:
        lane: the lane.
        events: how many events there are.
        size: how many bytes they have before compression, with a comma each.
        by_uuid: the events by uuid; of twins only the last.
    """

    def __init__(self, lane: _Lane, items: Sequence[OutgoingEvent]) -> None:
        self.lane = lane
        self.events = len(items)
        self.size = size_of(items)
        self.by_uuid = {item.uuid: item for item in items}


class Lanes:
    """The queues of events, and which batches may be sent now.

    What is held is bounded: over all lanes at most one batch for each, and one more, may wait or
    be under way before something must end.

    Args:
        count: how many lanes there are.
        limits: of one batch.
        wire: the protocol.

    Attributes:
        count: how many lanes there are.
        has_full_batch: a batch, or the room for all of them, is full: one should be sent.
    """

    def __init__(self, count: int, limits: Limits, wire: Wire) -> None:
        self.count = count
        self.has_full_batch = False
        self._lanes = [_Lane() for _ in range(count)]
        self._limits = limits
        self._wire = wire
        self._room_events = limits.max_events * (count + 1)
        self._room_bytes = limits.max_bytes * (count + 1)
        self._held_events = self._held_bytes = 0
        #: The lanes of what follows something into another one than its own.
        self._moved: dict[str, int] = {}
        #: What each of these is to follow in its lane, since `forget_moved`.
        self._followed: dict[str, list[str]] = {}

    def bound(self, max_bytes: int) -> None:
        """Make no batch larger than this from now on; those that wait go in parts."""
        self._limits = replace(self._limits, max_bytes=max_bytes)

    @property
    def oldest(self) -> int | None:
        """The lowest epoch of what is not settled, None when all is."""
        return min((one.epoch for lane in self._lanes for one in lane.waiting), default=None)

    def join(self, first: str, second: str) -> bool:
        """Let what is still to come of `second` go behind all that waits of `first`.

        Returns:
            False when that needs an empty lane, because events of both wait in different ones.
        """
        behind, own = self._number_of(first), self._number_of(second)
        if self.count == 1 or not self._holds(behind, first):
            return True
        if behind != own:
            followed = self._followed.pop(second, ())
            if any(self._holds(own, key) for key in (second, *followed)):
                return False
            self._moved[second] = behind
        self._followed.setdefault(second, []).append(first)
        return True

    def forget_moved(self) -> None:
        """Forget, if they are many, the keys in other lanes than their own of which nothing waits.

        Not while something is joined: what is to follow has not come yet.
        """
        self._followed.clear()
        if len(self._moved) >= _MOST_MOVED:
            self._moved = {
                key: number for key, number in self._moved.items() if self._holds(number, key)
            }

    def build_all(self) -> None:
        """Let all that waits go out, full or not."""
        for lane in self._lanes:
            lane.build()

    def add(self, item: OutgoingEvent, *, historical: bool, created_at: str, epoch: int = 0) -> Put:
        """Put an event at the end of its lane.

        No uuid stands in a batch twice: v1 refuses a request that holds one twice
        (rust/capture v1/analytics/process.rs, `duplicate_event_uuid`). Of two versions of an event
        the later one stays; two events of one uuid that PostHog would both keep go out both.
        """
        lane = self._lanes[self._number_of(item.ordering_key)]
        size = len(item.body) + 1
        builder = lane.growing.get(historical)
        if any(item.uuid in one.by_uuid for one in lane.growing.values()):
            put = self._put_beside_twin(lane, item, historical=historical)
            if put != "added":
                return put
        elif builder is not None and builder.size + size > self._limits.max_bytes + 1:
            self._build(lane, historical=historical)
        builder = lane.growing.get(historical)
        if builder is None:
            builder = self._begun(lane, historical, created_at, epoch)
        builder.add(item)
        self._held_events += 1
        self._held_bytes += size
        if self._is_full(len(builder.by_uuid), builder.size):
            self._build(lane, historical=historical)
        elif self._held_events >= self._room_events or self._held_bytes >= self._room_bytes:
            self.has_full_batch = True
        return "added"

    def add_all(
        self, items: Sequence[OutgoingEvent], *, historical: bool, created_at: str, epoch: int = 0
    ) -> bool:
        """Do what `add` does for each of these events, when it would do nothing else.

        Returns:
            False when it might fill a batch with them, or one is in a batch already.
            Then none is added.
        """
        runs = [_Run(self._lanes[0], items)] if self.count == 1 else self._runs_of(items)
        size = sum(run.size for run in runs)
        has_room = (
            self._held_events + len(items) < self._room_events
            and self._held_bytes + size < self._room_bytes
        )
        if not has_room or not all(self._takes(run, historical=historical) for run in runs):
            return False
        for run in runs:
            builder = run.lane.growing.get(historical)
            if builder is None:
                builder = self._begun(run.lane, historical, created_at, epoch)
            builder.add_all(run.by_uuid, run.size)
            # In a lane that is the only one, nobody looks for what waits of a key.
            if self.count > 1:
                builder.keys.update([item.ordering_key for item in run.by_uuid.values()])
        self._held_events += len(items)
        self._held_bytes += size
        return True

    @property
    def under_way(self) -> int:
        """How many batches are under way."""
        return sum(lane.under_way is not None for lane in self._lanes)

    @property
    def must_wait(self) -> bool:
        """Whether nothing may be added before a batch that is under way is done."""
        return not self._has_room and self.under_way > 0

    @property
    def is_held_up(self) -> bool:
        """Whether something waits only for what is under way in its lane."""
        return any(
            lane.under_way is not None and (lane.built or lane.growing) for lane in self._lanes
        )

    def ready(self, *, everything: bool) -> Iterator[tuple[int, Batch]]:
        """Start and yield batches, with the numbers of their lanes, at most one for each lane.

        Args:
            everything: do not wait until a lane has a full batch.
        """
        for number, lane in enumerate(self._lanes):
            if lane.can_begin and (everything or lane.built):
                yield number, self._start(lane)
        if not self._has_room:
            idle = [number for number, lane in enumerate(self._lanes) if lane.can_begin]
            if idle:
                # Else nothing could be added, and no lane might ever be full.
                fullest = max(idle, key=lambda number: self._lanes[number].size)
                yield fullest, self._start(self._lanes[fullest])
        self.has_full_batch = False

    def done(self, number: int) -> Batch:
        """Take the batch that was under way off its lane, and return it."""
        lane = self._lanes[number]
        batch, lane.under_way = lane.under_way, None
        if batch is None:
            raise ValueError(f"nothing is under way in lane {number}")
        self._hold(batch, -1)
        return batch

    def put_back(self, number: int, batches: Sequence[Batch]) -> None:
        """Put batches at the head of a lane, in this order: they go before all that waits."""
        self._lanes[number].built.extendleft(reversed(batches))
        for batch in batches:
            self._hold(batch, +1)

    def _begun(
        self,
        lane: _Lane,
        historical: bool,  # noqa: FBT001 - a key of the lane's
        created_at: str,
        epoch: int,
    ) -> BatchBuilder:
        """Begin a batch in a lane, and return it."""
        builder = BatchBuilder(
            self._wire, historical=historical, created_at=created_at, epoch=epoch
        )
        lane.growing[historical] = builder
        return builder

    def _number_of(self, key: str) -> int:
        """Return the number of a key's lane."""
        if self.count == 1:
            return 0
        moved = self._moved.get(key)
        return _place(key, self.count) if moved is None else moved

    def _holds(self, number: int, key: str) -> bool:
        return any(key in one.keys for one in self._lanes[number].waiting)

    def _is_full(self, events: int, size: int) -> bool:
        return events >= self._limits.max_events or size >= self._limits.max_bytes

    def _put_beside_twin(self, lane: _Lane, item: OutgoingEvent, *, historical: bool) -> Put:
        """Put an event into a lane where one of its uuid waits, if it needs no batch of its own.

        Otherwise all that waits there is built, so that the later one of the two goes later.
        """
        builder = lane.growing.get(historical)
        twin = None if builder is None else builder.by_uuid.get(item.uuid)
        if builder is not None and twin is not None and stored_once(twin) == stored_once(item):
            if item.is_derived or is_repeat(item, twin):
                return "repeats"
            more = len(item.body) - len(twin.body)
            if not twin.is_derived and builder.size + more <= self._limits.max_bytes:
                builder.replace(item)
                self._held_bytes += more
                self.has_full_batch |= not self._has_room
                return "replaces"
        self._build(lane, historical=False)
        return "added"

    def _runs_of(self, items: Sequence[OutgoingEvent]) -> list[_Run]:
        """Return the lanes of these events, and which go there."""
        of_lanes: dict[int, list[OutgoingEvent]] = {}
        for item in items:
            of_lanes.setdefault(self._number_of(item.ordering_key), []).append(item)
        return [_Run(self._lanes[number], of_lane) for number, of_lane in of_lanes.items()]

    def _takes(self, run: _Run, *, historical: bool) -> bool:
        """Tell whether a run's events are new in the batch that grows there, and do not fill it."""
        growing = run.lane.growing
        builder = growing.get(historical)
        events, size = run.events, run.size
        if builder is not None:
            events, size = events + len(builder.by_uuid), size + builder.size
        return (
            all(one.by_uuid.keys().isdisjoint(run.by_uuid) for one in growing.values())
            and len(run.by_uuid) == run.events
            and not self._is_full(events, size)
        )

    @property
    def _has_room(self) -> bool:
        return self._held_events < self._room_events and self._held_bytes < self._room_bytes

    def _build(self, lane: _Lane, *, historical: bool) -> None:
        lane.build(live=not historical)
        self.has_full_batch = True

    def _start(self, lane: _Lane) -> Batch:
        if not lane.built:
            lane.build()
        # The last comma is not sent.
        while lane.built[0].size > self._limits.max_bytes + 1 and len(lane.built[0].items) > 1:
            lane.built.extendleft(reversed(lane.built.popleft().split()))
        lane.under_way = lane.built.popleft()
        return lane.under_way

    def _hold(self, batch: Batch, sign: int) -> None:
        self._held_events += sign * len(batch.items)
        self._held_bytes += sign * batch.size


class AdaptiveConcurrency:
    """How many lanes to use: twice as many once waiting for slow responses has cost time.

    Args:
        most: how many lanes there may be.

    Attributes:
        count: the target number of lanes.
    """

    def __init__(self, most: int) -> None:
        self.count = 1
        self._most = most
        self._lost = 0.0

    def waited(self, seconds: float, *, answer_took: float) -> None:
        """Note that nothing else could be done for so many seconds, but to wait for an answer.

        Args:
            seconds: how long.
            answer_took: how long the answer was on its way. The rest of the wait has other causes,
                such as `max_events_per_second`, against which more lanes do not help.
        """
        if answer_took > _SLOW_ANSWER:
            self._lost += min(seconds, answer_took)
        if self._lost > _LOST_BEFORE_DOUBLING:
            self._lost = 0.0
            self.count = min(2 * self.count, self._most)


def _place(key: str, count: int) -> int:
    """Return the lane of a key; as the ledger has it, without NUL."""
    return zlib.crc32(key.replace("\0", "\ufffd").encode("utf-8", "replace")) % count
