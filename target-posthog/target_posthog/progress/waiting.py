"""Whom a run waits for: what would have to be faster. Pure."""

from __future__ import annotations

from collections import defaultdict

TAP = "the tap"
POSTHOG = "PostHog"
LEDGER = "the ledger (`ledger_url`)"
AGREED_SPEED = "the agreed speed (`max_events_per_second`)"
CONVERSION = "the conversion"


class Waits:
    """Adds up how long a run waited for each since it was last asked.

    Args:
        started: seconds, of any clock that only goes forward.
    """

    def __init__(self, started: float) -> None:
        self._since = started
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._totals: defaultdict[str, float] = defaultdict(float)

    def add(self, whom: str, seconds: float) -> None:
        """Note that the run did nothing but wait."""
        self._seconds[whom] += seconds

    def note(self, whom: str, total: float) -> None:
        """Note how long the run has waited since its start."""
        self.add(whom, total - self._totals[whom])
        self._totals[whom] = total

    def longest(self, now: float) -> str:
        """Return whom the run waited for longest, and begin anew.

        What it did not wait it was at work itself: with the conversion, and what belongs to it.
        While requests were held back to the agreed speed, who waited for PostHog waited for that.
        """
        limited = self._seconds.pop(AGREED_SPEED, 0.0)
        at_work = now - self._since - sum(self._seconds.values())
        self.add(CONVERSION, max(at_work, 0.0))
        held_back = min(limited, self._seconds.get(POSTHOG, 0.0))
        self.add(POSTHOG, -held_back)
        self.add(AGREED_SPEED, held_back)
        whom = max(self._seconds, key=self._seconds.__getitem__)
        self._seconds.clear()
        self._since = now
        return whom
