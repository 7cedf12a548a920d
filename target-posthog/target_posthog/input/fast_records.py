"""RECORD lines of usual records, taken without the SDK's way through each of them.

The SDK copies each record, passes it through maps, counts it and asks whether the sink is full.
Where none of that changes anything, a usual record goes from its line straight to the delivery;
every other line goes the SDK's way.

Once there are many, blocks of them go to the workers, and what is to go the SDK's way comes back
to the target at its place in the order.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.formats.amplitude.fast.convert import TOGETHER
from target_posthog.json_codec import UNREADABLE
from target_posthog.workers.record_blocks import RecordBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from target_posthog.formats.converter import FastConverter
    from target_posthog.target import TargetPosthog

#: Records that have more bytes do not wait: what waits must stay small.
_LONG = 65_536
#: The same for a block for a worker, and with how many lines it does not wait.
_MOST_BYTES, _MOST_LINES = 256 * 1024, 2_000
#: For how long a block for a worker waits to be full. Seconds.
_PATIENCE = 0.5


class _Record(msgspec.Struct, gc=False):
    """A RECORD message; what else it says is of no use here."""

    type: str
    stream: str
    record: msgspec.Raw


class FastRecords:
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
        #: Lines that wait for each other; None when there are none, so there is never an empty one.
        self._block: RecordBlock | None = None
        self._block_since = 0.0
        self._came = 0
        self._bytes = 0
        #: Whether blocks go to workers.
        self._is_shared = False
        #: What converts the records of a stream, by its name.
        self._converters: dict[str, FastConverter | None] = {}
        #: The stream of the line that was learned, and what stands around its record.
        self._first: str | None = None
        self._before = self._behind = b""

    def others(self, lines: Iterable[Any]) -> Iterator[Any]:
        """Take the lines whose records are usual, and yield the others; all in their order."""
        for line in lines:
            stream, record = self._read(line)
            block = self._block
            if block is not None and stream != block.stream:
                yield from self._pass_on()
                block = None
            self._came += 1
            if stream is None:
                yield line
                continue
            if block is None:
                block = self._block = RecordBlock(stream, self._came)
                self._block_since = time.monotonic()
            block.add(line, record)
            if self._is_full(block):
                yield from self._pass_on()
        yield from self._pass_on()

    def attend(self) -> float | None:
        """Let a block go that has waited for long.

        Returns:
            After how many seconds to ask again; None when none waits for workers.
        """
        if self._block is None or not self._is_shared:
            return None
        left = self._block_since + _PATIENCE - time.monotonic()
        if left > 0:
            return left
        self._share()
        return None

    def _is_full(self, block: RecordBlock) -> bool:
        if self._is_shared:
            return len(block.lines) >= _MOST_LINES or block.size >= _MOST_BYTES
        return len(block.lines) >= TOGETHER or block.size > _LONG

    def _pass_on(self) -> Iterator[bytes]:
        """Have the block converted that waits; yield the lines that are for the SDK at once."""
        if self._block is None:
            return
        if not self._is_shared:
            self._bytes += self._block.size
            self._is_shared = self._target.can_share(self._came, self._bytes)
        if self._is_shared:
            self._share()
        else:
            yield from self._others_of_block()

    def _share(self) -> None:
        block, self._block = self._block, None
        assert block is not None  # noqa: S101 - asked before
        self.taken += len(block.lines)
        self._target.give_records(block)

    def _others_of_block(self) -> Iterator[bytes]:
        block, self._block = self._block, None
        assert block is not None  # noqa: S101 - asked before
        converter = self._converter_of(block.stream)
        assert converter is not None  # noqa: S101 - see `_read`
        items = converter.events_of(block.records)
        usual = [item for item in items if item is not None]
        if len(usual) == len(items) and self._target.take_usual(usual, block.stream):
            self.taken += len(items)
            return
        for line, item in zip(block.lines, items, strict=True):
            if item is not None and self._target.take_usual([item], block.stream):
                self.taken += 1
            else:
                yield line

    def _read(self, line: Any) -> tuple[str | None, bytes]:
        """Return the stream of a line, and its record; nothing when it is not usual.

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
        if self._converter_of(message.stream) is None:
            return None, b""
        record = bytes(message.record)
        if not self._before:
            self._learn(line, record, message.stream)
        return message.stream, record

    def _converter_of(self, stream: str) -> FastConverter | None:
        if stream not in self._converters:
            sink = self._target.plain_sink(stream)
            self._converters[stream] = None if sink is None else sink.converter.fast
        return self._converters[stream]

    def _learn(self, line: bytes, record: bytes, stream: str) -> None:
        """Remember what stands around the record of the first line."""
        self._before, _, self._behind = line.partition(record)
        # Else the same text also stands somewhere before the record.
        if self._before.rstrip().endswith(b'"record":'):
            self._first = stream

    def _forget(self) -> None:
        self._converters = {}
        self._first = None
        self._before = self._behind = b""
