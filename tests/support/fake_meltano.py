"""A command in Meltano's place: what a range runner starts, and all that it must end."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SECONDS = 30.0
_PRELUDE = '''\
#!{python} -I
"""Does what a test asks of Meltano."""
import json, os, pathlib, signal, subprocess, sys, time

here = pathlib.Path({folder!r})
variables = os.environ
with (here / "calls.jsonl").open("a") as calls:
    told = {{"arguments": sys.argv[1:], "variables": dict(variables), "folder": os.getcwd()}}
    calls.write(json.dumps(told) + "\\n")

def tell(exit_class, plugin="TARGET_POSTHOG", **more):
    summary = {{"exit_class": exit_class, "error": None, "next": "", **more}}
    path = pathlib.Path(variables[plugin + "_SUMMARY_PATH"])
    path.write_text(json.dumps(summary))

def finish(**counts):
    tell("done", "TAP_AMPLITUDE")
    tell("done", **counts)

def plugin(name, code="import time; time.sleep(600)"):
    started = subprocess.Popen([sys.executable, "-I", "-c", code])
    (here / name).write_text(str(started.pid))
    return started

def wait():
    (here / "meltano").write_text(str(os.getpid()))
    time.sleep(600)

attempt = len((here / "calls.jsonl").read_text().splitlines())
'''


class FakeMeltano:
    """A script that stands where `MIGRATION_MELTANO` leads.

    Args:
        folder: of its own.
        body: what it does, in Python; see `_PRELUDE` for what it may use.
    """

    def __init__(self, folder: Path, body: str) -> None:
        self.folder = folder
        self.path = folder / "meltano-command"
        self.path.write_text(_PRELUDE.format(python=sys.executable, folder=str(folder)) + body)
        self.path.chmod(0o755)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Arguments, variables and folder of each call so far."""
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def started(self, name: str) -> int:
        """Wait until it, or a plugin of it, runs; return the number of its process."""
        path = self.folder / name
        wait_until(lambda: path.exists() and path.read_text())
        return int(path.read_text())


def wait_until(seen: Callable[[], object]) -> None:
    """Wait until something is true; fail when it does not become so."""
    end = time.monotonic() + _SECONDS
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.02)
