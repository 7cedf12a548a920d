"""Texts of times as Amplitude and people write them, read the same way by both plugins. Pure.

A row from a file and its RECORD are one event, so they must have one time.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_TIME = re.compile(
    r"\s*(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[ Tt](?P<clock>\d\d:\d\d)(?P<seconds>:\d\d)?(?:[.,](?P<fraction>\d+))?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?\s*",
    re.ASCII,
)
_MOST_HOURS, _MOST_MINUTES = 23, 59


def moment_in(text: str) -> datetime | None:
    """Read a date or a date-time; one without a zone is UTC.

    Args:
        text: For example `2024-01-31`, `2024-01-31T05:00:00Z`, `2024-01-31 05:00:00.749000`.

    Returns:
        The moment in UTC without a zone, rounded to microseconds; None when the text is no time.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    digits = (match["fraction"] or "").ljust(7, "0")
    clock = (match["clock"] or "00:00") + (match["seconds"] or ":00")
    try:
        moment = datetime.fromisoformat(f"{match['day']}T{clock}.{digits[:6]}")
        return moment + timedelta(microseconds=digits[6] >= "5") - _offset(match["zone"])
    except (ValueError, OverflowError):  # 30 February; a zone that leaves year 1 or 9999
        return None


def _offset(zone: str | None) -> timedelta:
    """Return how far a zone such as `+05:30`, `-0800` or `Z` is ahead of UTC."""
    if not zone or zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > _MOST_HOURS or minutes > _MOST_MINUTES:
        raise ValueError(zone)
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if zone[0] == "-" else ahead
