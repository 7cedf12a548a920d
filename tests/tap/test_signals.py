"""A signal at any moment ends the tap with one line and exit code 1, or lets it finish."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = ("SIGINT", "SIGTERM")
#: A finder that runs when a module of the program is loaded, and ends the process meanwhile.
WHILE_LOADING = """
import importlib.abc, signal, sys
from tap_amplitude.__main__ import main

stop = getattr(signal, sys.argv.pop())

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "tap_amplitude.cli":
            signal.raise_signal(stop)

sys.meta_path.insert(0, Finder())
sys.argv.append("--about")
main()
"""

#: A signal in place of the tap's work, in a process that is forked for each: it loads but once.
AT_WORK = """
import json, logging, os, signal, sys, time
from types import SimpleNamespace
from tap_amplitude import cli
from tap_amplitude.common import signals

def run(work, name):
    signals.SIGNALS.listen()
    logging.basicConfig()
    stop = lambda: signal.raise_signal(getattr(signal, name))

    class Tidies:
        def __del__(self):
            stop()

    class Again(logging.Handler):
        def emit(self, record):
            stop()

    known = {**globals(), **locals()}
    return cli.run(SimpleNamespace(main=lambda *_, **__: exec(work, known)), [])

codes = {}
for moment, work in json.loads(sys.argv[1]).items():
    for name in sys.argv[2:]:
        log = f"{moment} {name}"
        if os.fork() == 0:
            os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY), 2)
            sys.exit(run(work, name))
        codes[log] = os.waitstatus_to_exitcode(os.wait()[1])
print(json.dumps(codes))
"""
WORKS = {
    "in the midst": "stop()",
    # Python drops what is raised there.
    "in a destructor": "Tidies(); time.sleep(20)",
    "where it is passed over": """
signals._AGAIN_SECONDS = 0.05
try: stop()
except BaseException: pass
time.sleep(20)
""",
    "where it is always passed over": """
signals._AGAIN_SECONDS = 0.05
for _ in range(9):
    try: stop(); time.sleep(20)
    except BaseException: pass
""",
    "twice": "logging.getLogger().addHandler(Again()); stop()",
}


def assert_one_line(exit_code: int, log: str, name: str) -> None:
    """No traceback, no run that goes on, and the exit code that says: run again."""
    assert exit_code == 1, log
    assert f"Stopped by {name}" in log
    assert "Traceback" not in log
    assert "Exception ignored" not in log


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_while_the_tap_is_loaded_ends_it_in_one_line(name: str) -> None:
    """Before the tap itself could catch it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WHILE_LOADING, name],
        capture_output=True,
        check=False,
        timeout=25,
    )
    assert_one_line(done.returncode, done.stderr.decode(), name)


def test_a_signal_ends_the_tap_in_one_line() -> None:
    """Wherever it works, and also where what a signal raises is lost."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", AT_WORK, json.dumps(WORKS), *NAMES],
        capture_output=True,
        check=True,
        timeout=60,
    )
    codes = json.loads(done.stdout)
    assert len(codes) == len(WORKS) * len(NAMES)
    for log, code in codes.items():
        assert_one_line(code, Path(log).read_text(), log.split()[-1])
