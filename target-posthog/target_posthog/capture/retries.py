"""Trying again what may work later: growing waits with jitter, within a time.

The tap's `api/retry` is no twin of it: there the time begins with the first failure, as a download
may take long; here with the first try, and another thread can end it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

import tenacity

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
_CLOCK_SECONDS = 1e-6
_GROWING = tenacity.wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)
_Result = TypeVar("_Result")


class Retryable(Exception):
    """This try failed; the next may not.

    Args:
        reason: why, in words.
        retry_after: how many seconds the peer wants to be left alone at least.
        status: what it answered; None when it did not.
    """

    def __init__(self, reason: str, retry_after: float = 0.0, status: int | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.status = status


class RetryPolicy:
    """How long and how often something is tried.

    Args:
        seconds: how long at most.
    """

    def __init__(self, seconds: float, sleep: Callable[[float], None] | None = None) -> None:
        self.seconds = seconds
        self._stopped = threading.Event()
        self._sleep = sleep or self._wait_unless_stopped

    def call(
        self, attempt: Callable[[], _Result], on_first_wait: Callable[[Retryable], None]
    ) -> _Result:
        """Return what an attempt returns, after as many as it takes.

        `on_first_wait` hears why the first try failed, when there will be another.

        Raises:
            Retryable: of the last try, when the time is up, or would be before the peer wants to
                be asked again.
        """

        def before_sleep(state: tenacity.RetryCallState) -> None:
            failed = _failure_of(state)
            if state.attempt_number == 1 and failed is not None:
                on_first_wait(failed)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Retryable),
            wait=self._wait,
            stop=self._gives_up,
            before_sleep=before_sleep,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(attempt)

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is to be tried."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Try nothing more: what is under way ends with the try that it is in."""
        self._stopped.set()

    def _wait_unless_stopped(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds to wait: growing, with jitter, and never less than the peer asks for.

        The last wait ends with the time that there is, so that the last try is made at its end.
        """
        left = self.seconds - (state.seconds_since_start or 0.0)
        return max(_asked(state), min(_GROWING(state), left))

    def _gives_up(self, state: tenacity.RetryCallState) -> bool:
        spent = state.seconds_since_start or 0.0
        # Sums of waits miss the end by less than a clock can tell.
        return self.is_stopped or spent + _asked(state) > self.seconds - _CLOCK_SECONDS


def _failure_of(state: tenacity.RetryCallState) -> Retryable | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error if isinstance(error, Retryable) else None


def _asked(state: tenacity.RetryCallState) -> float:
    """Return the seconds that the peer asked to wait after the last try."""
    failed = _failure_of(state)
    return 0.0 if failed is None else failed.retry_after
