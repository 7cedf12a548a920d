"""How many requests to have under way at once: more once waiting for responses costs time. Pure."""

from __future__ import annotations

#: A response that takes longer comes from far away, and another request could be under way
#: meanwhile. Seconds.
_SLOW_RESPONSE = 0.05
#: How much waiting for slow responses doubles the lanes. Seconds.
_LOST_BEFORE_DOUBLING = 0.1


class AdaptiveConcurrency:
    """The target number of lanes: twice as many once waiting for slow responses has cost time."""

    def __init__(self, most: int) -> None:
        self.count = 1
        self._most = most
        self._lost = 0.0
        #: Since when no event could go into a lane.
        self._full_since: float | None = None

    def waited(self, seconds: float, *, response_took: float) -> None:
        """Note that nothing else could be done for so many seconds, but to wait for a response.

        What of the wait is no part of the response's time has other causes, such as
        `max_events_per_second`, against which more lanes do not help.
        """
        if response_took > _SLOW_RESPONSE:
            self._lost += min(seconds, response_took)
        if self._lost > _LOST_BEFORE_DOUBLING:
            self._lost = 0.0
            if 2 * self.count <= self._most:
                self.count *= 2

    def note_full(self, now: float, *, is_full: bool) -> None:
        """Note whether events cannot go into a lane before a response comes."""
        if not is_full:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = now

    def responded(self, now: float, *, response_took: float) -> None:
        """Note a response: events that could not go into a lane have waited for it."""
        if self._full_since is not None:
            self.waited(now - self._full_since, response_took=response_took)
            self._full_since = now
