"""RECORD lines in blocks, which are converted without the SDK's way through each record.

The SDK copies each record, passes it through maps, counts it and asks whether the sink is full.
Where none of that changes anything, blocks of lines are converted as those of batch files are, in
this process or in workers. What is no plain record comes back at its place in the order, and goes
the SDK's way, as does every other line.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from target_posthog.json_codec import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: How many lines, or bytes of them, a block for this process has: what waits must stay small.
_FEW_LINES, _FEW_BYTES = 64, 64 * 1024
#: The same for a block for a worker.
_MOST_LINES, _MOST_BYTES = 2_000, 256 * 1024
#: How long a block for a worker waits to be full. Seconds.
_LONGEST_WAIT = 0.5


@dataclass
class RecordBlock:
    """RECORD lines of one stream that follow each other, and the record in each.

    Attributes:
        number: the number of the first line in the input.
        lines: as they came.
        records: the record in each.
        size: how many bytes the records have, with their ends.
    """

    stream: str
    number: int
    lines: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, line: bytes, record: bytes) -> None:
        """Take a line, and the record in it."""
        self.lines.append(line)
        self.records.append(record)
        self.size += len(record) + 1

    def raw(self) -> bytes:
        """Return the records as a block of lines."""
        return b"\n".join([*self.records, b""])

    @property
    def is_small(self) -> bool:
        """Whether the way to a worker and back would cost more than it saves."""
        return len(self.lines) < _FEW_LINES and self.size < _FEW_BYTES


class TakesRecords(Protocol):
    """What takes blocks of records."""

    @property
    def are_shared(self) -> bool:
        """Whether workers convert blocks."""

    def takes(self, stream: str) -> bool:
        """Return True if records of the stream need nothing of the SDK."""

    def take_records(self, block: RecordBlock) -> None:
        """Take a block, behind all that came before it."""

    def attend(self) -> tuple[Sequence[int], float | None]:
        """Go on with what must not wait for the next line; see `stdin.OnIdle`."""


class _Record(msgspec.Struct, gc=False):
    """A RECORD message; what else it says is of no use here."""

    type: str
    stream: str
    record: msgspec.Raw


class RecordBlocks:
    """Makes blocks of lines. Only the message around a record is read here.

    Attributes:
        taken: how many lines were taken.
    """

    def __init__(self, taker: TakesRecords) -> None:
        self.taken = 0
        self._taker = taker
        self._decode = msgspec.json.Decoder(_Record).decode
        #: Lines that wait for each other; None when there are none, so there is never an empty one.
        self._block: RecordBlock | None = None
        self._block_since = 0.0
        self._came = 0
        self._are_shared = False
        #: Whether records of a stream are taken, by its name.
        self._takes: dict[str, bool] = {}
        #: The stream of the line that was learned, and what stands around its record.
        self._first: str | None = None
        self._before = self._behind = b""

    def others(self, lines: Iterable[Any]) -> Iterator[Any]:
        """Take the lines that are plain records, and yield the others; all in their order."""
        for line in lines:
            stream, record = self._read(line)
            block = self._block
            if block is not None and stream != block.stream:
                self._pass_on()
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
                self._pass_on()
        self._pass_on()

    def attend(self) -> tuple[Sequence[int], float | None]:
        """Let a block go that has waited for long, and the taker go on; see `stdin.OnIdle`."""
        due = self._seconds_left()
        descriptors, seconds = self._taker.attend()
        times = [moment for moment in (seconds, due) if moment is not None]
        return descriptors, min(times, default=None)

    def _seconds_left(self) -> float | None:
        """Return how long the block may wait on; None when none waits for workers."""
        if self._block is None or not self._are_shared:
            return None
        left = self._block_since + _LONGEST_WAIT - time.monotonic()
        if left > 0:
            return left
        self._pass_on()
        return None

    def _is_full(self, block: RecordBlock) -> bool:
        if self._are_shared:
            return len(block.lines) >= _MOST_LINES or block.size >= _MOST_BYTES
        return not block.is_small

    def _pass_on(self) -> None:
        if self._block is None:
            return
        block, self._block = self._block, None
        self.taken += len(block.lines)
        self._taker.take_records(block)
        self._are_shared = self._taker.are_shared

    def _read(self, line: Any) -> tuple[str | None, bytes]:
        """Return the stream of a line, and its record; nothing when it is not a plain record.

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
        if not self._is_taken(message.stream):
            return None, b""
        record = bytes(message.record)
        if not self._before:
            self._learn(line, record, message.stream)
        return message.stream, record

    def _is_taken(self, stream: str) -> bool:
        if stream not in self._takes:
            self._takes[stream] = self._taker.takes(stream)
        return self._takes[stream]

    def _learn(self, line: bytes, record: bytes, stream: str) -> None:
        """Remember what stands around the record of the first line."""
        self._before, _, self._behind = line.partition(record)
        # Else the same text also stands somewhere before the record.
        if self._before.rstrip().endswith(b'"record":'):
            self._first = stream

    def _forget(self) -> None:
        self._takes = {}
        self._first = None
        self._before = self._behind = b""
