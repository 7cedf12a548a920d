"""Lines of export files → records, or their JSON, in one go (pure).

What cannot happen to a line that takes the short way is not asked. Whatever is unusual takes the
long way: `object_cutter`, and `rows`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from tap_amplitude.common.lenient_json import strict_object
from tap_amplitude.rows import Row, complete, row_of

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
        content: A record, or a Singer message with it.

    Returns:
        One line, without its end.
    """
    try:
        return _dumps(content)
    except TypeError:  # an integer beyond 64 bits, or deep nesting
        return msgspec.json.encode(content)


def usual_row(line: bytes) -> Row | None:
    """Read a line that is one row and nothing else; None when it is unusual. Never raises."""
    content = strict_object(line)
    return None if content is None else row_of(content)


def usual_json(
    line: bytes, look: Callable[[dict[str, Any]], object] | None = None
) -> tuple[bytes, int] | None:
    """Turn a line that is one row and nothing else into the JSON of its record.

    Args:
        line: One line, with or without its line end.
        look: What is to see each record, besides.

    Returns:
        The JSON and how many of its times could not be read, or None when the line is unusual.
        Never raises.
    """
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
    return None


def json_of(
    content: dict[str, Any], look: Callable[[dict[str, Any]], object] | None = None
) -> tuple[bytes, int]:
    """Turn an object into the JSON of its record, the long way.

    Args:
        content: The object; it is changed.
        look: What is to see each record, besides.

    Returns:
        What `usual_json` returns.
    """
    row = row_of(content)
    if look:
        look(row.record)
    return encode(row.record), row.odd_times
