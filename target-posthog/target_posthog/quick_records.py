"""RECORD lines of usual records, taken without the SDK's way through each of them.

The SDK copies each record, passes it through maps, counts it and asks whether the sink is full.
Where none of that changes anything, a usual record goes from its line straight to the delivery;
every other line goes the SDK's way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.amplitude.usual_rows import TOGETHER
from target_posthog.codec import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from target_posthog.converters import UsualEvents
    from target_posthog.target import TargetPosthog

#: A line that is longer, in bytes, does not wait: what waits must stay small.
_LONG = 65_536


class _Record(msgspec.Struct, gc=False):
    """A RECORD message; what else it says is of no use here."""

    type: str
    stream: str
    record: msgspec.Raw


@dataclass
class _Block:
    """Lines that wait for each other: RECORDs of one stream.

    Attributes:
        converter: of the stream's records; None only of an empty block.
        lines: as they came.
        records: the record in each.
    """

    converter: UsualEvents | None = None
    lines: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)


class QuickRecords:
    """Takes lines for a target.

    Only the message around a record is read here. Lines of one stream wait for each other, because
    records are converted faster together.

    Args:
        target: whose sinks and delivery it uses.

    Attributes:
        taken: how many lines were taken.
    """

    def __init__(self, target: TargetPosthog) -> None:
        self.taken = 0
        self._target = target
        self._decode = msgspec.json.Decoder(_Record).decode
        #: What converts the records of a stream, by its name.
        self._converters: dict[str, UsualEvents | None] = {}
        #: The same for the line that was learned, and what stands around its record.
        self._first: UsualEvents | None = None
        self._before = self._behind = b""

    def others(self, lines: Iterable[Any]) -> Iterator[Any]:
        """Take the lines whose records are usual, and yield the others; all in their order."""
        block = _Block()
        for line in lines:
            converter, record = self._read(line)
            if converter is not block.converter:
                yield from self._others_of(block)
                block = _Block(converter)
            if converter is None:
                yield line
                continue
            block.lines.append(line)
            block.records.append(record)
            if len(block.lines) >= TOGETHER or len(line) > _LONG:
                yield from self._others_of(block)
                block = _Block(converter)
        yield from self._others_of(block)

    def _others_of(self, block: _Block) -> Iterator[bytes]:
        if block.converter is None or not block.lines:
            return
        items = block.converter.events_of(block.records)
        usual = [item for item in items if item is not None]
        if len(usual) == len(items) and self._target.take_usual(usual):
            self.taken += len(items)
            return
        for line, item in zip(block.lines, items, strict=True):
            if item is not None and self._target.take_usual([item]):
                self.taken += 1
            else:
                yield line

    def _read(self, line: Any) -> tuple[UsualEvents | None, bytes]:
        """Return what converts a line's record, and the record; nothing when it is not usual.

        A line that begins and ends as the first one did is the same message with another record
        between. Where lines differ, as by `time_extracted`, the message is read.
        """
        if not isinstance(line, bytes):
            self._forget()
            return None, b""
        if self._first and line.startswith(self._before) and line.endswith(self._behind):
            return self._first, line[len(self._before) : len(line) - len(self._behind)]
        try:
            message = self._decode(line)
        except UNREADABLE:
            message = None
        if message is None or message.type != "RECORD":
            # It may be a new schema.
            self._forget()
            return None, b""
        record = bytes(message.record)
        converter = self._converter_of(message.stream)
        if not self._before:
            self._learn(line, record, converter)
        return converter, record

    def _converter_of(self, stream: str) -> UsualEvents | None:
        if stream not in self._converters:
            sink = self._target.plain_sink(stream)
            self._converters[stream] = None if sink is None else sink.converter.usual_rows
        return self._converters[stream]

    def _learn(self, line: bytes, record: bytes, converter: UsualEvents | None) -> None:
        """Remember what stands around the record of the first line."""
        self._before, _, self._behind = line.partition(record)
        # Else the same text also stands somewhere before the record.
        if self._before.rstrip().endswith(b'"record":'):
            self._first = converter

    def _forget(self) -> None:
        self._converters = {}
        self._first = None
        self._before = self._behind = b""
