"""Times of any tap: text in the usual forms, days, and numbers since 1970."""

from __future__ import annotations

from datetime import datetime

from target_posthog.formats.amplitude import times

#: PostHog's database holds no earlier time (clickhouse.com, docs, DateTime64). Programs write
#: `0001-01-01` for none.
_FIRST = "1900"
#: The length of `2024-01-31`.
_DAY = 10


def any_time(value: object) -> str | None:
    """Return a time as `times.any_time` does, or None when PostHog could not store it either."""
    time = (_usual_time(value) if isinstance(value, str) else None) or times.any_time(value)
    return None if time is None or time < _FIRST else time


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
        return times.to_text(moment) if bare == text and text[-6] in "+-" else None
    except (ValueError, OverflowError):
        return None
