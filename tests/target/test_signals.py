"""A signal at any moment ends the target and its workers, or lets it finish."""

from __future__ import annotations

import random
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.histories import in_stretches
from tests.support.processes import is_alive, start
from tests.support.target import started

if TYPE_CHECKING:
    from tests.support.target import Target


@pytest.mark.parametrize("way", ["records", "batch files"])
@pytest.mark.parametrize("seed", range(3))
def test_a_signal_at_a_random_moment_ends_the_run_or_comes_too_late(
    target: Target, way: str, seed: int
) -> None:
    """From the first lines of the program to its last."""
    chance = random.Random(seed)
    sent = in_stretches(target.folder, way)
    settings = {**target.config, "max_batch_events": 20, "workers": 2}
    with start("target-posthog", settings, target.folder, loads=True) as running:
        running.write(sent)
        assert running.process.stdin is not None
        running.process.stdin.close()
        time.sleep(chance.uniform(0.1, 1.0))
        ended = running.stop(chance.choice([signal.SIGTERM, signal.SIGINT]))
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    said = ended.stderr.count("Stopped by")
    assert (ended.exit_code, said) in {(1, 1), (0, 0)}, ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_worker_ends_with_the_target(target: Target) -> None:
    """Also when the target is killed while the worker waits for PostHog."""
    target.capture.fail(Fault.SLOW, times=100, seconds=60)
    with started(target, workers=2) as running:
        running.write(in_stretches(target.folder, "batch files"))
        running.wait_for(lambda: target.capture.requests)
        workers = running.children
        assert workers
        running.stop(signal.SIGKILL)
        end = time.monotonic() + 2
        while any(map(is_alive, workers)) and time.monotonic() < end:
            time.sleep(0.01)
    assert not any(map(is_alive, workers))
