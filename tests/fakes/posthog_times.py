"""How PostHog reads an event's time, and where the time ends up.

The rules are those of PostHog's `rust/common/types/src/timestamp.rs` (`parse_date`,
`parse_event_timestamp`) and, for the strict form, of its use of RFC 3339 in
`rust/capture/src/v1/analytics/process.rs`. All times are aware datetimes in UTC; fractions beyond
microseconds are cut, as ClickHouse's `DateTime64(6)` does.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

UTC = timezone.utc
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# `FUTURE_EVENT_HOURS_CUTOFF_MILLIS` in timestamp.rs.
_FUTURE_CUTOFF = timedelta(hours=23)

_DAY_AND_CLOCK = r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?"
_RFC_3339 = re.compile(_DAY_AND_CLOCK + r"(?:[Zz]|([+-])(\d{2}):(\d{2}))")
_WITHOUT_ZONE = re.compile(_DAY_AND_CLOCK)


def canonical(moment: datetime) -> str:
    """Write a time the one way the stand-in stores it: UTC, six decimals, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + "Z"


def parse_rfc3339(text: str) -> datetime | None:
    """Read RFC 3339 with its mandatory offset; anything else is None."""
    match = _RFC_3339.fullmatch(text)
    if match is None or not text.isascii():
        return None
    sign, hours, minutes = match.group(8, 9, 10)
    offset = timedelta()
    if sign is not None:
        offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    return _assemble(match, offset)


def parse_date(text: str) -> datetime | None:
    """Read a time with or without an offset; anything else is None.

    Further forms that PostHog understands are not known here: nobody is to send them.
    """
    without_zone = _WITHOUT_ZONE.fullmatch(text)
    if without_zone is not None:
        return _assemble(without_zone, timedelta())
    return parse_rfc3339(text)


def place_event(
    timestamp: str | None,
    *,
    now: datetime,
    sent_at: datetime | None = None,
    offset: int | None = None,
) -> datetime:
    """Say at which time PostHog files an event of `/batch/`.

    Args:
        timestamp: As sent; missing or unreadable means the server's clock, without any error.
        now: The server's clock.
        sent_at: The sender's clock. When given, the event moves by the difference of the clocks.
        offset: Milliseconds before now; overrides `timestamp`.
    """
    read = None if timestamp is None else parse_date(timestamp)
    placed = now if read is None else shift(read, sent_at, now)
    if offset is not None:
        placed = _or_epoch(now, -timedelta(milliseconds=offset))
    return clamp(placed, now)


def shift(moment: datetime, sent_at: datetime | None, now: datetime) -> datetime:
    """Move a time from the sender's clock to the server's."""
    return moment if sent_at is None else _or_epoch(moment, now - sent_at)


def clamp(moment: datetime, now: datetime) -> datetime:
    """Replace a time more than 23 hours in the future by now."""
    return now if moment - now > _FUTURE_CUTOFF else moment


def _or_epoch(moment: datetime, step: timedelta) -> datetime:
    """Add; a time before year 1 becomes 1970-01-01, as in timestamp.rs, one after 9999 the last."""
    try:
        return moment + step
    except OverflowError:
        return _EPOCH if step < timedelta() else datetime.max.replace(tzinfo=UTC)


def _assemble(match: re.Match[str], offset: timedelta) -> datetime | None:
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    micros = int((match.group(7) or "0")[:6].ljust(6, "0"))
    try:
        local = datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
        return local - offset
    except (ValueError, OverflowError):
        return None
