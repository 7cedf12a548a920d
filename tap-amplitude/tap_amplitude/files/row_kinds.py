"""What the rows of a file are: events or merges of users (pure)."""

from __future__ import annotations

import enum
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: How much of a file is looked at.
LOOK_BYTES = 1024 * 1024
#: A file may begin with lines that are no rows.
_LINES = 20
_OF_EVENTS = frozenset({"event_type", "event_time", "server_upload_time", "$insert_id"})
_OF_MERGES = frozenset({"merged_amplitude_id"})
_BEFORE_A_ROW = "\ufeff \t\r\n\0\x0b\x0c\x1e[,"
# Python's own reader takes the first value of a text, whatever follows it.
_decode = json.JSONDecoder(strict=False).raw_decode


class Rows(enum.Enum):
    """What the rows of a file are."""

    EVENTS = enum.auto()
    MERGES = enum.auto()
    #: Merges first, and events.
    BOTH = enum.auto()
    OTHER = enum.auto()


def rows_in(beginning: bytes) -> Rows | None:
    """Return what the first readable row of a file is; None when it has no row.

    The beginning is unpacked: JSON lines, an array, or objects on one line.
    """
    text = beginning.decode(errors="replace")
    if not text.strip(_BEFORE_A_ROW + "]"):
        return None
    for row in _first_rows(text):
        if is_event(row):
            return Rows.EVENTS
        return Rows.OTHER if _OF_MERGES.isdisjoint(map(str.lower, row)) else Rows.MERGES
    return _by_words(text.lower())


def is_event(row: Mapping[str, Any]) -> bool:
    """Return True if a row has a field that only events have."""
    return not _OF_EVENTS.isdisjoint(map(str.lower, row))


def app_in(beginning: bytes) -> str:
    """Return the app that the first readable row names; empty when it names none."""
    row = next(_first_rows(beginning.decode(errors="replace")), {})
    app = str(row.get("app", row.get("APP"))).removesuffix(".0")
    return app if app.isdecimal() else ""


def _first_rows(text: str) -> Iterator[dict[str, Any]]:
    for line in islice(_line_starts(text), _LINES):
        try:
            row, _ = _decode(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row


def _line_starts(text: str) -> Iterator[str]:
    """Yield the text from each of its lines on."""
    while text := text.lstrip(_BEFORE_A_ROW):
        yield text
        text = text.partition("\n")[2]


def _by_words(text: str) -> Rows:
    """Judge rows that are too long to be read here, or damaged."""
    if any(f'"{name}"' in text for name in _OF_EVENTS):
        return Rows.EVENTS
    return Rows.MERGES if any(f'"{name}"' in text for name in _OF_MERGES) else Rows.OTHER
