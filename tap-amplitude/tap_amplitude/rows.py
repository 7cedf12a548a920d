"""One line of an export file → one record (pure).

Nothing is left out and nothing is changed but two things: the row's own times get the form that
Singer prescribes, and a row without a `uuid` gets one, because the stream's key must be there.
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from tap_amplitude.times import to_rfc3339

#: The times that Amplitude writes for each row. Times inside `event_properties` and
#: `user_properties` are the customer's own values and stay as they are.
TIME_FIELDS = (
    "event_time",
    "client_event_time",
    "client_upload_time",
    "server_received_time",
    "server_upload_time",
    "processed_time",
    "user_creation_time",
)

#: A longer line is no record, whatever is in it. Amplitude takes events of at most 1 MB.
MAX_LINE_BYTES = 64 * 1024 * 1024

#: Deeper nesting is refused. Python's JSON readers and writers give up at about 1,000 levels, at
#: slightly different depths; a row must never be readable and then not writable.
MAX_DEPTH = 500

#: Namespace of the ids of rows that have none, the same as the target's: whichever of the two
#: gives a row its id, it is the same id. Never change it.
UUID_NAMESPACE = uuid.UUID("440d484f-b305-4763-8122-2f7d5801fca7")

_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Unreadable:
    """A line that is no record.

    Attributes:
        reason: Why, without any of its content.
    """

    reason: str


@dataclass(frozen=True)
class Row:
    """A record.

    Attributes:
        record: The row as it goes out.
        odd_times: How many of its times could not be read and stayed as they were.
    """

    record: dict[str, Any]
    odd_times: int


def read_row(line: bytes) -> Row | Unreadable:
    """Turn a line of an export file into a record.

    Args:
        line: One line, with or without its line end.

    Returns:
        The record, or why the line is none. Never raises.
    """
    row = read_object(line)
    if isinstance(row, Unreadable):
        return row
    return Row(row, complete(row))


def complete(row: dict[str, Any]) -> int:
    """Give a row's times their form, and the row a `uuid` if it has none.

    Args:
        row: A row as it was read; it is changed.

    Returns:
        How many of its times could not be read.
    """
    odd_times = _normalise_times(row)
    identifier = row.get("uuid")
    if identifier is None or (isinstance(identifier, str) and not identifier.strip()):
        row["uuid"] = row_uuid(row)
    return odd_times


def read_object(line: bytes) -> dict[str, Any] | Unreadable:
    """Read a line as it is.

    Args:
        line: One line, with or without its line end.

    Returns:
        The JSON object, or why the line is none. Never raises.
    """
    if len(line) > MAX_LINE_BYTES:
        return Unreadable(f"longer than {MAX_LINE_BYTES:,} bytes")
    try:
        content = _decode(line)
    except RecursionError:
        return Unreadable("nested too deep")
    except ValueError:
        return Unreadable("not JSON")
    if not isinstance(content, dict):
        return Unreadable(f"a JSON {_json_type(content)}, not an object")
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH and _too_deep(content):
        return Unreadable(f"nested deeper than {MAX_DEPTH} levels")
    return content


def row_uuid(record: dict[str, Any]) -> str:
    """Give a row without a `uuid` an id that is the same in every export of it.

    Args:
        record: The row, its times in their final form.

    Returns:
        A UUIDv5 of what identifies the row at Amplitude, (`app`, `device_id` or `user_id`,
        `$insert_id`), or of the whole row when it has no `$insert_id`.
    """
    sender, insert_id = record.get("device_id") or record.get("user_id"), record.get("$insert_id")
    identity: list[Any] = [record.get("app"), sender, insert_id]
    if not sender or not insert_id:
        identity = [
            {
                name: value
                for name, value in record.items()
                if name != "uuid" and not name.startswith("_sdc_")
            }
        ]
    canonical = json.dumps(["event", *identity], sort_keys=True, separators=(",", ":"))
    return str(uuid.uuid5(UUID_NAMESPACE, canonical))


def _decode(line: bytes) -> Any:
    try:
        # msgspec keeps integers beyond 64 bits as they are; orjson makes floats of them.
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Real exports hold NaN, 1e400 and half surrogate pairs (an emoji cut in two). None of it
        # is JSON by the letter, and none of it is worth the loss of an event.
        text = line.decode("utf-8-sig", "surrogatepass")
        row = json.loads(
            text, parse_constant=str, parse_float=_float_or_text, parse_int=_int_or_text
        )
        return _whole_characters(row)


def _float_or_text(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _int_or_text(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:  # Python converts at most 4,300 digits
        return digits


def _whole_characters(value: Any) -> Any:
    """Replace half surrogate pairs, which no UTF-8 text can hold, by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if not isinstance(value, dict):
        return value
    whole: dict[str, Any] = {}
    for name, item in value.items():
        key = _whole_characters(name)
        while key in whole:  # two different broken names must not become one
            key += _REPLACEMENT
        whole[key] = _whole_characters(item)
    return whole


def _too_deep(row: dict[str, Any]) -> bool:
    level: list[Any] = [row]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


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


def _json_type(value: Any) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
