"""RECORD lines of usual Amplitude rows, taken without the SDK's way through each of them.

The SDK copies each record, passes it through maps, counts it and asks whether the sink is full.
Where none of that changes anything, a usual row goes from its line straight to the delivery; every
other line goes the SDK's way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.amplitude.usual_rows import TOGETHER
from target_posthog.codec import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from target_posthog.amplitude.usual_rows import UsualRows
    from target_posthog.target import TargetPosthog

#: How a RECORD line begins, by the writers of the Meltano SDK and of others.
_BEGINNINGS = (b'{"type":"RECORD"', b'{"type": "RECORD"')

#: A line that is longer, in bytes, does not wait: what waits must stay small.
_LONG = 65_536


class _Record(msgspec.Struct, gc=False):
    """A RECORD message; what else it says is of no use here."""

    type: str
    stream: str
    record: msgspec.Raw


class QuickRecords:
    """Takes lines for a target.

    A line that begins and ends as the last one did is the same message with another record between:
    of JSON, only that record has to be read. Such lines wait for each other, because rows are
    converted faster together.

    Args:
        target: whose sinks and delivery it uses.

    Attributes:
        taken: how many lines were taken.
    """

    def __init__(self, target: TargetPosthog) -> None:
        self.taken = 0
        self._target = target
        self._decode = msgspec.json.Decoder(_Record).decode
        self._rows: UsualRows | None = None
        self._before = self._behind = b""

    def others(self, lines: Iterable[Any]) -> Iterator[Any]:
        """Take the lines whose rows are usual, and yield the others; all in their order."""
        waiting: list[bytes] = []
        for line in lines:
            if not self._is_as_before(line):
                yield from self._others_of(waiting)
                waiting = []
                if not self._learn(line):
                    yield line
                    continue
            waiting.append(line)
            if len(waiting) >= TOGETHER or len(line) > _LONG:
                yield from self._others_of(waiting)
                waiting = []
        yield from self._others_of(waiting)

    def _others_of(self, lines: Sequence[bytes]) -> Iterator[bytes]:
        """Do it for lines that are as the last one that was learned."""
        rows = self._rows
        if rows is None or not lines:
            return
        before, behind = len(self._before), len(self._behind)
        items = rows.events_of([line[before : len(line) - behind] for line in lines])
        usual = [item for item in items if item is not None]
        if len(usual) == len(lines) and self._target.take_usual(usual):
            self.taken += len(lines)
            return
        for line, item in zip(lines, items, strict=True):
            if item is not None and self._target.take_usual([item]):
                self.taken += 1
            else:
                yield line

    def _is_as_before(self, line: Any) -> bool:
        return (
            self._rows is not None
            and isinstance(line, bytes)
            and line.startswith(self._before)
            and line.endswith(self._behind)
        )

    def _learn(self, line: Any) -> bool:
        """Remember what stands around a line's record; tell whether its row may be usual.

        After a line of another kind nothing is remembered: it may be a new schema.
        """
        self._rows = None
        if not isinstance(line, bytes) or not line.startswith(_BEGINNINGS):
            return False
        try:
            message = self._decode(line)
        except UNREADABLE:
            return False
        self._before, _, self._behind = line.partition(bytes(message.record))
        # Else the same text also stands somewhere before the record.
        if message.type == "RECORD" and self._before.rstrip().endswith(b'"record":'):
            sink = self._target.plain_sink(message.stream)
            self._rows = None if sink is None else sink.converter.usual_rows
        return self._rows is not None
