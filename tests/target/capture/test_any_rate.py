"""Whoever sends how much and when: the agreed speed is held, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.rate_limit import RateLimiter
from tests.support.examples import examples
from tests.support.side_by_side import side_by_side

# Not so slow that the clock's own steps show.
RATES = st.floats(0.01, 1e6)
EVENTS = st.integers(1, 5000)
PAUSES = st.one_of(st.just(0.0), st.floats(0, 100))


class Clock:
    """A clock that only waiting moves on; for several threads."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._lock = threading.Lock()
        self._told = threading.local()

    @property
    def told(self) -> float:
        """What this thread was told last; the time has gone on since."""
        told: float = self._told.now
        return told

    def __call__(self) -> float:
        """Tell the time; another thread may go on meanwhile."""
        with self._lock:
            now = self._now
        self._told.now = now
        time.sleep(0)
        return now

    def sleep(self, seconds: float) -> None:
        """Wait."""
        with self._lock:
            self._now += seconds


class Watched(RateLimiter):
    """A limiter that notes each turn when it is taken; `wait` asks under its lock."""

    def __init__(self, rate: float, clock: Clock) -> None:
        super().__init__(rate, sleep=clock.sleep, clock=clock)
        self.turns: list[tuple[float, int]] = []
        self._watch = clock

    def ask(self, events: int) -> float:
        """Ask, and note it when the turn is ours."""
        left = super().ask(events)
        if not left:
            self.turns.append((self._watch.told, events))
        return left


def assert_held(turns: list[tuple[float, int]], rate: float) -> None:
    """See that in any stretch at most rate * t events and one batch begin."""
    # Paid for before each turn: a stretch from the i-th to the j-th turn has the events of the
    # i-th to the (j - 1)-th, and with the j-th one batch more.
    before, paid = [], 0
    for _, events in turns:
        before.append(paid)
        paid += events
    # The surplus over the rate since the start may never rise from one turn to a later one.
    lowest = float("inf")
    for (at, _), events_before in zip(turns, before, strict=True):
        surplus = events_before - rate * (at - 1000.0)
        assert surplus <= lowest + 1e-6 * max(1.0, abs(surplus)) + rate * 1e-9
        lowest = min(lowest, surplus)


@examples(300)
@given(rate=RATES, sends=st.lists(st.tuples(PAUSES, EVENTS), max_size=60))
def test_in_any_stretch_the_rate_is_held(rate: float, sends: list[tuple[float, int]]) -> None:
    """At most rate * t events and one batch, whatever pauses there were."""
    clock = Clock()
    limiter = Watched(rate, clock)
    for pause, events in sends:
        clock.sleep(pause)
        limiter.wait(events)
    assert [events for _, events in limiter.turns] == [events for _, events in sends]
    assert_held(limiter.turns, rate)


@examples(40)
@given(
    rate=RATES,
    senders=st.lists(
        st.lists(st.tuples(PAUSES, EVENTS), min_size=1, max_size=10), min_size=2, max_size=6
    ),
)
def test_threads_hold_the_rate_together_and_none_waits_for_ever(
    rate: float, senders: list[list[tuple[float, int]]]
) -> None:
    """Every request has its turn once."""
    clock = Clock()
    limiter = Watched(rate, clock)

    def go(sends: list[tuple[float, int]]) -> None:
        for pause, events in sends:
            clock.sleep(pause)
            limiter.wait(events)

    side_by_side(*(partial(go, sends) for sends in senders))
    assert sorted(events for _, events in limiter.turns) == sorted(
        events for sends in senders for _, events in sends
    )
    assert_held(limiter.turns, rate)


@examples(40)
@given(rate=RATES, counts=st.lists(EVENTS, min_size=1, max_size=5), stop_after=st.integers(0, 4))
def test_a_stop_lets_everybody_go(rate: float, counts: list[int], stop_after: int) -> None:
    """Whoever sleeps at that moment sleeps no second time."""
    clock = Clock()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        # Woken before its time, as by an event that is set.
        clock.sleep(seconds / 2)

    limiter = RateLimiter(rate, sleep=sleep, clock=clock)
    wait = partial(limiter.wait, stopped=lambda: len(slept) >= stop_after)
    side_by_side(*(partial(wait, events) for events in counts))
    assert len(slept) <= stop_after
