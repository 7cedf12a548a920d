"""Times in text: read what Amplitude and people write, write one form (pure).

Amplitude exports `2023-01-01 19:02:52.749000`: UTC, no zone, a blank between date and time, as a
rule six decimals. Older and foreign rows come without a fraction, with an offset, or already as
RFC 3339.
"""

from __future__ import annotations

from datetime import datetime, timezone

from tap_amplitude.common.moments import moment_in

_USUAL_LENGTH = len("2023-01-01 19:02:52.749000")
_fromisoformat = datetime.fromisoformat


def parse(text: str) -> datetime | None:
    """Return a time that `moment_in` reads as a moment in UTC; None when the text is no time."""
    moment = moment_in(text)
    return None if moment is None else moment.replace(tzinfo=timezone.utc)


def to_rfc3339(text: str) -> str | None:
    """Return a time as `2023-01-01T19:02:52.749000Z` (RFC 3339, UTC); None if it is no time."""
    if len(text) == _USUAL_LENGTH and text[7] == "-" and text[10] == " " and text[19] == ".":
        # The usual form takes a short way: this runs seven times for each event.
        try:
            is_utc = _fromisoformat(text).tzinfo is None
        except ValueError:
            is_utc = False
        if is_utc:
            return f"{text[:10]}T{text[11:]}Z"
    moment = moment_in(text)
    return None if moment is None else moment.isoformat(timespec="microseconds") + "Z"
