"""Memory that the target shares with one worker: slots for lines, and for what became of them."""

from __future__ import annotations

import struct
from typing import Any

#: How many blocks a worker has at a time: those of two runs (see `pool`), which is what it converts
#: while the target completes a stretch (see `delivery`) and takes nothing back.
SLOTS = 24
#: A block has some 256 KB, and what began before it, at most a line of 1 MiB. Only what is used
#: takes memory.
MAX_LINES_BYTES = 2 * 1024 * 1024
_MAX_BESIDE_BYTES = 4 * 1024 * 1024
_SLOT_BYTES = MAX_LINES_BYTES + _MAX_BESIDE_BYTES
MEMORY_BYTES = SLOTS * _SLOT_BYTES
#: How long it is; a longer message is the text itself.
_LENGTH = struct.Struct("<I")


class Slots:
    """Reads and writes the memory.

    Args:
        memory: `MEMORY_BYTES` that both processes have.
    """

    def __init__(self, memory: Any) -> None:
        self._view = memoryview(memory).cast("B")

    def put_lines(self, slot: int, lines: bytes) -> None:
        """Write lines, at most `MAX_LINES_BYTES`."""
        start = slot * _SLOT_BYTES
        self._view[start : start + len(lines)] = lines

    def lines(self, slot: int, size: int) -> bytes:
        """Read so many bytes of lines."""
        start = slot * _SLOT_BYTES
        return bytes(self._view[start : start + size])

    def put_beside(self, slot: int, text: bytes) -> bytes:
        """Write a task or its answer beside the lines; return what to send so that it is found."""
        if len(text) > _MAX_BESIDE_BYTES:
            return text
        start = slot * _SLOT_BYTES + MAX_LINES_BYTES
        self._view[start : start + len(text)] = text
        return _LENGTH.pack(len(text))

    def beside(self, slot: int, message: bytes) -> bytes | memoryview:
        """Return what a message tells of, until the slot is used again."""
        if len(message) > _LENGTH.size:
            return message
        start = slot * _SLOT_BYTES + MAX_LINES_BYTES
        return self._view[start : start + _LENGTH.unpack(message)[0]]
