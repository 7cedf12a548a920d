"""One lane: a queue of events with at most one request under way. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from target_posthog.capture.batches import Batch, BatchBuilder, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.capture.batches import Limits
    from target_posthog.capture.protocols import Wire
    from target_posthog.posthog.events import OutgoingEvent


@dataclass(eq=False)
class Milestone:
    """A place in one lane that another lane waits for.

    Attributes:
        lane: where all before it must be settled.
        is_reached: it is.
    """

    lane: Lane
    is_reached: bool = False


@dataclass
class Lane:
    """One lane: built batches go before those that still grow, historical ones before live.

    Attributes:
        built: what goes next, in order; nothing passes a milestone of another lane before that one
            has reached it.
        growing: the batches that may still grow, by whether they are historical.
        under_way: the batch of the request.
        half_of: where the lane was, whose keys this one has half of, when it took them.
    """

    built: deque[Batch | Milestone] = field(default_factory=deque)
    growing: dict[bool, BatchBuilder] = field(default_factory=dict)
    under_way: Batch | None = None
    half_of: Milestone | None = None

    @property
    def can_begin(self) -> bool:
        """Whether a batch may begin: one waits, and for nothing in this or another lane."""
        is_free = not self.built or isinstance(self.built[0], Batch)
        return self.under_way is None and is_free and bool(self.built or self.growing)

    @property
    def has_built(self) -> bool:
        """Whether a batch may begin that does not grow any more."""
        return self.can_begin and bool(self.built)

    @property
    def size(self) -> int:
        """How many bytes the batches have that may still grow."""
        return sum(builder.size for builder in self.growing.values())

    @property
    def waiting(self) -> Iterator[Batch | BatchBuilder]:
        """All that is not settled."""
        under_way = () if self.under_way is None else (self.under_way,)
        built = (batch for batch in self.built if isinstance(batch, Batch))
        return chain(under_way, built, self.growing.values())

    def holds(self, key: str) -> bool:
        """Return True if something of a key is not settled, here or in the lane that it halves."""
        if any(key in batch.keys for batch in self.waiting):
            return True
        half = self.half_of
        return half is not None and not half.is_reached and half.lane.holds(key)

    def builder(
        self,
        wire: Wire,
        historical: bool,  # noqa: FBT001 - a key of the lane's
        created_at: str,
        epoch: int,
    ) -> BatchBuilder:
        """Return the batch that grows here, or begin one."""
        builder = self.growing.get(historical)
        if builder is None:
            builder = self.growing[historical] = BatchBuilder(
                wire, historical=historical, created_at=created_at, epoch=epoch
            )
        return builder

    def build(self, *, live: bool = True) -> None:
        """Let the historical events that wait go out, and behind them the live ones."""
        for historical in (True, False) if live else (True,):
            builder = self.growing.pop(historical, None)
            if builder is not None:
                self.built.append(builder.build())

    def half(self) -> Lane:
        """Return a new lane for half of the keys; it waits for all that waits here."""
        lane = Lane()
        lane.half_of = lane.wait_for(self)
        return lane

    def wait_for(self, other: Lane) -> Milestone:
        """Let what is still to come here begin once all that waits in another lane is settled."""
        milestone = Milestone(other)
        for lane in (other, self):
            lane.build()
            lane.built.append(milestone)
        return milestone

    def pass_milestones(self) -> bool:
        """Remove the milestones at the head that are reached; return True if there were any."""
        passed = False
        while self.under_way is None and self.built:
            first = self.built[0]
            if isinstance(first, Batch) or not (first.lane is self or first.is_reached):
                break
            first.is_reached = passed = True
            self.built.popleft()
        return passed

    def start(self, limits: Limits) -> Batch:
        """Let the next batch be under way; one that is too large by now goes in parts.

        Raises:
            ValueError: nothing can begin.
        """
        if not self.built:
            self.build()
        batch = self.built.popleft()
        if not isinstance(batch, Batch):
            raise ValueError("another lane is waited for")  # noqa: TRY004 - a mistake of the caller
        # The last comma is not sent.
        while batch.size > limits.max_bytes + 1 and len(batch.items) > 1:
            batch, second = batch.split()
            self.built.appendleft(second)
        self.under_way = batch
        return batch


class LaneRun:
    """Events in order that go to one lane.

    Attributes:
        lane: the lane.
        events: how many events there are.
        size: how many bytes they have before compression, with a comma each.
        by_uuid: the events by uuid; of twins only the last.
    """

    def __init__(self, lane: Lane, items: Sequence[OutgoingEvent]) -> None:
        self.lane = lane
        self.events = len(items)
        self.size = size_of(items)
        self.by_uuid = {item.uuid: item for item in items}

    def fits(self, limits: Limits, *, historical: bool) -> bool:
        """Return True if the events are new in the batch that grows there, and do not fill it."""
        growing = self.lane.growing
        builder = growing.get(historical)
        events, size = self.events, self.size
        if builder is not None:
            events, size = events + len(builder.by_uuid), size + builder.size
        return (
            all(builder.by_uuid.keys().isdisjoint(self.by_uuid) for builder in growing.values())
            and len(self.by_uuid) == self.events
            and not limits.are_reached(events, size)
        )
