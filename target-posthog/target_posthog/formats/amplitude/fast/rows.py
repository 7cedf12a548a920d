"""Rows of the usual form as a struct: what each event has for itself, and what its device shares.

msgspec reads a line into it in two thirds of the time that it needs for a dict. Pure.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
import orjson

from target_posthog.common.amplitude_columns import (
    BOOLEAN_FIELDS,
    INTEGER_FIELDS,
    LIST_FIELDS,
    OBJECT_FIELDS,
)
from target_posthog.formats.amplitude.fast.devices import SHARED_FIELDS, encoded
from target_posthog.formats.amplitude.times import TIME_FIELDS, cannot_be
from target_posthog.posthog.times import FIRST_TIME, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

#: The fields that each event has for itself, by what they are called in a row's struct.
_OWN: dict[str, tuple[str, Any]] = {
    "uuid": ("uuid", str | None),
    "event_type": ("event_type", str | None),
    "event_properties": ("event_properties", dict[str, Any] | None),
    "group_properties": ("group_properties", dict[str, Any] | None),
    "event_id": ("event_id", int | None),
    "insert_id": ("$insert_id", str | None),
    "insert_key": ("$insert_key", str | None),
    **{name: (name, datetime | None) for name in TIME_FIELDS.difference(SHARED_FIELDS)},
    # The device's, but kept as text at first: they come again with each of its rows.
    "user_properties": ("user_properties", msgspec.Raw),
}
#: What an export has in fields of the device; another form is for `foreign_rows.py`.
_FORMS: dict[str, Any] = {
    **dict.fromkeys(OBJECT_FIELDS, dict[str, Any] | None),
    **dict.fromkeys(INTEGER_FIELDS, int | None),
    **dict.fromkeys(BOOLEAN_FIELDS, bool | None),
    **dict.fromkeys(
        LIST_FIELDS, list[Any] | Annotated[str, msgspec.Meta(pattern=r"^[^\[]")] | None
    ),
}
_MEMBERS: list[tuple[str, str, Any]] = [
    *((member, name, kind) for member, (name, kind) in _OWN.items()),
    *(
        (f"shared_{number}", name, _FORMS.get(name, Any))
        for number, name in enumerate(SHARED_FIELDS)
    ),
]
# In the order of Amplitude's rows: msgspec looks for each key from where it found the last one.
_MEMBERS.sort(key=itemgetter(1))

#: All fields of a usual row, in order (Amplitude docs, "Export API").
FIELDS = tuple(name for _, name, _ in _MEMBERS)
_NULL = msgspec.Raw(b"null")
_Row = msgspec.defstruct(
    "_Row",
    [(member, kind, _NULL if kind is msgspec.Raw else None) for member, _, kind in _MEMBERS],
    rename={member: name for member, name, _ in _MEMBERS},
    forbid_unknown_fields=True,
    gc=False,
)
#: Returns the row of a line; raises `codec.UNREADABLE` when the line is not one of these fields.
read: Callable[[bytes], Any] = msgspec.json.Decoder(_Row).decode
_values_of = msgspec.structs.astuple
_of_device = itemgetter(*map(FIELDS.index, SHARED_FIELDS))


def _runs_without(left_out: Collection[str]) -> list[slice]:
    """Return where in `FIELDS` the others stand."""
    edges = [-1, *(place for place, name in enumerate(FIELDS) if name in left_out), len(FIELDS)]
    return [slice(left + 1, right) for left, right in pairwise(edges) if right - left > 1]


#: In slices, because that takes less time than value by value.
_shared = itemgetter(*_runs_without({name for name, _ in _OWN.values()} - {"user_properties"}))

_Times: TypeAlias = tuple[bytes, bytes]

#: Amplitude's times name no zone and are UTC; our tap's end with Z.
_UTC = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_TIME = "2024-01-31T12:34:56.789012Z"
_ALL_TIMES = {
    **dict.fromkeys(sorted(TIME_FIELDS.difference(SHARED_FIELDS, {"event_time"})), _TIME),
    "event_time": _TIME,
}
#: A row's times in a list of JSON when all are there, with a fraction and in UTC: a bracket or
#: comma, a brace, all but the last, and the last with its end.
_ROW_BYTES = 1 + len(orjson.dumps(_ALL_TIMES))
_LAST = len(f'{_TIME}"}}')
_BEFORE_LAST = len('"event_time":"')
_TIMES = Struct(f"2x{_ROW_BYTES - 2 - _BEFORE_LAST - _LAST}s{_BEFORE_LAST}x{len(_TIME)}s2x")
#: What an event's time begins with at least; see `cannot_be`.
FIRST = FIRST_TIME.encode()
#: Where in a row's times but the event's own the time of its upload stands, when it has one: it is
#: the last.
UPLOADED = slice(-len(f'{_TIME}",'), None)
#: The length of all of a row's times but the event's own: no other number of them is as long.
_ALL_BYTES = _ROW_BYTES - 2 - _BEFORE_LAST - _LAST
_UPLOADED = re.compile(rb'"server_upload_time":"([^"]*)",$')


def times_of(rows: Sequence[Any]) -> list[_Times | None]:
    """Return each row's times but the event's own as members of a JSON object, and the event's own.

    All are RFC 3339 in ASCII, as `to_rfc3339` has them. Each member has a comma behind it; null
    times are left out.

    Returns:
        None for a row whose event's own time is null.
    """
    times = [
        {
            "client_event_time": row.client_event_time,
            "client_upload_time": row.client_upload_time,
            "processed_time": row.processed_time,
            "server_received_time": row.server_received_time,
            "server_upload_time": row.server_upload_time,
            "event_time": row.event_time,
        }
        for row in rows
    ]
    json = orjson.dumps(times, option=_UTC)
    if _are_full(json, len(rows)):
        return list(_TIMES.iter_unpack(json[:-1]))
    if len(rows) == 1:
        return [_unusual_times(times[0])]
    middle = len(rows) // 2
    return times_of(rows[:middle]) + times_of(rows[middle:])


def _are_full(json: bytes, rows: int) -> bool:
    """Return True if a list of rows' times has all times in full, in UTC.

    A brace stands nowhere but around a row, so each row is as long as a usual one. Another zone
    makes a time 5 bytes longer; no fraction makes it 7 shorter, no time 25. So if a row's last
    time is in full, and all are as long together as full ones, then each is in full.
    """
    braces, zones = json[_ROW_BYTES - 1 :: _ROW_BYTES], json[_ROW_BYTES - 3 :: _ROW_BYTES]
    return braces == b"}" * rows and zones == b"Z" * rows


def _unusual_times(times: dict[str, datetime | None]) -> _Times | None:
    try:
        there = {name: to_text(time) for name, time in times.items() if time is not None}
    except OverflowError:  # a zone that leaves year 1 or 9999
        return None
    own = there.pop("event_time", None)
    if own is None:
        return None
    return orjson.dumps(there)[1:-1] + (b"," if there else b""), own.encode()


def uploaded_of(others: bytes) -> bytes:
    """Return when a row was uploaded, of its times but the event's own; empty when it has none."""
    if len(others) == _ALL_BYTES:
        return others[UPLOADED][: len(_TIME)]
    uploaded = _UPLOADED.search(others)
    return b"" if uploaded is None else uploaded[1]


def are_too_late(others: bytes, own: bytes) -> bool:
    """Return True if an event's own time cannot be meant; see `cannot_be`.

    Args:
        others: a row's times but that, as `times_of` has them.
        own: the event's own time.
    """
    uploaded = _UPLOADED.search(others)
    return uploaded is not None and cannot_be(own.decode(), uploaded[1].decode())


def context_keys(rows: Sequence[Any]) -> list[bytes]:
    """Return of each row what its device's rows share, as one text to find the context by.

    Raises:
        OverflowError: a row has an integer beyond 64 bits.
        RecursionError: one nests too deep.
    """
    return list(map(encoded, map(_shared, map(_values_of, rows))))


def shared_values(row: Any) -> tuple[tuple[Any, ...], bytes]:
    """Return a row's values of `SHARED_FIELDS`, and the JSON of its user's properties."""
    return _of_device(_values_of(row)), bytes(row.user_properties)
