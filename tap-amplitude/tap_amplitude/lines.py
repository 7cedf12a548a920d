"""One line of an export file → the JSON of its record, in one go (pure).

The same as `rows.read_row` and then `encode`, but faster: what cannot happen to a line that takes
the short way is not asked. Whatever is unusual takes the long way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from tap_amplitude.rows import MAX_LINE_BYTES, Unreadable, complete, read_row

if TYPE_CHECKING:
    from collections.abc import Callable

_decode = msgspec.json.Decoder().decode
_dumps = orjson.dumps

_UNUSUAL = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
    # An integer beyond 64 bits, or more than 254 levels: so what gets through is not too deep.
    orjson.JSONEncodeError,
)


def encode(content: dict[str, Any]) -> bytes:
    """Write an object as JSON.

    Args:
        content: What `rows.read_row` gives, or a Singer message with it.

    Returns:
        One line, without its end.
    """
    try:
        return _dumps(content)
    except TypeError:  # an integer beyond 64 bits, or deep nesting
        return msgspec.json.encode(content)


def record_json(
    line: bytes, look: Callable[[dict[str, Any]], object] | None = None
) -> tuple[bytes, int] | Unreadable:
    """Turn a line of an export file into the JSON of its record.

    Args:
        line: One line, with or without its line end.
        look: What is to see each record, besides.

    Returns:
        The JSON and how many of its times could not be read, or why the line is no record. Never
        raises.
    """
    if len(line) <= MAX_LINE_BYTES:
        try:
            row = _decode(line)
            if type(row) is dict:
                odd_times = complete(row)
                record = _dumps(row)
                if look:
                    look(row)
                return record, odd_times
        except _UNUSUAL:
            pass
    read = read_row(line)
    if isinstance(read, Unreadable):
        return read
    if look:
        look(read.record)
    return encode(read.record), read.odd_times
