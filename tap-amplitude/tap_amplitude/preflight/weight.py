"""What exported files weigh: counted, and nothing of them kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tap_amplitude.common.object_cutter import Found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_amplitude.files.member import Member


@dataclass(frozen=True)
class Weight:
    """How much some files hold.

    Attributes:
        files: How many there are.
        rows: The events in them.
        bad_lines: The lines that are no events.
        packed_bytes: Their size as they are stored.
        unpacked_bytes: The size of the events' lines.
    """

    files: int = 0
    rows: int = 0
    bad_lines: int = 0
    packed_bytes: int = 0
    unpacked_bytes: int = 0


def weigh(members: Iterable[Member]) -> Weight:
    """Read files to their ends.

    Raises:
        TapError: One of them cannot be read.
    """
    files = rows = bad = packed = unpacked = 0
    for member in members:
        files += 1
        packed += member.packed_bytes
        for taken in member.take(_size_of_line, _size_of_object):
            if isinstance(taken, Found):
                bad += 1
            else:
                rows += 1
                unpacked += taken
    return Weight(files, rows, bad, packed, unpacked)


def _size_of_line(line: bytes) -> int | None:
    """Return the size of a line that is one object, None for any other."""
    try:
        is_object = isinstance(orjson.loads(line), dict)
    except ValueError:
        return None
    return len(line) if is_object else None


def _size_of_object(row: dict[str, Any]) -> int:
    return len(json.dumps(row))
