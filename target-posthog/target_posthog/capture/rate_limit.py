"""The agreed rate: when the next request may begin, over all requests under way."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class RateLimit(Protocol):
    """Decides when a request may begin."""

    @property
    def waited(self) -> float:
        """Return how many seconds requests were held back so far."""

    def wait(self, events: int, *, stopped: Callable[[], bool] = ...) -> None:
        """Return when so many events may go. Called in several threads."""


class RateLimiter:
    """Limits the number of events a second.

    A request may begin once the events of the one before it are paid for with time. So in any
    interval of t seconds at most rate * t events and one batch begin, and idle time is not saved.

    Args:
        events_per_second: the rate; None for no limit.
        sleep: waits that many seconds, or less when the run is stopped.
        clock: seconds that only go forward.

    Attributes:
        waited: how many seconds requests were held back so far.
    """

    def __init__(
        self,
        events_per_second: float | None,
        *,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.waited = 0.0
        self._rate = events_per_second
        self._sleep = sleep
        self._clock = clock
        self._free_at = float("-inf")
        self._asking = threading.Lock()
        # Held while waiting: the others queue up behind, and sleep too.
        self._turn = threading.Lock()

    def ask(self, events: int) -> float:
        """Take a turn for so many events when it is time, else tell how many seconds are left.

        Returns:
            0 when they may go now. Who comes late also pays from then on, else the next one would
            come too close.
        """
        if self._rate is None:
            return 0.0
        with self._asking:
            now = self._clock()
            if now < self._free_at:
                return self._free_at - now
            self._free_at = now + events / self._rate
            return 0.0

    def wait(self, events: int, *, stopped: Callable[[], bool] = lambda: False) -> None:
        """Return when so many events may go, or when `stopped` tells that waiting is no use."""
        if self._rate is None:
            return
        with self._turn:
            while (seconds := self.ask(events)) and not stopped():
                # Before: a wait that goes on counts, too.
                self.waited += seconds
                self._sleep(seconds)
