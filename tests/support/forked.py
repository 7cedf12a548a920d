"""Runs of the plugins and of Meltano that are forked from a process in which they are loaded.

A start costs 0.6 to 0.8 s of CPU, Meltano's two, nearly all of it for loading; a fork costs 0.02 s.
It is a process all the same, with signals, pipes and an exit code, and nothing of it leaks into the
tests.

Run as a script, it does the same for whoever looks for a command on the path: see `commands`.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import ExitStack, suppress
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SERVER = Path(__file__).with_name("fork_server.py")
#: Where the programs are, whichever Python asks.
_SCRIPTS = "FORKED_SCRIPTS"
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
        stderr: int | IO[bytes],
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
            files = (request, stdin, stdout, stderr)
            self._run = socket.socket(socket.AF_UNIX)
            self._run.connect(server_of(Path(command[0]).name))
            socket.send_fds(self._run, [b"."], [_number(file) for file in files])
            self.pid = int.from_bytes(self._run.recv(8), "big")
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
        if self.returncode is None and wait([self._run.fileno()], seconds):
            with self._run:
                self.returncode = int(self._run.recv(16))
        return self.returncode


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Return the reading and the writing end."""
    reads, writes = os.pipe()
    return os.fdopen(reads, "rb"), os.fdopen(writes, "wb")


def _number(file: int | IO[bytes]) -> int:
    return file if isinstance(file, int) else file.fileno()


def server_of(program: str) -> str:
    """Return the address of the process to fork a program from, which every process may use."""
    name, loads = ("MELTANO", _OF_MELTANO) if program == "meltano" else ("PLUGINS", _OF_PLUGINS)
    return os.environ.get(f"FORKED_{name}") or _server(*loads)


@cache
def _server(*loads: str) -> str:
    """The process to fork from, which lives as long as this one."""
    folder = Path(tempfile.mkdtemp(prefix="forked-"))
    address = str(folder / "server")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(100)
        number = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, str(_SERVER), str(number), *loads],
            # It ends when this is closed.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[number],
        )

    def end() -> None:
        process.communicate()
        shutil.rmtree(folder)

    atexit.register(end)
    return address


@cache
def commands() -> Path:
    """Return a folder of commands, by the names of the real ones, that are forked.

    With it on the path a program starts them as it starts any; see `environment`.
    """
    folder = Path(tempfile.mkdtemp(prefix="commands-"))
    atexit.register(shutil.rmtree, folder)
    script = folder / "forked"
    # Alone, for it starts in a tenth of the time.
    script.write_text(f"#!{sys.executable} -IS\n{Path(__file__).read_text()}")
    script.chmod(0o755)
    for real in Path(sysconfig.get_path("scripts")).iterdir():
        if real.name == "meltano" or real.name.startswith(("tap-amplitude", "target-posthog")):
            (folder / real.name).symlink_to(script)
    return folder


def environment() -> dict[str, str]:
    """Return what the commands need to know."""
    return {
        _SCRIPTS: sysconfig.get_path("scripts"),
        "FORKED_MELTANO": server_of("meltano"),
        "FORKED_PLUGINS": server_of("target-posthog"),
    }


def _main() -> int:
    """Run the command whose name this has, as whoever started this would have it."""
    path = Path(os.environ[_SCRIPTS], Path(sys.argv[0]).name)
    run = Forked(
        [str(path), *sys.argv[1:]], stdin=0, stdout=1, stderr=2, cwd=Path.cwd(), env=os.environ
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, _: os.kill(run.pid, signum))
    return run.wait()


if __name__ == "__main__":
    sys.exit(_main())
