"""Times of any tap: text in the usual forms, days, and numbers since 1970."""

from __future__ import annotations

from datetime import datetime

from target_posthog.amplitude import times

#: PostHog's database holds no earlier time (clickhouse.com, docs, DateTime64). Programs write
#: `0001-01-01` for none.
_FIRST = "1900"
#: The lengths of `2024-01-31` and `2024-01-31T12:34:56`, and how many digits microseconds have.
_DAY, _SECOND, _DIGITS = 10, 19, 6


def any_time(value: object) -> str | None:
    """Return a time as `times.any_time` does, or None when PostHog could not store it either."""
    time = (_usual_time(value) if isinstance(value, str) else None) or times.any_time(value)
    return None if time is None or time < _FIRST else time


def _usual_time(text: str) -> str | None:
    """Return the time of a day, or of a text in UTC with seconds; None for any other text."""
    try:
        second = datetime.fromisoformat(text[:_SECOND]).isoformat()
    except ValueError:
        return None
    if text == second[:_DAY]:
        return f"{second}.000000Z"
    # What reads as it is written has this form, and no other that Python knows.
    if text[:_SECOND].replace(" ", "T") != second:
        return None
    fraction = text[_SECOND:]
    if fraction.endswith("Z"):
        fraction = fraction[:-1]
    elif fraction.endswith("+00:00"):
        fraction = fraction[:-6]
    if not fraction:
        return f"{second}.000000Z"
    digits = fraction[1:]
    if fraction[0] == "." and len(digits) <= _DIGITS and digits.isdecimal() and digits.isascii():
        return f"{second}.{digits:0<6}Z"
    return None
