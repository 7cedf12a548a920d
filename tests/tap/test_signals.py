"""A signal at any moment ends the tap with one line and exit code 1, or lets it finish."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: A finder that runs when a module of the program is loaded, and ends the process meanwhile.
WHILE_LOADING = """
import importlib.abc, signal, sys
from tap_amplitude.__main__ import main

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "tap_amplitude.cli":
            signal.raise_signal(signal.{signal})

sys.meta_path.insert(0, Finder())
sys.argv = ["tap-amplitude", "--about"]
main()
"""

#: A signal in place of the tap's work.
_RUN = """
import logging, os, signal, sys, time
from types import SimpleNamespace
from tap_amplitude import cli
from tap_amplitude.common.signals import SIGNALS

SIGNALS.listen()
logging.basicConfig()
stop = lambda: signal.raise_signal(signal.{signal})

class Tidies:
    def __del__(self):
        stop()

class Again(logging.Handler):
    def emit(self, record):
        stop()

def work(*_, **__):
    {work}

raise SystemExit(cli.run(SimpleNamespace(main=work), []))
"""
_WORKS = {
    "in the midst": "stop()",
    # Python drops what is raised there.
    "in a destructor": "Tidies(); time.sleep(30)",
    "where it is passed over": (
        "\n    try: stop()\n    except BaseException: pass\n    time.sleep(30)"
    ),
    "where it is always passed over": (
        "\n    from tap_amplitude.common import signals"
        "\n    signals._AGAIN_SECONDS = 0.05"
        "\n    while True:"
        "\n        try: stop(); time.sleep(30)"
        "\n        except BaseException: pass"
    ),
    "twice": "logging.getLogger().addHandler(Again()); stop()",
}
MOMENTS = {
    "while loading": WHILE_LOADING,
    **{name: _RUN.replace("{work}", work) for name, work in _WORKS.items()},
}


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_signal_ends_the_tap_in_one_line(moment: str, signal: str) -> None:
    """No traceback, no run that goes on, and the exit code that says: run again."""
    code = moment.replace("{signal}", signal)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=False, timeout=25
    )

    log = done.stderr.decode()
    assert done.returncode == 1, log
    assert f"Stopped by {signal}" in log
    assert "Traceback" not in log
    assert "Exception ignored" not in log
