"""RECORD lines of usual Amplitude rows, taken without the SDK's way through each of them.

The SDK copies each record, passes it through maps, counts it and asks whether the sink is full.
Where none of that changes anything, a usual row goes from its line straight to the delivery; every
other line goes the SDK's way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from target_posthog.target import TargetPosthog

#: How a RECORD line begins, by the writers of the Meltano SDK and of others.
_BEGINNINGS = (b'{"type":"RECORD"', b'{"type": "RECORD"')


class _Record(msgspec.Struct, gc=False):
    """A RECORD message; what else it says is of no use here."""

    stream: str
    record: msgspec.Raw


class QuickRecords:
    """Takes lines for a target.

    Args:
        target: whose sinks and delivery it uses.
    """

    def __init__(self, target: TargetPosthog) -> None:
        self._target = target
        self._decode = msgspec.json.Decoder(_Record).decode

    def take(self, line: bytes) -> bool:
        """Take a line whose row is usual; tell whether it was."""
        if not line.startswith(_BEGINNINGS):
            return False
        try:
            message = self._decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return False
        sink = self._target.plain_sink(message.stream)
        rows = None if sink is None else sink.converter.usual_rows
        if rows is None:
            return False
        record = bytes(message.record)
        usual = rows.event_of(record)
        return usual is not None and self._target.take_usual(usual, record)
