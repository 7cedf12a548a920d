"""Killed anywhere and run again, the pipe loses nothing, doubles nothing and skips no hour."""

from __future__ import annotations

import random
import signal
from operator import methodcaller
from typing import TYPE_CHECKING

import pytest

from tests.fakes import amplitude_export_api as amplitude_api
from tests.fakes import posthog_capture as posthog_api
from tests.support.pipeline import BOTH, Plugin

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.pipeline import Day, Pipe

_VICTIMS: tuple[tuple[Plugin, ...], ...] = (("tap",), ("target",), BOTH)
#: Longer than any test: the answer does not come before the kill.
_FOREVER = 600.0


class Killer:
    """Runs a pipe until a moment that progress defines, and kills it there."""

    def __init__(self, day: Day) -> None:
        self._day, self._amplitude, self._posthog = day, day.amplitude, day.posthog
        # Each batch ends inside an hour, so that most kills find one half delivered.
        day.target["max_batch_events"] = 40
        day.tap["max_window_hours"] = 2

    def when_stored(self, count: int, *victims: Plugin, signum: int = signal.SIGKILL) -> None:
        """Kill as soon as PostHog has stored so many events more, with everything in flight."""
        self._posthog.fail(posthog_api.Fault.SLOW, seconds=0)
        goal = len(self._posthog.events) + count
        self._kill(lambda _: len(self._posthog.events) >= goal, victims, signum)

    def when_a_state_is_written(self, *victims: Plugin) -> None:
        """Kill right behind the first state of a run, with the rest in flight."""
        self._posthog.fail(posthog_api.Fault.SLOW, times=40, seconds=0.3)
        self._kill(lambda pipe: pipe.has_written("target"), victims, signal.SIGKILL)

    def when_an_answer_waits(
        self, request: int, *victims: Plugin, signum: int = signal.SIGKILL
    ) -> None:
        """Kill when PostHog has stored the n-th batch and the target does not know it yet."""
        self._posthog.fail(posthog_api.Fault.SLOW, request - 1, seconds=0)
        self._posthog.fail(posthog_api.Fault.SLOW, seconds=_FOREVER)
        goal = len(self._posthog.requests) + request
        self._kill(lambda _: len(self._posthog.requests) >= goal, victims, signum)

    def when_posthog_is_down(self, request: int, *victims: Plugin) -> None:
        """Kill while the n-th batch is waiting to be tried again, and PostHog has none of it."""
        self._posthog.fail(posthog_api.Fault.SLOW, request - 1, seconds=0)
        self._posthog.fail(posthog_api.Fault.STATUS, status=503, retry_after=_FOREVER)
        goal = len(self._posthog.requests) + request
        self._kill(lambda _: len(self._posthog.requests) >= goal, victims, signal.SIGKILL)

    def when_a_download_stalls(
        self, request: int, *victims: Plugin, signum: int = signal.SIGKILL
    ) -> None:
        """Kill when Amplitude has sent a part of its answer to the n-th request."""
        if request > 1:
            self._amplitude.fail(amplitude_api.Fault.SLOW, request - 1, seconds=0)
        self._amplitude.fail(amplitude_api.Fault.SLOW, seconds=_FOREVER, after_bytes=100)
        goal = len(self._amplitude.requests) + request
        self._kill(lambda _: len(self._amplitude.requests) >= goal, victims, signum)

    def _kill(self, seen: Callable[[Pipe], bool], victims: tuple[Plugin, ...], signum: int) -> None:
        with self._day.started() as pipe:
            pipe.wait_for(lambda: seen(pipe))
            if signum == signal.SIGKILL and pipe.has_ended("tap"):
                # The target reads ahead of what it delivers: it is the one that has work left.
                victims = ("target",)
            pipe.kill(*victims, signum=signum)
        self._posthog.be_well()
        end = self._day.ends[-1]
        if signum == signal.SIGKILL:
            for victim in victims:
                # A tap that has written all may end between the look and the kill.
                codes = {-signal.SIGKILL, 0} if victim == "tap" else {-signal.SIGKILL}
                assert getattr(end, victim).exit_code in codes, end.logs


