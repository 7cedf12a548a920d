"""A signal at any moment ends either plugin with one line and exit code 1."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAMES = ("SIGINT", "SIGTERM")
#: What the plugins give to `run` beside the command.
PLUGINS = {"tap_amplitude": "[]", "target_posthog": '"target-posthog", reads_a_tap=False'}
#: A finder that runs when a module of the program is loaded, and ends the process meanwhile.
WHILE_LOADING = """
import importlib.abc, signal, sys
from {package}.__main__ import main

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "{package}.{module}":
            signal.raise_signal(signal.{name})

sys.meta_path.insert(0, Finder())
sys.argv = ["plugin", "--about"]
main()
"""

#: A signal in place of the plugin's work, in a process that is forked for each: it loads but once.
AT_WORK = """
import json, logging, os, signal, sys, time
from types import SimpleNamespace
from PACKAGE import cli
from PACKAGE.common import signals
from PACKAGE.errors import FixConfiguration

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
    return cli.run(SimpleNamespace(main=lambda *_, **__: exec(work, known)), ARGUMENTS)

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
FAILURE = "logging.getLogger().addHandler(Again()); raise FixConfiguration('That.', 'Do this.')"


def ended(package: str, works: Mapping[str, str], folder: Path) -> dict[str, tuple[int, str]]:
    """Return the exit code and the log of a plugin at each work, by the work and the signal."""
    program = AT_WORK.replace("PACKAGE", package).replace("ARGUMENTS", PLUGINS[package])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, json.dumps(works), *NAMES],
        capture_output=True,
        check=True,
        cwd=folder,
        timeout=60,
    )
    return {
        log: (code, (folder / log).read_text()) for log, code in json.loads(done.stdout).items()
    }


def assert_one_line(exit_code: int, log: str, name: str) -> None:
    """No traceback, no run that goes on, and the exit code that says: run again."""
    assert exit_code == 1, log
    assert log.count(f"Stopped by {name}") == 1, log
    assert "Traceback" not in log
    assert "Exception ignored" not in log


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("package", "module"),
    [("tap_amplitude", "cli"), ("target_posthog", "cli"), ("target_posthog", "sinks")],
)
def test_a_signal_while_a_plugin_is_loaded_ends_it_in_one_line(
    package: str, module: str, name: str
) -> None:
    """Before the plugin itself could catch it."""
    program = WHILE_LOADING.format(package=package, module=module, name=name)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        check=False,
        timeout=25,
    )
    assert_one_line(done.returncode, done.stderr.decode(), name)


@pytest.mark.parametrize("package", PLUGINS)
def test_a_signal_ends_a_plugin_in_one_line(package: str, tmp_path: Path) -> None:
    """Wherever it works, and also where what a signal raises is lost."""
    runs = ended(package, WORKS, tmp_path)
    assert len(runs) == len(WORKS) * len(NAMES)
    for moment, (code, log) in runs.items():
        assert_one_line(code, log, moment.split()[-1])


@pytest.mark.parametrize("package", PLUGINS)
def test_a_signal_while_another_failure_is_told_changes_nothing(
    package: str, tmp_path: Path
) -> None:
    """The message that matters is the first one, and its exit code stays."""
    told = f"ERROR:{package.replace('_', '-')}:That. Do this.\n"
    assert set(ended(package, {"told": FAILURE}, tmp_path).values()) == {(2, told)}
