"""The agreed speed: when the next request may begin."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from target_posthog.capture.rate_limit import RateLimiter
from tests.support.side_by_side import side_by_side

if TYPE_CHECKING:
    from tests.support.deliveries import Clock


def limiter_of(rate: float | None, clock: Clock) -> RateLimiter:
    """Return a limiter on that clock."""
    return RateLimiter(rate, sleep=clock.sleep, clock=lambda: clock.now)


def test_without_a_rate_nothing_waits(clock: Clock) -> None:
    """However many events go."""
    limiter = limiter_of(None, clock)
    assert limiter.ask(10**9) == 0
    for _ in range(5):
        limiter.wait(10**9)
    assert clock.waits == []


def test_the_first_request_goes_at_once_and_the_next_when_it_is_paid_for(clock: Clock) -> None:
    """300 events at 100 a second are three seconds, whatever the next one holds."""
    limiter = limiter_of(100, clock)
    limiter.wait(300)
    assert clock.waits == []
    limiter.wait(1)
    assert clock.waits == [3.0]
    limiter.wait(1)
    assert clock.waits == [3.0, pytest.approx(0.01)]


@pytest.mark.parametrize("idle", [3600, 1.9], ids=["an hour", "a little"])
def test_idle_time_is_not_saved_up(clock: Clock, idle: float) -> None:
    """No burst follows, and who comes late pays from then on."""
    limiter = limiter_of(100, clock)
    limiter.wait(100)
    clock.now += idle
    limiter.wait(100)
    limiter.wait(100)
    assert clock.waits == [1.0]


def test_asking_tells_how_long_is_left_and_takes_no_turn(clock: Clock) -> None:
    """A worker that asks and waits elsewhere does not push the others back."""
    limiter = limiter_of(10, clock)
    assert limiter.ask(5) == 0
    assert [limiter.ask(5) for _ in range(3)] == [0.5] * 3
    clock.now += 0.25
    assert limiter.ask(5) == 0.25
    clock.now += 0.25
    assert limiter.ask(5) == 0
    assert limiter.ask(5) == 0.5


def test_a_sleep_that_ends_early_is_gone_on_with(clock: Clock) -> None:
    """A turn is a matter of time, not of sleeps."""
    limiter = RateLimiter(
        10, sleep=lambda seconds: clock.sleep(seconds / 2 + 0.001), clock=lambda: clock.now
    )
    limiter.wait(10)
    limiter.wait(10)
    assert clock.now >= 1001
    assert len(clock.waits) > 3


def test_a_run_that_is_stopped_waits_no_more(clock: Clock) -> None:
    """A turn may be minutes away."""
    limiter = limiter_of(0.001, clock)
    limiter.wait(1)
    limiter.wait(1, stopped=lambda: True)
    assert clock.waits == []


def test_a_stop_wakes_all_who_wait() -> None:
    """No thread stays behind, in whichever order they came."""
    stop = threading.Event()
    limiter = RateLimiter(0.001, sleep=stop.wait)
    limiter.wait(1)
    waits = [partial(limiter.wait, 1, stopped=stop.is_set)] * 4
    side_by_side(*waits, stop.set)


def test_threads_take_turns_on_a_real_clock() -> None:
    """Together they keep the rate, and none is left out."""
    limiter, began = RateLimiter(2000), []

    def go() -> None:
        for _ in range(5):
            limiter.wait(20)
            began.append(time.monotonic())

    started = time.monotonic()
    side_by_side(*[go] * 4)
    assert len(began) == 20
    # All but the first of twenty turns of 20 events are paid for with time.
    assert max(began) - started >= 19 * 20 / 2000 - 0.001


def test_threads_take_their_turns_one_by_one() -> None:
    """Two that looked at the clock together would both go."""
    both = threading.Barrier(2)
    together = []

    def clock() -> float:
        try:
            both.wait(0.2)
        except threading.BrokenBarrierError:
            both.reset()
        else:
            together.append(1)
        return 1000.0

    limiter = RateLimiter(1, clock=clock, sleep=lambda _: None)
    side_by_side(*[partial(limiter.wait, 1, stopped=lambda: True)] * 2)
    assert together == []