@pytest.fixture
def killer(day: Day) -> Killer:
    """What kills the pipe."""
    return Killer(day)


@pytest.mark.parametrize("seed", range(2))
def test_six_kills_in_a_row_lose_and_double_nothing(seed: int, killer: Killer, day: Day) -> None:
    """Every run starts from what the killed one before it left; the last one may finish."""
    hours = [""]
    for kill in _kills(random.Random(f"kills/{seed}")):
        kill(killer)
        assert_state_not_ahead(day)
        hours.append(day.next_export_hour)
    assert hours == sorted(hours), "the state went back"
    assert len(set(hours)) > 1, "the kills came too early to tell anything"

    day.run_well()
    day.assert_whole()


def test_the_state_waits_for_posthog(killer: Killer, day: Day) -> None:
    """Hours that were read, but not taken by PostHog, are in no state, however many they are."""
    day.target["max_batch_events"] = 5000  # more than the day has
    killer.when_posthog_is_down(1, "target")
    assert day.posthog.held() == {}
    assert day.state is None

    killer.when_posthog_is_down(2, "target")  # the first hour is taken, all the others are not
    assert day.posthog.held() != {}
    assert_state_not_ahead(day)

    day.run_well()
    day.assert_whole()


@pytest.mark.parametrize("victims", _VICTIMS, ids="+".join)
def test_a_polite_stop_says_so_and_loses_nothing(
    victims: tuple[Plugin, ...], killer: Killer, day: Day
) -> None:
    """SIGTERM ends the plugins with one line and exit code 1; the next run goes on."""
    killer.when_stored(150, *victims, signum=signal.SIGTERM)
    end = day.ends[-1]
    for victim in victims:
        assert getattr(end, victim).exit_code == 1, end.logs
        assert "Stopped by SIGTERM" in getattr(end, victim).stderr, end.logs
    assert_state_not_ahead(day)

    day.run_well()
    day.assert_whole()


@pytest.mark.parametrize("plugin", BOTH)
def test_a_stop_is_heard_while_waiting(plugin: Plugin, killer: Killer, day: Day) -> None:
    """SIGTERM is not put off until Amplitude or PostHog has answered."""
    waits = {"tap": killer.when_a_download_stalls, "target": killer.when_an_answer_waits}
    waits[plugin](3, plugin, signum=signal.SIGTERM)
    assert getattr(day.ends[-1], plugin).exit_code == 1
    assert_state_not_ahead(day)

    day.run_well()
    day.assert_whole()


def assert_state_not_ahead(day: Day) -> None:
    """Fail if an event is not delivered of an hour that the next run will not read."""
    done = day.next_export_hour.replace("T", " ")[:13]
    promised = {row["uuid"] for row in day.export.rows if row["server_upload_time"][:13] < done}
    assert promised <= {uuid for uuid, *_ in day.posthog.held()}


def _kills(rng: random.Random) -> list[Callable[[Killer], None]]:
    """Draw six kills: two in a download, two around a batch, two after the state has moved."""
    target_or_both: list[tuple[Plugin, ...]] = [("target",), BOTH]
    kills: list[Callable[[Killer], None]] = [
        methodcaller("when_a_download_stalls", rng.randint(1, 3), "tap"),
        methodcaller("when_a_download_stalls", rng.randint(1, 3), *BOTH),
        methodcaller("when_an_answer_waits", rng.randint(1, 4), *rng.choice(target_or_both)),
        methodcaller("when_posthog_is_down", rng.randint(1, 12), *rng.choice(target_or_both)),
        methodcaller("when_a_state_is_written", *rng.choice(_VICTIMS)),
        methodcaller("when_a_state_is_written", *rng.choice(_VICTIMS)),
    ]
    rng.shuffle(kills)
    return kills
