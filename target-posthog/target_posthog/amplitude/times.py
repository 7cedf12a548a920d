"""Which time an event has: Amplitude's own, in UTC, to the microsecond.

Amplitude exports `YYYY-MM-DD HH:MM:SS.ffffff` without a zone, always UTC; our tap writes RFC 3339.
PostHog replaces a time that it cannot read by the time of arrival, without a word
(PostHog/posthog rust/common/types/src/timestamp.rs), so only checked times are sent.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The row's own times. Everything else that looks like a time belongs to the customer.
TIME_FIELDS = frozenset(
    {
        "client_event_time",
        "client_upload_time",
        "event_time",
        "processed_time",
        "server_received_time",
        "server_upload_time",
        "user_creation_time",
    }
)

#: The first that can be read is the event's time. `event_time` is the client's clock corrected
#: by Amplitude for the device's error (Amplitude docs, "Amazon S3 export", event_time).
EVENT_TIME_SOURCES = (
    "event_time",
    "client_event_time",
    "server_received_time",
    "server_upload_time",
)

#: The same times as `tap-amplitude` reads: a row from a file and its RECORD are one event.
_TIME = re.compile(
    r"\s*(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[ Tt](?P<clock>\d\d:\d\d)(?P<seconds>:\d\d)?(?:[.,](?P<fraction>\d+))?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?\s*",
    re.ASCII,
)
_LARGEST_OFFSET = timedelta(hours=24)


def to_rfc3339(value: object) -> str | None:
    """Return a time as `YYYY-MM-DDTHH:MM:SS.ffffffZ`, or None when it cannot be read.

    Args:
        value: text with or without a zone (none means UTC); of its decimals six are kept. Anything
            else cannot be read.
    """
    if not isinstance(value, str):
        return None
    if _is_amplitude_text(value):
        return f"{value[:10]}T{value[11:]}Z"
    match = _TIME.fullmatch(value)
    if match is None:
        return None
    fraction = (match["fraction"] or "").ljust(6, "0")[:6]
    clock = (match["clock"] or "00:00") + (match["seconds"] or ":00")
    try:
        moment = datetime.fromisoformat(f"{match['day']}T{clock}.{fraction}")
        moment -= _offset(match["zone"])
    except (ValueError, OverflowError):  # 30 February; a zone that leaves year 1 or 9999
        return None
    return moment.isoformat(timespec="microseconds") + "Z"


def event_time(row: Mapping[str, Any]) -> str | None:
    """Return the event's time as RFC 3339, or None when none of the row's times can be read."""
    for source in EVENT_TIME_SOURCES:
        readable = to_rfc3339(row.get(source))
        if readable is not None:
            return readable
    return None


def epoch_milliseconds(rfc3339: str) -> int:
    """Return the milliseconds since 1970 of a time that `to_rfc3339` wrote."""
    moment = datetime.fromisoformat(rfc3339[:-1]).replace(tzinfo=timezone.utc)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_AMPLITUDE_LENGTH = len("2024-01-31 12:34:56.789012")


def _is_amplitude_text(value: str) -> bool:
    """Tell Amplitude's usual form, which needs only two letters changed."""
    if len(value) != _AMPLITUDE_LENGTH or value[10] not in " T" or value[19] != ".":
        return False
    if value[4] != "-" or value[7] != "-" or value[13] != ":":
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is None
    except ValueError:
        return False


def _offset(zone: str | None) -> timedelta:
    """Return how far a zone such as `+05:30`, `-0800` or `Z` is ahead of UTC."""
    if zone is None or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if size >= _LARGEST_OFFSET or int(digits[2:]) > 59:  # noqa: PLR2004 - minutes of an hour
        raise ValueError(zone)
    return -size if zone[0] == "-" else size
