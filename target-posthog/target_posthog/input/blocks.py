"""Lines of a batch file in blocks, as workers take them; kept until their events are settled."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from target_posthog.json_codec import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from target_posthog.model import Json


class BlockOfLines:
    """Lines that follow each other in a file.

    Args:
        raw: the lines with their ends.
        is_whole: whether they begin and end where lines do. Else they are a part of a long line.
        known: returns a record as the rejects file wants it.
    """

    def __init__(
        self, raw: bytes, *, is_whole: bool = True, known: Callable[[Json], Any] | None = None
    ) -> None:
        self.raw = raw
        self.is_whole = is_whole
        self.known = known
        self._lines: list[bytes] | None = None

    def lines(self) -> list[bytes]:
        """Return the lines with their ends."""
        return lines_of(self.raw)

    def line(self, index: int) -> bytes:
        """Return one line; few are ever asked for, so the block is cut at the first."""
        if self._lines is None:
            self._lines = self.lines()
        return self._lines[index]

    def record(self, index: int) -> Any:
        """Return the record of a line, as the rejects file wants it."""
        record = loads(self.line(index))
        return record if self.known is None else self.known(record)


def lines_of(raw: bytes) -> list[bytes]:
    """Return the lines of a text with their ends: to take them off is to copy."""
    # `split` looks at each byte; this finds the ends three times as fast.
    return io.BytesIO(raw).readlines()


def in_blocks(pieces: Iterator[bytes], longest: int) -> Iterator[tuple[bytes, bool]]:
    """Yield what comes in pieces of any size as blocks of whole lines, and parts of long lines.

    Args:
        pieces: of a file, in order.
        longest: a line with more bytes comes in parts.

    Yields:
        The lines, and whether they are whole.
    """
    begun: list[bytes] = []
    size = 0
    is_whole = True
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end and not is_whole:
            # The end of a long line goes by itself, so that whole lines follow.
            first = piece.index(b"\n") + 1
            yield b"".join([*begun, piece[:first]]), False
            begun, size, is_whole = [], 0, True
            piece, end = piece[first:], end - first  # noqa: PLW2901 - what is left of it
        if end:
            # Copied once: a slice would be a copy, too.
            yield b"".join([*begun, memoryview(piece)[:end]]), True
            begun, size = [], 0
        if end < len(piece):
            begun.append(piece[end:])
            size += len(piece) - end
        if size > longest:
            yield b"".join(begun), False
            begun, size, is_whole = [], 0, False
    if begun:
        yield b"".join(begun), is_whole
