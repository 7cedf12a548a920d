"""Times of any tap: text in the usual forms, days, and numbers since 1970."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from target_posthog.amplitude.times import to_rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NUMBER = re.compile(r"\s*(\d{10,19})(?:\.(\d+))?\s*", re.ASCII)

#: How many microseconds one unit has, by the digits that a number has in it: from 2001-09-09 to
#: 2286 all have as many. A number of other digits is a count, a duration, or a date written
#: together (`20240131`, `20240131123000`), which nothing tells apart.
_UNITS = {
    10: Decimal(10**6),  # seconds
    13: Decimal(10**3),  # milliseconds
    16: Decimal(1),  # microseconds
    19: Decimal("0.001"),  # nanoseconds
}


def any_time(value: Any) -> str | None:
    """Return a time as `YYYY-MM-DDTHH:MM:SS.ffffffZ`, or None when it cannot be read.

    Args:
        value: a text with or without a zone (none means UTC), a day (its first moment), or a
            number of seconds, milliseconds, microseconds or nanoseconds since 1970, also as text.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    number = _NUMBER.fullmatch(
        value if isinstance(value, str) else format(Decimal(str(value)), "f")
    )
    if number is None:
        return to_rfc3339(value)
    unit = _UNITS.get(len(number[1]))
    if unit is None:
        return None
    microseconds = int(Decimal(f"{number[1]}.{number[2] or 0}") * unit)
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
