"""What the time of an event means for its way: live or historical, recent, in the future. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from target_posthog.posthog.times import RECENT

if TYPE_CHECKING:
    from target_posthog.settings import Historical

#: PostHog replaces times that lie further ahead by its own clock.
FUTURE = timedelta(hours=23)


class TimePolicy:
    """What follows from an event's time at one moment.

    Args:
        historical: the setting `historical_migration`.
        now: the moment, UTC.

    Attributes:
        now: the moment, RFC 3339.
        latest: the last time that PostHog takes as it is.
        oldest_recent: the first time that it may bill as live.
    """

    def __init__(self, historical: Historical, now: datetime) -> None:
        self.now = _rfc3339(now)
        self.latest = _rfc3339(now + FUTURE)
        self.oldest_recent = _rfc3339(now - RECENT)
        self._historical = historical

    def is_historical(self, timestamp: str) -> bool:
        """Return True if an event of this time goes as a historical migration."""
        if self._historical == "auto":
            return timestamp < self.oldest_recent
        return self._historical == "true"

    @property
    def is_uniform(self) -> bool:
        """Whether all events go the same way, whatever their time."""
        return self._historical != "auto"

    def may_be_billed(self, timestamp: str) -> bool:
        """Return True if PostHog may bill an event of this time although it goes as history."""
        return self._historical == "true" and timestamp >= self.oldest_recent


def _rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
