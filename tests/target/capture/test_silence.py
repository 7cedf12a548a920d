"""A long silence of PostHog is told now and then, and not held against the time left."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

import pytest

from target_posthog.capture.silence import Stalls
from target_posthog.progress.counts import Counts, Progress
from tests.fakes.posthog_capture import Fault
from tests.support.deliveries import batch_of, capture_api, item
from tests.support.singer import hours_state

if TYPE_CHECKING:
    from tests.fakes.posthog_capture import PosthogCapture


def test_a_long_silence_is_told_once_in_a_while(
    capture: PosthogCapture, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time it has doubled; an answer ends it."""
    monkeypatch.setattr("target_posthog.capture.silence._TOLD_FROM", 0.2)
    monkeypatch.setattr("target_posthog.capture.silence._TICK", 0.1)
    capture.fail(Fault.SLOW, seconds=1.3)
    with caplog.at_level(logging.WARNING, "target-posthog"), capture_api(capture.url) as api:
        api.send(batch_of(item(1)))
        told = [one.message for one in caplog.records]
        time.sleep(0.5)
        api.send(batch_of(item(2)))
    assert 1 < len(told) <= 4
    assert all(re.fullmatch(r"PostHog has not answered for \d+ s \(http://.*\)\.", t) for t in told)
    assert len(caplog.records) == len(told)


def test_the_time_left_does_not_grow_while_posthog_is_silent() -> None:
    """The speed of the run is that of the time in which PostHog takes events."""
    progress, stalls, counts = Progress(0.0), Stalls(), Counts(exported=50, accepted=50)
    progress.reached(hours_state(0, until=10)["value"])
    stalls.watch(0.0, 0, is_waiting=True)
    for second in range(1, 101):
        counts.accepted = second
        stalls.watch(float(second), second, is_waiting=True)
    progress.reached(hours_state(5, until=10)["value"])
    line = progress.text(100.0, counts, stalled=stalls.seconds(100.0))
    assert line.endswith("about 0:01:40 left")
    for second in range(111, 700, 10):
        stalls.watch(float(second), 100, is_waiting=True)
        line = progress.text(float(second), counts, stalled=stalls.seconds(float(second)))
        assert line.endswith("about 0:01:40 left")
    stalls.watch(700.0, 101, is_waiting=True)
    line = progress.text(710.0, counts, stalled=stalls.seconds(710.0))
    assert line.endswith("about 0:01:50 left")


@pytest.mark.parametrize("pause", [3.0, 15.0, 40.0])
def test_a_pause_that_every_request_takes_belongs_to_the_speed(pause: float) -> None:
    """A slow line is slow to its end; to leave its time out would promise too much."""
    stalls = Stalls()
    for _ in range(200):
        stalls.waited(pause)
    assert stalls.seconds(0.0) <= 3 * pause


def test_nobody_waits_for_posthog_while_the_tap_is_silent() -> None:
    """The tap's time is the run's time."""
    stalls = Stalls()
    stalls.watch(0.0, 0, is_waiting=True)
    stalls.watch(1.0, 10, is_waiting=False)
    stalls.watch(500.0, 10, is_waiting=False)
    assert stalls.seconds(500.0) == 0
