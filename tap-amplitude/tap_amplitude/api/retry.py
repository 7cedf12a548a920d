"""Trying again: when, for how long, and what to say when it is over.

The target's `capture/retries` is no twin of it: there the time begins with the first try, here with
the first failure, as a large download may have been under way before.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar

import tenacity

from tap_amplitude.common.retry_after import remedy_of_wait, wait_in_words
from tap_amplitude.errors import RunAgain

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_amplitude.errors import TapError

_T = TypeVar("_T")

logger = logging.getLogger("tap-amplitude.retry")

_LONGEST_WAIT_SECONDS = 60


class Retryable(Exception):
    """This try failed, another one may not.

    Args:
        reason: What happened, as a sentence.
        at_least: Seconds to wait at least before the next try.
        tries: How many tries there are in all, when fewer than the time allows.
        final: The error when the tries are used up; a `RunAgain` by default.
    """

    def __init__(
        self,
        reason: str,
        *,
        at_least: float = 0.0,
        tries: int | None = None,
        final: TapError | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at_least = at_least
        self.tries = tries
        self.final = final


class RetryPolicy:
    """How long to go on trying.

    Args:
        seconds: How long after the first failure the last try may begin.
        remedy: What the user can do when it is over.
        sleep: Waits some seconds, where a call names no other way to wait.
    """

    def __init__(
        self, seconds: float, *, remedy: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._seconds = seconds
        self._remedy = remedy
        self._sleep = sleep

    def call(
        self,
        attempt: Callable[[], _T],
        what: str,
        sleep: Callable[[float], None] | None = None,
    ) -> _T:
        """Try until it works; return what the try that worked returned.

        `attempt` raises `Retryable` when another try makes sense. What `sleep` raises ends the
        tries.

        Raises:
            TapError: It did not work in time.
        """
        failures = _Failures(self._seconds, what)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Retryable),
            wait=failures.wait,
            stop=failures.are_enough,
            sleep=sleep or self._sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except Retryable as failure:
            raise failure.final or self._given_up(failure, failures.seconds, what) from failure

    def _given_up(self, failure: Retryable, seconds: float, what: str) -> RunAgain:
        if failure.at_least > self._seconds:
            return RunAgain(
                f"Amplitude could not deliver {what}: {failure.reason} It asks to come back in "
                f"{wait_in_words(failure.at_least)}, later than `max_retry_seconds` "
                f"({self._seconds:g}) allows.",
                remedy=remedy_of_wait(failure.at_least),
            )
        return RunAgain(
            f"Amplitude could not deliver {what}: {failure.reason} Tried for {seconds:,.0f} "
            "seconds.",
            remedy=self._remedy,
        )


class _Failures:
    """The failures of one window so far."""

    def __init__(self, limit_seconds: float, what: str) -> None:
        self._limit = limit_seconds
        self._what = what
        self._first: float | None = None
        self._told = False
        self.seconds = 0.0
        # 0.5 to 1 s first: most failures are over at once. The random part keeps several taps
        # of one project from asking in step.
        self._backoff = tenacity.wait_exponential(
            multiplier=0.5, max=_LONGEST_WAIT_SECONDS
        ) + tenacity.wait_random(0, 0.5)

    def wait(self, state: tenacity.RetryCallState) -> float:
        return max(self._backoff(state), _last_failure(state).at_least)

    def are_enough(self, state: tenacity.RetryCallState) -> bool:
        failure, now = _last_failure(state), time.monotonic()
        # The clock starts at the first failure: before it, a large download was under way.
        self._first = now if self._first is None else self._first
        self.seconds = now - self._first
        if failure.tries is not None:
            return state.attempt_number >= failure.tries
        if self.seconds + state.upcoming_sleep > self._limit:
            return True
        if not self._told:
            logger.warning(
                "Amplitude did not deliver %s: %s Trying again for up to %s.",
                self._what,
                failure.reason,
                f"{self._limit / 60:.0f} minutes" if self._limit >= 60 else f"{self._limit:g} s",  # noqa: PLR2004 - a minute
            )
            self._told = True
        return False


def _last_failure(state: tenacity.RetryCallState) -> Retryable:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, Retryable)  # noqa: S101 - nothing else is tried again
    return failure
