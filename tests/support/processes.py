"""Runs the installed plugins as their users do: as processes with a configuration file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from typing_extensions import Self

Json = dict[str, Any]

#: Where the running interpreter's environment keeps its commands.
SCRIPTS = Path(sysconfig.get_path("scripts"))
_SECONDS = 120.0
_PREFIXES_OF_SETTINGS = ("TAP_AMPLITUDE_", "TARGET_POSTHOG_", "SINGER_SDK_", "MELTANO_")
#: Set by some shells; a plugin must work as a user's shell runs it.
_NOT_A_USERS = ("PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS", "LOGLEVEL")


@dataclass(frozen=True)
class Finished:
    """What a plugin's process left behind."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def messages(self) -> list[Json]:
        """The lines of standard output as JSON: a tap's messages, or a target's states."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def checked(self) -> Self:
        """Return itself when the plugin ended well; fail with its log otherwise."""
        assert self.exit_code == 0, self.stderr
        return self


class Running:
    """A plugin at work; a context manager that leaves no process behind.

    Args:
        command: the plugin's path and its arguments.
        folder: its working directory; its output is kept there.
        environment: variables besides those of the shell.
        stdout: where its standard output goes; None keeps it for `Finished`.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        stdout: int | None = None,
    ) -> None:
        self._stdout, self._stderr = folder / "stdout.txt", folder / "stderr.txt"
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out if stdout is None else stdout,
                stderr=err,
                cwd=folder,
                env=clean_environment() | dict(environment or {}),
            )

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process if it still runs."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    @property
    def stdout(self) -> str:
        """What it has written to standard output so far."""
        return self._stdout.read_text()

    @property
    def stderr(self) -> str:
        """What it has logged so far."""
        return self._stderr.read_text()

    def write(self, messages: Iterable[Json | str | bytes]) -> None:
        """Write lines to its standard input, and let them go at once."""
        assert self.process.stdin is not None
        self.process.stdin.write(encoded(messages))
        self.process.stdin.flush()

    def wait_for(self, seen: Callable[[], object], seconds: float = _SECONDS) -> None:
        """Wait until something is true; fail with the log when the process ends before it is."""
        end = time.monotonic() + seconds
        while not seen():
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < end, f"not seen in {seconds} s; {self.stderr}"
            time.sleep(0.01)

    def stop(self, signum: int = signal.SIGTERM) -> Finished:
        """Send a signal and wait for the end."""
        self.process.send_signal(signum)
        return self._finished()

    def finish(self) -> Finished:
        """End its input and wait for the end."""
        assert self.process.stdin is not None
        # It may have ended before it had read everything; its exit code tells why.
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        return self._finished()

    def _finished(self) -> Finished:
        code = self.process.wait(_SECONDS)
        return Finished(code, self.stdout, self.stderr)


def clean_environment() -> dict[str, str]:
    """Return the shell's variables without those that change how the plugins work."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_PREFIXES_OF_SETTINGS) and name not in _NOT_A_USERS
    }
    # The stand-ins are on this machine; a proxy would not find them.
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def encoded(messages: Iterable[Json | str | bytes]) -> bytes:
    """Return messages as lines; a text is one line as it is, bytes are not even ended."""
    parts = [
        message
        if isinstance(message, bytes)
        else f"{message if isinstance(message, str) else json.dumps(message)}\n".encode()
        for message in messages
    ]
    return b"".join(parts)


def start(
    plugin: str,
    config: Mapping[str, Any],
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdout: int | None = None,
) -> Running:
    """Start a plugin.

    Args:
        plugin: `tap-amplitude` or `target-posthog`.
        config: its settings, written to a file in `folder`.
        folder: its working directory.
        arguments: of the command line, besides `--config`.
        environment: variables besides those of the shell.
        stdout: where its standard output goes; None keeps it for `Finished`.
    """
    path = folder / f"{plugin}.json"
    path.write_text(json.dumps(config))
    command = [str(SCRIPTS / plugin), "--config", str(path), *arguments]
    return Running(command, folder, environment, stdout)


def run_target(
    config: Mapping[str, Any],
    messages: Iterable[Json | str | bytes],
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run `target-posthog` over messages and return what came of it; see `start`."""
    with start("target-posthog", config, folder, *arguments, environment=environment) as target:
        # A thread of its own is not needed: the target reads all the time, and writes to files.
        with suppress(BrokenPipeError):
            target.write(messages)
        return target.finish()


def run_tap(
    config: Mapping[str, Any],
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run `tap-amplitude` and return what came of it; see `start`."""
    with start("tap-amplitude", config, folder, *arguments, environment=environment) as tap:
        return tap.finish()
