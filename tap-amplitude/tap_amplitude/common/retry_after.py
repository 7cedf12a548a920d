"""The header `Retry-After`: how long a server asks to be left alone. Pure."""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz

_SECONDS = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*", re.ASCII)
#: Ten years; some servers ask for more than a calendar holds.
_LONGEST = 10 * 365 * 86_400.0


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
