"""Lines of one stream in, what becomes of each out: the fast way first, the rest one by one. Pure.

The same for RECORD lines, for blocks of batch files in workers, for previews and for replays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from target_posthog.capture.protocols import BatchWire
from target_posthog.common.lenient_json import strict_object
from target_posthog.model import Converted, Rejected, Skipped
from target_posthog.posthog.events import MAX_EVENT_BYTES, OutgoingEvent, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.capture.protocols import Wire
    from target_posthog.formats.converter import Converter
    from target_posthog.model import Json

Outcome: TypeAlias = OutgoingEvent | Skipped | Rejected


class Intake:
    """Converts the records of one stream into events on their way.

    Args:
        of_records: lines came as RECORD messages: what the SDK would do more with than to have it
            converted counts as no object.
    """

    def __init__(self, converter: Converter, wire: Wire, *, of_records: bool = False) -> None:
        self.converter = converter
        self.of_records = of_records
        self._wire = wire
        # It writes events as `/batch/` takes them.
        self._fast = converter.fast if isinstance(wire, BatchWire) else None

    def outcomes_of(self, lines: Sequence[bytes], latest_time: str) -> list[Outcome | None]:
        """Return what becomes of each line.

        None for one that is not one JSON object, or that the run stops at: it lacks its key. For
        `latest_time` see `posthog.events.prepare`.
        """
        fast = self.fast_events_of(lines, latest_time)
        if all(fast):
            return fast  # type: ignore[return-value] # a list of items is one of outcomes
        return [
            item or self._outcome_of_line(line, latest_time)
            for item, line in zip(fast, lines, strict=True)
        ]

    def fast_events_of(
        self, lines: Sequence[bytes], latest_time: str
    ) -> list[OutgoingEvent | None]:
        """Return the event of each line that goes the fast way, None for the others."""
        if self._fast is None or not lines:
            return [None] * len(lines)
        events = self._fast.events_of(lines)
        there = [item for item in events if item is not None]
        if there and (
            max([len(item.body) for item in there]) > MAX_EVENT_BYTES
            or max([item.timestamp for item in there]) > latest_time
        ):
            return [item if item and fits(item, latest_time) else None for item in events]
        return events

    def outcome_of(self, record: Json, latest_time: str) -> Outcome:
        """Return what becomes of a record."""
        conversion = self.converter.convert(record)
        if not isinstance(conversion, Converted):
            return conversion
        item = prepare(conversion, None, self._wire.fitted, latest_time)
        return replace(item, stage="check") if isinstance(item, Rejected) else item

    def _outcome_of_line(self, line: bytes, latest_time: str) -> Outcome | None:
        record = strict_object(line)
        if record is None or self.converter.lacking_key(record):
            return None
        if self.of_records and self.converter.needs_sdk(record):
            return None
        return self.outcome_of(record, latest_time)


def fits(item: OutgoingEvent, latest_time: str) -> bool:
    """Return True if the event of a usual row can be sent as it is."""
    return len(item.body) <= MAX_EVENT_BYTES and item.timestamp <= latest_time
