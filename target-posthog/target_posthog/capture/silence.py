"""How long PostHog has been silent: logged now and then, and not held against the time left."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("target-posthog")

#: The first silence that is logged; then each that is twice as long as the last. Seconds.
_TOLD_FROM = 30.0
#: How often the thread looks. Seconds.
_TICK = 5.0
#: A shorter pause belongs to the speed of the run, and so does one that is usual. Seconds.
_STALL_SECONDS = 10.0
_TIMES_THE_USUAL = 3
#: How much one pause says about what is usual.
_WEIGHT = 0.2


class SilenceWatch:
    """Tells when requests have no response for long; a thread of its own looks."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._waiting = 0
        self._since: float | None = None
        self._next = _TOLD_FROM
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for a response inside; leaving without an exception means that it came."""
        with self._lock:
            self._waiting += 1
            if self._since is None:
                self._since = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="silence", daemon=True)
                self._thread.start()
        try:
            yield
        except BaseException:
            self._end(heard=False)
            raise
        self._end(heard=True)

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _end(self, *, heard: bool) -> None:
        with self._lock:
            self._waiting -= 1
            if heard:
                self._next = _TOLD_FROM
                self._since = time.monotonic() if self._waiting else None

    def _look(self) -> None:
        while not self._closed.wait(_TICK):
            with self._lock:
                silent = 0.0 if self._since is None else time.monotonic() - self._since
                is_due = silent >= self._next
                if is_due:
                    self._next = 2 * silent
            if is_due:
                # Rounded, so that workers that wait for the same cause say the same.
                seconds = silent // _TICK * _TICK
                logger.warning("PostHog has not answered for %.0f s (%s).", seconds, self._host)


class Stalls:
    """How much of the run was lost because PostHog took nothing for long. Knows no clock."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._accepted = 0
        self._usual = self._lost = 0.0

    def waited(self, pause: float) -> None:
        """Note that the run stood still for so many seconds until PostHog answered."""
        self._lost += self._beyond_usual(pause)
        self._usual += _WEIGHT * (min(pause, 2 * self._limit) - self._usual)

    def watch(self, now: float, accepted: int, *, is_waiting: bool) -> None:
        """Look at a run that goes on while it waits.

        `now` is in seconds, of any clock that only goes forward.
        """
        if accepted != self._accepted or not is_waiting:
            if self._since is not None:
                self.waited(now - self._since)
            self._accepted = accepted
            self._since = None
        if self._since is None and is_waiting:
            self._since = now

    def seconds(self, now: float) -> float:
        """Return how many seconds of the run were lost until now."""
        going_on = 0.0 if self._since is None else now - self._since
        return self._lost + self._beyond_usual(going_on)

    @property
    def _limit(self) -> float:
        return max(_STALL_SECONDS, _TIMES_THE_USUAL * self._usual)

    def _beyond_usual(self, pause: float) -> float:
        return pause if pause > self._limit else 0.0
