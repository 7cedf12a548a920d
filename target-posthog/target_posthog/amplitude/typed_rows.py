"""Rows of the usual form as a struct: what each event has for itself, and what its sender's share.

msgspec reads a line into it in two thirds of the time that it needs for a dict. Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from target_posthog.amplitude.senders import SENDER_FIELDS
from target_posthog.amplitude.times import TIME_FIELDS, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The fields that each event has for itself, by what they are called in a row's struct.
_OWN: dict[str, tuple[str, Any]] = {
    "uuid": ("uuid", str | None),
    "event_type": ("event_type", str | None),
    "event_properties": ("event_properties", dict[str, Any] | None),
    "group_properties": ("group_properties", dict[str, Any] | None),
    "event_id": ("event_id", int | None),
    "insert_id": ("$insert_id", str | None),
    "insert_key": ("$insert_key", str | None),
    **{name: (name, datetime | None) for name in TIME_FIELDS.difference(SENDER_FIELDS)},
    # The sender's, but kept as text at first: they come again with each of its rows.
    "user_properties": ("user_properties", msgspec.Raw),
}
_MEMBERS: list[tuple[str, str, Any]] = [
    *((member, name, kind) for member, (name, kind) in _OWN.items()),
    *((f"sender_{number}", name, Any) for number, name in enumerate(SENDER_FIELDS)),
]
# In the order of Amplitude's rows: msgspec looks for each key from where it found the last one.
_MEMBERS.sort(key=lambda one: one[1])

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

#: Amplitude's times name no zone and are UTC; our tap's end with Z.
_UTC = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_TIME = "2024-01-31T12:34:56.789012Z"
_LAST_TIME = slice(-len(f'{_TIME}"}}'), -len('"}'))
_OTHER_TIMES = slice(1, -len(f'"event_time":"{_TIME}"}}'))


def told_times(rows: Sequence[Any]) -> list[tuple[bytes, str] | None]:
    """Return each row's times but the event's own as members of a JSON object, and the event's own.

    All are RFC 3339, as `to_rfc3339` has them. Each member has a comma behind it; null times are
    left out.

    Returns:
        None for a row whose event's own time is null.
    """
    told: list[tuple[bytes, str] | None] = []
    for row in rows:
        times = {
            "client_event_time": row.client_event_time,
            "client_upload_time": row.client_upload_time,
            "processed_time": row.processed_time,
            "server_received_time": row.server_received_time,
            "server_upload_time": row.server_upload_time,
            "event_time": row.event_time,
        }
        json = orjson.dumps(times, option=_UTC)
        # Another zone makes it 5 bytes longer; no fraction makes it 7 shorter, no time 25. The last
        # time is in full, and so must the others be if all have this length together.
        if len(json) == _FULL_LENGTH and json.endswith(b'Z"}'):
            told.append((json[_OTHER_TIMES], json[_LAST_TIME].decode()))
        else:
            told.append(_unusual_times(times))
    return told


def _unusual_times(times: dict[str, datetime | None]) -> tuple[bytes, str] | None:
    try:
        there = {name: to_text(time) for name, time in times.items() if time is not None}
    except OverflowError:  # a zone that leaves year 1 or 9999
        return None
    own = there.pop("event_time", None)
    if own is None:
        return None
    return orjson.dumps(there)[1:-1] + (b"," if there else b""), own


_FULL_LENGTH = len(orjson.dumps(dict.fromkeys(TIME_FIELDS.difference(SENDER_FIELDS), _TIME)))


def take_senders(rows: Sequence[Any]) -> list[tuple[tuple[Any, ...], bytes]]:
    """Take out of each row what its sender's rows share.

    Args:
        rows: of which only that is left.

    Returns:
        The values of `FIELDS`, those of the event alone as None; and the JSON of the user's
        properties.
    """
    taken = []
    for row in rows:
        user_properties = bytes(row.user_properties)
        row.uuid = row.event_type = row.event_properties = row.group_properties = None
        row.event_id = row.insert_id = row.insert_key = row.user_properties = None
        row.client_event_time = row.client_upload_time = row.processed_time = None
        row.server_received_time = row.server_upload_time = row.event_time = None
        taken.append((_values_of(row), user_properties))
    return taken
