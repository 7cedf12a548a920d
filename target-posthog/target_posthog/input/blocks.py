"""Lines of a batch file in blocks, as workers take them; kept until their events are settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def in_blocks(pieces: Iterator[bytes], longest: int) -> Iterator[tuple[bytes, bool]]:
    """Yield what comes in pieces of any size as blocks of whole lines, and parts of long lines.

    Each comes with whether its lines are whole. A line of more than `longest` bytes comes in parts.
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
