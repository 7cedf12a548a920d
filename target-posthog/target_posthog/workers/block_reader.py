"""Batch files into blocks of lines, in order, read ahead by a thread.

To unpack lets go of the interpreter, so it costs the target's own thread nothing.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from isal.isal_zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.input.batch_files import BatchFile
    from target_posthog.workers.messages import BlockStream

#: How many blocks are read ahead, at some 256 KB each.
_AHEAD = 16


@dataclass(frozen=True)
class StartOfFile:
    """A file begins."""

    stream: BlockStream
    file: BatchFile


@dataclass(frozen=True)
class RawBlock:
    """Lines of the file that began last; see `blocks.BlockOfLines`. `check` is their CRC-32."""

    raw: bytes
    is_whole: bool
    check: int


@dataclass(frozen=True)
class EndOfFile:
    """All of the file was read."""

    file: BatchFile


@dataclass(frozen=True)
class Mark:
    """Something that came behind the files so far, such as a state."""

    value: Any


@dataclass(frozen=True)
class Unreadable:
    """A file cannot be read, and nothing comes after it."""

    error: Exception


Read: TypeAlias = StartOfFile | RawBlock | EndOfFile | Mark | Unreadable


class BlockReader:
    """Reads files one after the other."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[StartOfFile | Mark | None] = queue.SimpleQueue()
        self._read: queue.Queue[Read] = queue.Queue(_AHEAD)
        self._is_closed = False
        #: Both ends of a pipe, once there is something to read.
        self._wake = self._waker = -1
        self._thread: threading.Thread | None = None
        self._open = 0

    @property
    def is_idle(self) -> bool:
        """Whether all that was added came out."""
        return not self._open

    def add(self, what: StartOfFile | Mark) -> None:
        """Take a file to read, or a mark behind the files so far."""
        if self._thread is None:
            self._wake, self._waker = os.pipe()
            os.set_blocking(self._wake, False)
            os.set_blocking(self._waker, False)
            self._thread = threading.Thread(target=self._work, name="block-reader", daemon=True)
            self._thread.start()
        self._open += 1
        self._inbox.put(what)

    def next(self) -> Read | None:
        """Return what comes next; None when it is not there yet."""
        if self._thread is None:
            return None
        read = self._read_ahead()
        if read is None:
            # Not before: to read the pipe lets go of the interpreter, which other threads want.
            with suppress(BlockingIOError):
                os.read(self._wake, 4096)
            read = self._read_ahead()
        if isinstance(read, (EndOfFile, Mark)):
            self._open -= 1
        return read

    def descriptors(self) -> list[int]:
        """Return what can be read from once something is there."""
        return [] if self._thread is None else [self._wake]

    def close(self) -> None:
        """Read nothing more."""
        self._is_closed = True
        self._inbox.put(None)

    def _read_ahead(self) -> Read | None:
        try:
            return self._read.get(block=False)
        except queue.Empty:
            return None

    def _work(self) -> None:
        try:
            while (what := self._inbox.get()) is not None:
                for read in [what] if isinstance(what, Mark) else _read(what):
                    self._put(read)
                    if self._is_closed:
                        return
        except Exception as error:  # noqa: BLE001 - raised again in the main thread
            self._put(Unreadable(error))

    def _put(self, read: Read) -> None:
        while not self._is_closed:
            try:
                self._read.put(read, timeout=0.2)
            except queue.Full:
                continue
            with suppress(BlockingIOError):  # full: there is enough to wake up for
                os.write(self._waker, b".")
            return


def _read(start: StartOfFile) -> Iterator[Read]:
    yield start
    for raw, is_whole in start.file.raw_blocks():
        yield RawBlock(raw, is_whole, crc32(raw))
    yield EndOfFile(start.file)
