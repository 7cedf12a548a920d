"""Which time an event has: Amplitude's own, in UTC, to the microsecond.

Amplitude exports `YYYY-MM-DD HH:MM:SS.ffffff` without a zone, always UTC; our tap writes RFC 3339.
PostHog replaces a time that it cannot read by the time of arrival, without a word
(PostHog/posthog rust/common/types/src/timestamp.rs), so only checked times are sent.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from target_posthog.amplitude.values import is_empty

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    # Amplitude's usual form, and ours: both halves were seen before, or are looked at once.
    second = _SECONDS.get(value[:19]) or _usual_second(value[:19])
    if second:
        fraction = _FRACTIONS.get(value[19:]) or _usual_fraction(value[19:])
        if fraction:
            return second + fraction
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


def add_times(properties: dict[str, Any], names: Iterable[str], found: Iterable[Any]) -> None:
    """Add times under their names, each as RFC 3339 or, when it cannot be read, as it is."""
    for name, value in zip(names, found):  # noqa: B905 - one of them may be longer
        if type(value) is str:
            second, fraction = _SECONDS.get(value[:19]), _FRACTIONS.get(value[19:])
            if second and fraction:
                properties[name] = second + fraction
                continue
        if value is not None and not is_empty(value):
            properties[name] = to_rfc3339(value) or value


def rfc3339_of(milliseconds: int) -> str | None:
    """Return a time since 1970 as `to_rfc3339` writes it, or None after year 9999."""
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    return moment.isoformat(timespec="microseconds") + "Z"


_EPOCH = datetime.fromisoformat("1970-01-01")  # UTC, like all times here
_USUAL_SECOND = re.compile(r"\d{4}-\d\d-\d\d[ T](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)
_USUAL_FRACTION = re.compile(r"\.\d{6}Z?", re.ASCII)
#: What the halves of usual times become. An hour has 3,600 seconds, and most clocks count
#: milliseconds; what finds no room any more is looked at each time.
_SECONDS: dict[str, str] = {}
_FRACTIONS: dict[str, str] = {}
_MOST = 20_000


def _usual_second(text: str) -> str | None:
    """Return `2024-01-31T12:34:56` of a second in a usual form, else None."""
    if _USUAL_SECOND.fullmatch(text) is None:
        return None
    try:
        second = datetime.fromisoformat(text).isoformat()
    except ValueError:  # 30 February
        return None
    if len(_SECONDS) >= _MOST:
        _SECONDS.clear()
    _SECONDS[text] = second
    return second


def _usual_fraction(text: str) -> str | None:
    """Return `.789012Z` of six decimals with or without `Z`, else None."""
    if _USUAL_FRACTION.fullmatch(text) is None:
        return None
    fraction = f"{text[:7]}Z"
    if len(_FRACTIONS) < _MOST:
        _FRACTIONS[text] = fraction
    return fraction


def _offset(zone: str | None) -> timedelta:
    """Return how far a zone such as `+05:30`, `-0800` or `Z` is ahead of UTC."""
    if zone is None or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if size >= _LARGEST_OFFSET or int(digits[2:]) > 59:  # noqa: PLR2004 - minutes of an hour
        raise ValueError(zone)
    return -size if zone[0] == "-" else size
