"""Times in text: read what Amplitude and people write, write one form (pure).

Amplitude exports `2023-01-01 19:02:52.749000`: UTC, no zone, a blank between date and time, as a
rule six decimals. Older and foreign rows come without a fraction, with an offset, or already as
RFC 3339.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_USUAL_LENGTH = len("2023-01-01 19:02:52.749000")
_fromisoformat = datetime.fromisoformat
_PATTERN = re.compile(
    r"\s*(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[ Tt](?P<time>\d{2}:\d{2}(?::\d{2})?)(?:[.,](?P<fraction>\d+))?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?\s*",
    re.ASCII,
)


def parse(text: str) -> datetime | None:
    """Read a date or a date-time; one without a zone is UTC.

    Args:
        text: For example `2024-01-31`, `2024-01-31T05:00:00Z`, `2024-01-31 05:00:00.749000`.

    Returns:
        The moment in UTC, rounded to microseconds, or None when the text is no time.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    digits = (match["fraction"] or "").ljust(7, "0")
    clock = (match["time"] or "00:00").ljust(8, "#").replace("###", ":00")
    try:
        moment = datetime.fromisoformat(f"{match['date']}T{clock}.{digits[:6]}")
        moment += timedelta(microseconds=digits[6] >= "5") - _offset(match["zone"])
    except (ValueError, OverflowError):  # 30 February; a zone that leaves year 1 or 9999
        return None
    return moment.replace(tzinfo=timezone.utc)


def _offset(zone: str | None) -> timedelta:
    """Return how far a zone such as `+05:30`, `-0800` or `Z` is ahead of UTC."""
    if not zone or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if minutes > 59 or hours > 23:  # noqa: PLR2004 - a clock
        raise ValueError(zone)
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if zone[0] == "-" else ahead


def to_rfc3339(text: str) -> str | None:
    """Write a time as RFC 3339 in UTC with six decimals: `2023-01-01T19:02:52.749000Z`.

    Args:
        text: A time as `parse` reads it.

    Returns:
        The same moment, or None when the text is no time.
    """
    if len(text) == _USUAL_LENGTH and text[7] == "-" and text[10] == " " and text[19] == ".":
        # The usual form takes a short way: this runs seven times for each event.
        try:
            is_utc = _fromisoformat(text).tzinfo is None
        except ValueError:
            is_utc = False
        if is_utc:
            return f"{text[:10]}T{text[11:]}Z"
    parsed = parse(text)
    if parsed is None:
        return None
    return parsed.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
