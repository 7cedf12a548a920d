"""A signal at any moment ends the target with one message and exit code 1, or lets it finish."""

from __future__ import annotations

import random
import signal
import subprocess
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

#: Another failure and a second signal, each at a moment of its own, in place of the SDK's command.
_RUN = """
import logging, os, signal, sys, time
from types import SimpleNamespace
from target_posthog import cli
from target_posthog.common.signals import SIGNALS, StoppedBySignal

SIGNALS.listen()
logging.basicConfig()
stop = lambda: signal.raise_signal(signal.{signal})

class Tidies:
    def __del__(self):
        stop()

class Again(logging.Handler):
    def emit(self, record):
        stop()

def work(**_):
    {work}

raise SystemExit(cli.run(SimpleNamespace(main=work), "target-posthog", reads_a_tap=False))
"""
#: A finder that runs when a module of the program is loaded.
_WHILE_LOADING = """
import importlib.abc, signal, sys
from target_posthog.__main__ import main

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "target_posthog.{module}":
            signal.raise_signal(signal.{signal})

sys.meta_path.insert(0, Finder())
sys.argv = ["target-posthog", "--about"]
main()
"""
_WORKS = {
    "in the midst": "stop()",
    "in a destructor": "Tidies(); time.sleep(30)",
    "where it is passed over": (
        "\n    try: stop()\n    except BaseException: pass\n    time.sleep(30)"
    ),
    "twice": "logging.getLogger().addHandler(Again()); stop()",
}
MOMENTS = {
    **{name: _RUN.replace("{work}", work) for name, work in _WORKS.items()},
    "at the first module": _WHILE_LOADING.replace("{module}", "cli"),
    "at a late module": _WHILE_LOADING.replace("{module}", "sinks"),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_signal_ends_the_run_with_one_message(moment: str) -> None:
    """No traceback, no run that goes on, and the exit code that says: run again."""
    names = ("SIGINT", "SIGTERM") if moment == MOMENTS["in the midst"] else ("SIGTERM",)
    for name in names:
        _check_end(moment.replace("{signal}", name), name)


def _check_end(code: str, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=25
    )
    log = done.stderr.decode()
    assert done.returncode == 1, log
    assert log.count(f"Stopped by {name}") == 1, log
    assert "Traceback" not in log
    assert "Exception ignored" not in log


def test_a_signal_while_another_failure_is_told_changes_nothing() -> None:
    """The message that matters is the first one, and its exit code stays."""
    work = (
        "from target_posthog.errors import FixConfiguration; "
        "logging.getLogger().addHandler(Again()); raise FixConfiguration('That.', 'Do this.')"
    )
    code = _RUN.replace("{work}", work).replace("{signal}", "SIGTERM")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=25
    )
    assert done.returncode == 2
    assert done.stderr.decode() == "ERROR:target-posthog:That. Do this.\n"


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
