"""Faults a test can order from the PostHog stand-in."""

from __future__ import annotations

import enum
import threading
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tests.fakes.posthog_requests import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable


class Fault(enum.Enum):
    """What goes wrong with a request.

    Attributes:
        STATUS: Another answer, nothing stored. Details: `status` (503), `body` (PostHog's text for
            503), `retry_after` (seconds or an HTTP date; none by default) and `above_bytes` (0): a
            request that is no larger, as sent, is handled.
        LOSE_ANSWER: The request is handled, then the connection is cut without an answer.
        CUT_BEFORE_STORE: The connection is cut, nothing stored.
        SLOW: The request is handled, then the answer waits. Details: `seconds` (1).
        LATE: The request waits, then it is handled and answered. Details: `seconds` (1).
        REDIRECT: An answer to go elsewhere, nothing stored. Details: `location`, `status` (307)
            and `body` (none).
    """

    STATUS = "status"
    LOSE_ANSWER = "lose_answer"
    CUT_BEFORE_STORE = "cut_before_store"
    SLOW = "slow"
    LATE = "late"
    REDIRECT = "redirect"


_DETAILS: dict[Fault, dict[str, Any]] = {
    Fault.STATUS: {
        "status": 503,
        "body": "transient error, please retry",
        "retry_after": None,
        "above_bytes": 0,
    },
    Fault.LOSE_ANSWER: {},
    Fault.CUT_BEFORE_STORE: {},
    Fault.SLOW: {"seconds": 1.0},
    Fault.LATE: {"seconds": 1.0},
    Fault.REDIRECT: {"location": None, "status": 307, "body": ""},
}


@dataclass(frozen=True)
class Planned:
    """One fault for one request, with all its details filled in."""

    fault: Fault
    details: dict[str, Any]

    def instead(self, size: int) -> Answer | None:
        """Return what is answered in place of handling a request; None when it is handled.

        Args:
            size: Its bytes as sent.
        """
        if self.fault is Fault.CUT_BEFORE_STORE:
            return Answer(0, say_nothing=True)
        if size <= self.details.get("above_bytes", 0):
            return None
        if self.fault not in (Fault.STATUS, Fault.REDIRECT):
            return None
        headers = {
            name: str(self.details[key])
            for key, name in (("retry_after", "Retry-After"), ("location", "Location"))
            if self.details.get(key) is not None
        }
        body = str(self.details.get("body", "")).encode()
        return Answer(self.details["status"], body, headers=headers)

    def on_the_way(self, answer: Answer) -> Answer:
        """Return what becomes of the answer to a request that was handled."""
        if self.fault is Fault.LOSE_ANSWER:
            return replace(answer, say_nothing=True)
        return replace(answer, stall=self.details["seconds"] if self.fault is Fault.SLOW else 0.0)

    @property
    def delay_before(self) -> float:
        """Seconds the request waits before it is handled."""
        return float(self.details["seconds"]) if self.fault is Fault.LATE else 0.0


class FaultPlan:
    """Faults in the order in which coming requests will meet them. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: deque[Planned] = deque()

    def add(self, fault: Fault, times: int, details: dict[str, Any]) -> None:
        """Plan a fault for the next `times` requests that have none yet.

        Raises:
            TypeError: The fault has no such detail, or needs one that is missing.
        """
        known = _DETAILS[fault]
        unknown = details.keys() - known.keys()
        if unknown:
            raise TypeError(f"{fault} has no detail {sorted(unknown)}")
        if fault is Fault.REDIRECT and "location" not in details:
            raise TypeError("REDIRECT needs a location")
        with self._lock:
            self._planned.extend([Planned(fault, {**known, **details})] * times)

    def take(self) -> Planned | None:
        """Give the fault of the request at hand, if any."""
        with self._lock:
            return self._planned.popleft() if self._planned else None

    def clear(self) -> None:
        """Forget what is planned and was not met."""
        with self._lock:
            self._planned.clear()

    @property
    def left(self) -> int:
        """How many faults no request has met yet."""
        with self._lock:
            return len(self._planned)


@dataclass(frozen=True)
class Verdict:
    """What v1 says of an event on order: `warning` keeps it, `drop` does not."""

    result: str
    details: str | None


class RetryPlan:
    """Which events v1 answers with `retry`, and how often. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times_left: Counter[str] = Counter()
        self._share, self._share_times = 0.0, 0

    def add(self, uuids: Iterable[str], share: float, times: int) -> None:
        """Put these events, and this share of all others, off `times` times each."""
        with self._lock:
            self._times_left.update(dict.fromkeys((str(UUID(uuid)) for uuid in uuids), times))
            self._share, self._share_times = share, times

    def take(self, uuid: str) -> bool:
        """Say whether an event is put off this time."""
        with self._lock:
            # The id decides, so the same events are chosen in every run.
            if uuid not in self._times_left and UUID(uuid).int % 10_007 < self._share * 10_007:
                self._times_left[uuid] = self._share_times
            put_off = self._times_left[uuid] > 0
            if put_off:
                self._times_left[uuid] -= 1
            return put_off
