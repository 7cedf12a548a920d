"""RECORD lines of usual Amplitude rows, taken without the SDK's way through each of them.

The SDK copies each record, passes it through maps, counts it and asks whether the sink is full.
Where none of that changes anything, a usual row goes from its line straight to the delivery; every
other line goes the SDK's way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from target_posthog.codec import UNREADABLE

if TYPE_CHECKING:
    from target_posthog.amplitude.usual_rows import UsualRows
    from target_posthog.target import TargetPosthog

#: How a RECORD line begins, by the writers of the Meltano SDK and of others.
_BEGINNINGS = (b'{"type":"RECORD"', b'{"type": "RECORD"')


class _Record(msgspec.Struct, gc=False):
    """A RECORD message; what else it says is of no use here."""

    type: str
    stream: str
    record: msgspec.Raw


class QuickRecords:
    """Takes lines for a target.

    A line that begins and ends as the last one did is the same message with another record between:
    of JSON, only that record has to be read.

    Args:
        target: whose sinks and delivery it uses.
    """

    def __init__(self, target: TargetPosthog) -> None:
        self._target = target
        self._decode = msgspec.json.Decoder(_Record).decode
        self._rows: UsualRows | None = None
        self._before = self._behind = b""

    def forget(self) -> None:
        """Take nothing for granted: a message of another kind came, perhaps a new schema."""
        self._rows = None

    def take(self, line: bytes) -> bool:
        """Take a line whose row is usual; tell whether it was."""
        before, behind = self._before, self._behind
        if self._rows is not None and line.startswith(before) and line.endswith(behind):
            record = line[len(before) : len(line) - len(behind)]
        else:
            record = self._learn(line)
        usual = None if self._rows is None else self._rows.events_of([record])[0]
        return usual is not None and self._target.take_usual(usual)

    def _learn(self, line: bytes) -> bytes:
        """Return a line's record, and remember what stands around it; nothing if it has none."""
        self._rows = None
        if not line.startswith(_BEGINNINGS):
            return b""
        try:
            message = self._decode(line)
        except UNREADABLE:
            return b""
        record = bytes(message.record)
        before, _, self._behind = line.partition(record)
        # Else the same text also stands somewhere before the record.
        if message.type == "RECORD" and before.rstrip().endswith(b'"record":'):
            sink = self._target.plain_sink(message.stream)
            self._before = before
            self._rows = None if sink is None else sink.converter.usual_rows
        return record
