"""Times in the one form that PostHog surely reads: RFC 3339 in UTC, to the microsecond. Pure.

PostHog replaces a time that it cannot read by the time of arrival, without a word
(PostHog/posthog rust/common/types/src/timestamp.rs), so only checked times are sent.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from target_posthog.cache import Memo
from target_posthog.common.moments import moment_in

#: PostHog bills events that are newer than this as live ones, whatever the flag says
#: (posthog.com, docs/migrate: "dated at least 48 hours before the time of import").
RECENT = timedelta(hours=48)
#: PostHog's database holds no earlier time (clickhouse.com, docs, DateTime64). Programs write
#: `0001-01-01` for none.
FIRST_TIME = "1900"


def to_rfc3339(value: object) -> str | None:
    """Return a time as `YYYY-MM-DDTHH:MM:SS.ffffffZ`, or None when it cannot be read.

    Text may have a zone (none means UTC), and is rounded to microseconds; anything else cannot be
    read.
    """
    if not isinstance(value, str):
        return None
    # Amplitude's usual form, and ours: the second was seen before, or is looked at once.
    second = _SECONDS.get(value[:19]) or _usual_second(value[:19])
    if second:
        fraction = value[19:]
        size = len(fraction)
        if size == _FRACTION or (size == _FRACTION + 1 and fraction[_FRACTION] == "Z"):
            digits = fraction[1:_FRACTION]
            if fraction[0] == "." and digits.isdecimal() and digits.isascii():
                return f"{second}.{digits}Z"
    moment = moment_in(value)
    return None if moment is None else to_text(moment)


def to_text(moment: datetime) -> str:
    """Return a moment as RFC 3339, in UTC, as `to_rfc3339` does; one without a zone is UTC.

    Raises:
        OverflowError: in UTC it lies before year 1 or after year 9999.
    """
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


def any_time(value: object) -> str | None:
    """Return a time as `to_rfc3339` does, also of a number, which is what some warehouses write.

    Args:
        value: text as there, a day (its first moment), or a number of seconds, milliseconds,
            microseconds or nanoseconds since 1970, also as text.
    """
    return to_rfc3339(value) or number_time(value)


def rfc3339_of(milliseconds: int) -> str | None:
    """Return a time since 1970 as `to_rfc3339` writes it, or None after year 9999."""
    try:
        return to_text(_EPOCH + timedelta(milliseconds=milliseconds))
    except OverflowError:
        return None


def storable_time(value: object) -> str | None:
    """Return a time as `any_time` does, or None when PostHog could not store it either."""
    time = (_usual_time(value) if isinstance(value, str) else None) or any_time(value)
    return None if time is None or time < FIRST_TIME else time


def _usual_time(text: str) -> str | None:
    """Return the time of a day, or of a text with seconds, as most taps write it; else None."""
    bare = text
    if text.endswith("Z"):
        bare = text[:-1]
    elif text.endswith("+00:00"):
        bare = text[:-6]
    try:
        moment = datetime.fromisoformat(bare)
        written = moment.isoformat()
        if text == written[:_DAY]:
            return f"{written}.000000Z"
        # What is written as it was read has this form, and no other that Python knows.
        if bare.replace(" ", "T").ljust(len(written), "0") != written:
            return None
        if moment.tzinfo is None:
            return f"{written}Z" if moment.microsecond else f"{written}.000000Z"
        # Python also knows zones with seconds.
        return to_text(moment) if bare == text and text[-6] in "+-" else None
    except (ValueError, OverflowError):
        return None


_EPOCH = datetime.fromisoformat("1970-01-01")  # UTC, like all times here
_USUAL_SECOND = re.compile(r"\d{4}-\d\d-\d\d[ T](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)
#: What seconds of usual times become; an hour has 3,600 of them.
_SECONDS: Memo[str, str] = Memo(20_000)
#: The length of `.789012`, and of `2024-01-31`.
_FRACTION, _DAY = 7, 10


def _usual_second(text: str) -> str | None:
    """Return `2024-01-31T12:34:56` of a second in a usual form, else None."""
    if _USUAL_SECOND.fullmatch(text) is None:
        return None
    try:
        second = datetime.fromisoformat(text).isoformat()
    except ValueError:  # 30 February
        return None
    _SECONDS.remember(text, second)
    return second


_NUMBER = re.compile(r"\s*(\d{10,19})(?:\.(\d+))?\s*", re.ASCII)
#: How BigQuery's REST API writes a TIMESTAMP: `1.683194400123E9`.
_SCIENTIFIC = re.compile(r"\s*\d\.\d{1,19}[Ee]\+?\d\d?\s*", re.ASCII)
#: How many microseconds one unit has, by the digits that a number has in it: from 2001-09-09 to
#: 2286 all have as many. A number of other digits is a count, a duration, or a date written
#: together (`20240131`, `20240131123000`), which nothing tells apart.
_UNITS = {
    10: Decimal(10**6),  # seconds
    13: Decimal(10**3),  # milliseconds
    16: Decimal(1),  # microseconds
    19: Decimal("0.001"),  # nanoseconds
}


def number_time(value: object) -> str | None:
    """Return the time of a number since 1970, also as text, or None when it is none."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    if not isinstance(value, str) or _SCIENTIFIC.fullmatch(value):
        exact = Decimal(value) if isinstance(value, int) else Decimal(str(value).strip())
        value = format(exact, "f")
    number = _NUMBER.fullmatch(value)
    unit = None if number is None else _UNITS.get(len(number[1]))
    if number is None or unit is None:
        return None
    microseconds = int(Decimal(f"{number[1]}.{number[2] or 0}") * unit)
    return to_text(_EPOCH + timedelta(microseconds=microseconds))
