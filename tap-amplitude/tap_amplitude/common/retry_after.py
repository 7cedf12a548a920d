"""The header `Retry-After`: how long a server asks to be left alone. Pure."""

from __future__ import annotations

import math
import re
from email.utils import mktime_tz, parsedate_tz

_SECONDS = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*", re.ASCII)
_YEAR = 365 * 86_400.0
#: Some servers ask for more than a calendar holds.
_LONGEST = 10 * _YEAR
_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def retry_after(value: str | None, now: float) -> float:
    """Return the seconds to wait at least, 0 when the header says nothing that can be read.

    Seconds and dates (RFC 9110 §10.2.3) as `urllib3.util.Retry.parse_retry_after` reads them, and
    seconds with a fraction, which some servers send. `now` is in seconds since 1970.
    """
    seconds = _SECONDS.fullmatch(value or "")
    if seconds is not None:
        return min(float(seconds[1]), _LONGEST)
    try:
        date = parsedate_tz(value or "")
        moment = now if date is None else mktime_tz(date)
    except (TypeError, ValueError, OverflowError, IndexError):
        # Each Python refuses dates that it cannot read or count in its own way.
        return 0.0
    return min(max(0.0, moment - now), _LONGEST)


def wait_in_words(seconds: float) -> str:
    """Return a time to wait in the largest unit of which it has at least two; of years only that.

    Whoever asks for more than one means none: the header is damaged, or a date that never comes.
    """
    if seconds > _YEAR:
        return "more than a year"
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    return f"{math.ceil(seconds)} s"


def remedy_of_wait(seconds: float) -> str:
    """Return what helps against a time to wait that is longer than `max_retry_seconds`."""
    if seconds > _YEAR:
        return (
            "A wait of years is a mistake: run again in some minutes. If it is asked for again, "
            "see what stands in front of the service (a proxy, a firewall)."
        )
    return "Run again after that time, or raise `max_retry_seconds`."
