"""Times of any tap: text in the usual forms, days, and numbers since 1970."""

from __future__ import annotations

from target_posthog.amplitude import times

#: PostHog's database holds no earlier time (clickhouse.com, docs, DateTime64). Programs write
#: `0001-01-01` for none.
_FIRST = "1900"


def any_time(value: object) -> str | None:
    """Return a time as `times.any_time` does, or None when PostHog could not store it either."""
    time = times.any_time(value)
    return None if time is None or time < _FIRST else time
