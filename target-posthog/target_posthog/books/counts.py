"""How many events of a block belong to which app, export hour, day and name. Pure.

On the hot path: nearly all blocks hold one hour of one app.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, TypeAlias

from target_posthog.books.lines import Kind, Unit
from target_posthog.books.samples import sample_of
from target_posthog.model import BlockOfLines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.books.samples import Sample
    from target_posthog.posthog.events import OutgoingEvent

#: How many events there are of each origin, day and name.
BlockCounts: TypeAlias = "list[tuple[bytes, str, str, int]]"

_DAY = len("2024-01-31")


def counts_of(events: Sequence[OutgoingEvent]) -> BlockCounts:
    """Return how many events there are of each origin, day and name."""
    origins = {event.origin for event in events}
    if len(origins) == 1:
        pairs = Counter([(event.timestamp[:_DAY], event.name) for event in events])
        (origin,) = origins
        return [(origin, day, name, count) for (day, name), count in pairs.items()]
    keys = Counter([(event.origin, event.timestamp[:_DAY], event.name) for event in events])
    return [(*key, count) for key, count in keys.items()]


def samples_of(events: Sequence[OutgoingEvent]) -> dict[bytes, Sample]:
    """Return a few of the events of each origin; see `samples`."""
    origins = {event.origin for event in events}
    if len(origins) == 1:
        return {origins.pop(): sample_of([event.uuid for event in events])}
    uuids: defaultdict[bytes, list[str]] = defaultdict(list)
    for event in events:
        uuids[event.origin].append(event.uuid)
    return {origin: sample_of(those) for origin, those in uuids.items()}


def kind_of(event: OutgoingEvent) -> Kind:
    """Return the kind of an event."""
    return Kind(event.timestamp[:_DAY], event.name)


def unit_of_event(event: OutgoingEvent) -> Unit:
    """Return what the line of an event is about."""
    record = event.record
    stream = record.stream if isinstance(record, BlockOfLines) else event.stream
    return unit_of(stream, event.origin)


def unit_of(stream: str, origin: bytes) -> Unit:
    """Return what a line is about, of the records of one origin; see `OutgoingEvent`."""
    app, _, hour = origin.decode("utf-8", "replace").rpartition("/")
    return Unit(stream, app, hour)
