"""RECORD lines of usual Amplitude rows, taken without the SDK's way through each of them.

The SDK copies each record, passes it through maps, counts it and asks whether the sink is full.
Where none of that changes anything, a usual row goes from its line straight to the delivery; every
other line goes the SDK's way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from target_posthog.amplitude.usual_rows import UsualRows
    from target_posthog.sinks import PosthogSink
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
        self._known: dict[str, tuple[PosthogSink, UsualRows | None]] = {}

    def take(self, line: bytes) -> bool:
        """Take a line whose row is usual; tell whether it was."""
        if not line.startswith(_BEGINNINGS):
            return False
        try:
            message = self._decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return False
        rows = self._rows_of(message.stream)
        if rows is None:
            return False
        record = bytes(message.record)
        usual = rows.event_of(record)
        return usual is not None and self._target.take_usual(usual, record)

    def _rows_of(self, stream: str) -> UsualRows | None:
        sink = self._target.plain_sink(stream)
        if sink is None:
            return None
        known = self._known.get(stream)
        if known is None or known[0] is not sink:
            known = self._known[stream] = sink, sink.converter.usual_rows()
        return known[1]
