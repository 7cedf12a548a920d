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

#: An object whose end is interrupted: Python drops what is raised there.
WHILE_TIDYING = """
import signal, time
from types import SimpleNamespace
from tap_amplitude import cli as command
from tap_amplitude.errors import Stopped

def stop(signum, frame):
    raise Stopped("{signal}")

class Tidies:
    def __del__(self):
        signal.raise_signal(signal.{signal})

def work(*arguments, **options):
    signal.signal(signal.{signal}, stop)
    Tidies()
    time.sleep(30)

command.TapAmplitude = SimpleNamespace(cli=SimpleNamespace(main=work), name="tap-amplitude")
raise SystemExit(command.run([]))
"""

#: A second signal while the first one is told.
TWICE = """
import logging, signal
from types import SimpleNamespace
from tap_amplitude import cli as command
from tap_amplitude.errors import Stopped

def stop(signum, frame):
    raise Stopped("{signal}")

class Again(logging.Handler):
    def emit(self, record):
        signal.raise_signal(signal.{signal})

def work(*arguments, **options):
    signal.signal(signal.{signal}, stop)
    logging.basicConfig()
    logging.getLogger().addHandler(Again())
    signal.raise_signal(signal.{signal})

command.TapAmplitude = SimpleNamespace(cli=SimpleNamespace(main=work), name="tap-amplitude")
raise SystemExit(command.run([]))
"""


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", [WHILE_LOADING, WHILE_TIDYING, TWICE])
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
