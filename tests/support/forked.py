"""Runs of the plugins and of Meltano that are forked from a process in which they are loaded.

A start costs 0.6 to 0.8 s of CPU, Meltano's two, nearly all of it for loading; a fork costs 0.02 s.
It is a process all the same, with signals, pipes and an exit code, and nothing of it leaks into the
tests.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SERVER = Path(__file__).with_name("fork_server.py")
_LOCK = Lock()
#: What the programs would load before they read their settings.
_OF_PLUGINS = (
    *("tap_amplitude.cli", "tap_amplitude.preflight.options", "tap_amplitude.summary"),
    *("tap_amplitude.tap", "target_posthog.cli", "target_posthog.progress.summary"),
    "target_posthog.target",
)
_OF_MELTANO = (
    *("meltano.cli", "alembic.command", "mako.template", "meltano.migrations.utils"),
    *("anyio._backends._asyncio", "sqlalchemy.dialects.mssql", "sqlalchemy.dialects.sqlite"),
    *(f"meltano.core.state_store.{cloud}.settings" for cloud in ("azure", "google", "s3")),
)


class Forked:
    """A plugin or Meltano at work, with what the tests use of `subprocess.Popen`.

    Args:
        command: The program's path and its arguments.
        stdin: Where its input comes from.
        stdout: Where its output goes.
        stderr: Where its log goes.
        cwd: Its working directory.
        env: All of its environment.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int | IO[bytes],
        stdout: int | IO[bytes],
        stderr: IO[bytes],
        cwd: Path,
        env: Mapping[str, str],
    ) -> None:
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self.returncode: int | None = None
        asked = {"command": list(command), "folder": str(cwd), "environment": dict(env)}
        with ExitStack() as theirs:
            request = theirs.enter_context(TemporaryFile())
            request.write(json.dumps(asked).encode())
            request.flush()
            if stdin == subprocess.PIPE:
                stdin, self.stdin = _pipe()
                theirs.enter_context(stdin)
            elif stdin == subprocess.DEVNULL:
                stdin = theirs.enter_context(Path(os.devnull).open("rb"))
            if stdout == subprocess.PIPE:
                self.stdout, stdout = _pipe()
                theirs.enter_context(stdout)
            ends, told = _pipe()
            self._ends = ends
            theirs.enter_context(told)
            files = (request, stdin, stdout, stderr, told)
            with _LOCK:
                server = server_of(Path(command[0]).name)
                socket.send_fds(server, [b"."], [_number(file) for file in files])
                self.pid = int.from_bytes(server.recv(8), "big")
        assert self.pid, "the process to fork from has ended"

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            # It may have ended, and the server not have told of it yet.
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _wait(self, seconds: float | None) -> int | None:
        if self.returncode is None and wait([self._ends.fileno()], seconds):
            with self._ends:
                self.returncode = int(self._ends.read())
        return self.returncode


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Return the reading and the writing end."""
    reads, writes = os.pipe()
    return os.fdopen(reads, "rb"), os.fdopen(writes, "wb")


def _number(file: int | IO[bytes]) -> int:
    return file if isinstance(file, int) else file.fileno()


def server_of(program: str) -> socket.socket:
    """Return the connection to the process to fork a program from."""
    return _server(*(_OF_MELTANO if program == "meltano" else _OF_PLUGINS))


@cache
def _server(*loads: str) -> socket.socket:
    """The process to fork from, which lives as long as this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, str(_SERVER), str(number), *loads],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[number],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
