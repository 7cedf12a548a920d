"""Batches of events that go out as one request. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from isal import igzip, isal_zlib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from target_posthog.capture.protocols import Wire
    from target_posthog.capture.results import SendResult
    from target_posthog.posthog.events import OutgoingEvent

#: The level of compression; a higher one costs more time than it saves on the wire.
_LEVEL = 1
_GZIP = 16 + isal_zlib.MAX_WBITS
#: How many events are compressed at a time: few enough to be still in the processor's cache.
FED_TOGETHER = 100


@dataclass(frozen=True)
class Limits:
    """How much goes into one request, before compression."""

    max_events: int
    max_bytes: int

    def are_reached(self, events: int, size: int) -> bool:
        """Return True if no more should be added to so many events of this size."""
        return events >= self.max_events or size >= self.max_bytes

    def at_rate(self, events_per_second: float | None) -> Limits:
        """Return limits under which a rate is held evenly: at most the events of one second."""
        if events_per_second is None:
            return self
        return replace(self, max_events=max(1, min(self.max_events, int(events_per_second))))


@dataclass(frozen=True)
class Batch:
    """The events of one request.

    Attributes:
        items: the events, in order; no uuid twice.
        created_at: when the batch was begun, RFC 3339; the same in every try.
        size: how many bytes its events have before compression, with a comma each.
        epoch: see `state_gate`; that of its first event.
        keys: what its events must keep their order with; more may be in it.
    """

    items: Sequence[OutgoingEvent]
    wire: Wire
    historical: bool
    created_at: str
    size: int
    epoch: int = 0
    keys: AbstractSet[str] = frozenset()

    @cached_property
    def packed(self) -> bytes:
        """The request body, gzip; the same in every try.

        Compression lets go of the interpreter, so the thread of the request is the one to ask. It
        has a tenth of the events' bodies, which are let go of; `of` brings them back.
        """
        compressor = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
        head = self.wire.head(historical=self.historical, created_at=self.created_at)
        packed = [compressor.compress(head)]
        bodies = [item.body for item in self.items]
        for start in range(0, len(bodies), FED_TOGETHER):
            together = bodies[start : start + FED_TOGETHER]
            packed.append(compressor.compress(b",".join([b"", *together] if start else together)))
        for item, body in zip(self.items, bodies, strict=True):
            item.size, item.body = len(body), b""
        return b"".join([*packed, compressor.compress(b"]}"), compressor.flush()])

    def of(self, items: Sequence[OutgoingEvent]) -> Batch:
        """Return a part of this batch."""
        if len(items) == len(self.items):
            return self
        if not all(item.body for item in items):
            self._unpack()
        return replace(self, items=items, size=size_of(items))

    def split(self) -> tuple[Batch, Batch]:
        """Return the two halves of a batch of at least two events."""
        middle = len(self.items) // 2
        return self.of(self.items[:middle]), self.of(self.items[middle:])

    def _unpack(self) -> None:
        """Give the events their bodies back."""
        raw: bytes = igzip.decompress(self.packed)  # type: ignore[no-untyped-call]
        start = len(self.wire.head(historical=self.historical, created_at=self.created_at))
        for item in self.items:
            item.body = raw[start : start + item.size]
            start += item.size + len(b",")


class BatchBuilder:
    """A batch that still grows.

    Args:
        created_at: now, RFC 3339.
        epoch: see `state_gate`.

    Attributes:
        by_uuid: the events so far, by uuid.
        size: how many bytes they have before compression, with a comma each.
        epoch: that of the first event.
        keys: what they must keep their order with.
    """

    def __init__(self, wire: Wire, *, historical: bool, created_at: str, epoch: int = 0) -> None:
        self.by_uuid: dict[str, OutgoingEvent] = {}
        self.size = 0
        self.epoch = epoch
        self.keys: set[str] = set()
        self._wire = wire
        self._historical = historical
        self._created_at = created_at

    def add(self, item: OutgoingEvent) -> None:
        """Add an event, of a uuid that is not there."""
        self.add_all({item.uuid: item}, len(item.body) + 1)
        self.keys.add(item.ordering_key)

    def add_all(self, by_uuid: Mapping[str, OutgoingEvent], size: int) -> None:
        """Add events, without their keys.

        Args:
            by_uuid: the events in order, by uuids that are not there.
            size: how many bytes they have before compression, with a comma each.
        """
        self.by_uuid.update(by_uuid)
        self.size += size

    def replace(self, item: OutgoingEvent) -> None:
        """Put an event at the end, in place of the one of its uuid."""
        self.size += len(item.body) - len(self.by_uuid.pop(item.uuid).body)
        self.by_uuid[item.uuid] = item
        self.keys.add(item.ordering_key)

    def build(self) -> Batch:
        """Return the batch as it is now; nothing may be added any more."""
        return Batch(
            list(self.by_uuid.values()), self._wire, self._historical, self._created_at,
            self.size, self.epoch, self.keys,
        )  # fmt: skip


def size_of(items: Sequence[OutgoingEvent]) -> int:
    """Return how many bytes events have before compression, with a comma each."""
    # What a worker measured stands beside the rest of the event. To ask each body, which lies
    # elsewhere, is to wait for the memory.
    return sum([item.size or len(item.body) for item in items]) + len(items)


class Transport(Protocol):
    """Takes batches: PostHog itself, or the preview's file."""

    def send(self, batch: Batch) -> SendResult:
        """Deliver one batch; return once it is settled. Called in several threads.

        Raises:
            FixConfiguration: no batch will ever be accepted this way.
            RunAgain: it was not accepted in time.
        """

    def stop(self) -> None:
        """Try nothing more: what is under way ends with the try that it is in."""

    def close(self) -> None:
        """Let go of what is open."""
