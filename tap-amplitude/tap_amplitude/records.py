"""One line of an export file → one record, or its JSON (pure).

Nothing is left out and nothing is changed but three things: the row's own times get the form that
Singer prescribes; a row without a `uuid` gets one, because the stream's key must be there; and a
row whose columns a warehouse renamed gets back Amplitude's names, which key and schema have.

A line that is one row and nothing else takes the fast path, which leaves out what cannot happen to
it. Any other line is taken apart by `object_cutter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from tap_amplitude.common.amplitude_columns import TIME_FIELDS, as_exported, fields_of
from tap_amplitude.common.derived_uuids import row_uuid
from tap_amplitude.common.lenient_json import strict_object
from tap_amplitude.times import to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

_decode = msgspec.json.Decoder().decode
_dumps = orjson.dumps

_NOT_FAST = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
    # An integer beyond 64 bits, or more than 254 levels: so what gets through is not too deep.
    orjson.JSONEncodeError,
)


@dataclass(frozen=True)
class Row:
    """A record.

    Attributes:
        record: The row as it goes out.
        odd_times: How many of its times could not be read and stayed as they were.
    """

    record: dict[str, Any]
    odd_times: int


def row_of(content: dict[str, Any]) -> Row:
    """Return the record of a JSON object, which is changed."""
    return Row(content, _complete(content))


def fast_row(line: bytes) -> Row | None:
    """Return the record of a line; None when the fast path cannot tell. Never raises."""
    content = strict_object(line)
    return None if content is None else row_of(content)


def json_of(
    content: dict[str, Any], observe: Callable[[dict[str, Any]], object] | None = None
) -> tuple[bytes, int]:
    """Return the JSON of a record, and how many of its times could not be read.

    The object is changed. `observe` is called with each record.
    """
    row = row_of(content)
    if observe:
        observe(row.record)
    return encode(row.record), row.odd_times


def fast_json(
    line: bytes, observe: Callable[[dict[str, Any]], object] | None = None
) -> tuple[bytes, int] | None:
    """Return what `json_of` does; None when the fast path cannot tell. Never raises."""
    try:
        row = _decode(line)
        if type(row) is dict:
            odd_times = _complete(row)
            record = _dumps(row)
            if observe:
                observe(row)
            return record, odd_times
    except _NOT_FAST:
        pass
    return None


def encode(content: dict[str, Any]) -> bytes:
    """Return a record, or a Singer message with it, as one line of JSON without its end."""
    try:
        return _dumps(content)
    except TypeError:  # an integer beyond 64 bits, or deep nesting
        return msgspec.json.encode(content)


def _complete(row: dict[str, Any]) -> int:
    """Complete a row in place: its columns' names, its times' form, and a `uuid` if it has none.

    Returns:
        How many of its times could not be read.
    """
    if "uuid" not in row and (fields := fields_of(row)):
        exported, _ = as_exported(row, fields)
        row.clear()
        row.update(exported)
    odd_times = _normalise_times(row)
    identifier = row.get("uuid")
    if identifier is None or (isinstance(identifier, str) and not identifier.strip()):
        row["uuid"] = row_uuid(row)
    return odd_times


def _normalise_times(row: dict[str, Any]) -> int:
    odd = 0
    for name in TIME_FIELDS:
        text = row.get(name)
        if text is None:
            continue
        if isinstance(text, str):
            if written := to_rfc3339(text):
                row[name] = written
                continue
            if not text.strip():
                row[name] = None
                continue
        odd += 1
    return odd
