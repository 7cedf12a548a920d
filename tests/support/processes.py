"""Runs the installed plugins as their users do: as processes with a configuration file."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sysconfig
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from tests.support.forked import Forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from typing_extensions import Self

Json = dict[str, Any]

#: Where the running interpreter's environment keeps its commands.
SCRIPTS = Path(sysconfig.get_path("scripts"))
TAP_COMMAND = str(SCRIPTS / "tap-amplitude")
_SECONDS = 120.0
_PREFIXES_OF_SETTINGS = ("TAP_AMPLITUDE_", "TARGET_POSTHOG_", "SINGER_SDK_", "MELTANO_")
_PLUGINS = ("tap-amplitude", "target-posthog")
_READ_AT_START = re.compile("PYTHON|LC_|LANG|TZ$")
_SLOW_RESPONSE = "target_posthog.delivery.concurrency._SLOW_RESPONSE"
_STATE_SECONDS = "target_posthog.delivery.state_writer._STATE_SECONDS"
#: A forked run takes every server for a near one: on a busy machine a stand-in answers late, which
#: rightly opens a second lane, and a test of one order has but one.
NEAR_SERVER = {"TESTS_NUMBERS": json.dumps({_SLOW_RESPONSE: float("inf")})}
#: A forked run writes states ten times as often, so that a test need not wait for the second one.
FREQUENT_STATES = {"TESTS_NUMBERS": json.dumps({_STATE_SECONDS: 0.2})}
#: Set by some shells; a plugin must work as a user's shell runs it.
_NOT_A_USERS = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONWARNINGS", "LOGLEVEL")


@dataclass(frozen=True)
class Finished:
    """What a run of a plugin left behind.

    Attributes:
        exit_code: The code of its process; -99 if it still runs.
        stdout: What it wrote to standard output.
        stderr: Its log.
    """

    exit_code: int
    stdout: str
    stderr: str

    @cached_property
    def messages(self) -> list[Json]:
        """What it wrote: a tap's messages, or a target's states."""
        return read_messages(self.stdout)

    @property
    def records(self) -> list[Json]:
        """The records of a tap, in order."""
        return [message["record"] for message in self.messages if message["type"] == "RECORD"]

    @property
    def ids(self) -> list[str]:
        """The uuid of each record, in order."""
        return [record["uuid"] for record in self.records]

    @property
    def states(self) -> list[Json]:
        """The bookmarks of `events` in a tap's STATE messages, in order."""
        values = [message["value"] for message in self.messages if message["type"] == "STATE"]
        return [value["bookmarks"]["events"] for value in values]

    @property
    def last_state(self) -> Json:
        """The whole value of a tap's last STATE, as it is given to the next run."""
        value: Json = next(m["value"] for m in reversed(self.messages) if m["type"] == "STATE")
        return value

    @property
    def log_lines(self) -> list[str]:
        """The lines of its log, but for Python's own warnings, which the installation causes."""
        return [line for line in self.stderr.splitlines() if "| py.warnings" not in line]

    def lines(self, level: str) -> list[str]:
        """Return the log lines of a level, such as `ERROR`."""
        return [line for line in self.log_lines if f"| {level} " in line]

    def checked(self) -> Self:
        """Return itself when the plugin ended well; fail with its log otherwise."""
        assert self.exit_code == 0, self.stderr
        return self


class Running:
    """A plugin at work; a context manager that leaves no process behind.

    Args:
        command: The plugin's path and its arguments.
        folder: Its working directory.
        environment: Variables besides those of the shell.
        stdin: Where its input comes from; by default from `write`.
        stdout: Where its output goes; by default it is kept for `Finished`.
        loads: Whether loading the program is the subject too; else it may be forked.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        *,
        stdin: int | IO[bytes] = subprocess.PIPE,
        stdout: int | None = None,
        loads: bool = False,
    ) -> None:
        # Files without a name: the folder may be what the plugin reads.
        self._stdout, self._stderr = (TemporaryFile() for _ in range(2))  # noqa: SIM115 - see `__exit__`
        changes = dict(environment or {})
        begin = Forked if not loads and _can_fork(command, changes) else subprocess.Popen
        self.process: Forked | subprocess.Popen[bytes] = begin(
            command,
            stdin=stdin,
            stdout=self._stdout if stdout is None else stdout,
            stderr=self._stderr,
            cwd=folder,
            env=clean_environment() | changes,
        )

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process if it still runs."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self._stdout, self._stderr):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()

    @property
    def stdout(self) -> str:
        """What it has written to standard output so far."""
        return _content(self._stdout)

    @property
    def stderr(self) -> str:
        """What it has logged so far."""
        return _content(self._stderr)

    @property
    def output(self) -> IO[bytes]:
        """The reading end of its standard output, when it was started with `stdout=PIPE`."""
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def children(self) -> list[int]:
        """The processes that it has started."""
        pid = self.process.pid
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def write(self, messages: Iterable[Json | str | bytes]) -> None:
        """Write lines to its standard input, and let them go at once."""
        assert self.process.stdin is not None
        self.process.stdin.write(encoded(messages))
        self.process.stdin.flush()

    def read_to(self, mark: bytes) -> bytes:
        """Read its output up to the first line that holds a mark; return this line."""
        while mark not in (line := self.output.readline()):
            assert line, self.stderr
        return line

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
        return self.ended()

    def finish(self) -> Finished:
        """End its input and wait for the end."""
        # It may have ended before it had read everything; its exit code tells why.
        with suppress(BrokenPipeError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        return self.ended()

    def ended(self) -> Finished:
        """Wait for the end."""
        self.process.wait(_SECONDS)
        return self.so_far()

    def so_far(self) -> Finished:
        """Return what it has left behind by now."""
        code = self.process.poll()
        return Finished(-99 if code is None else code, self.stdout, self.stderr)


def is_alive(pid: int) -> bool:
    """Return True if a process is there and has not ended."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        # It ended just now, or nothing tells here.
        return not Path("/proc/self").exists()
    # One that waits for its parent to ask for it has ended.
    return state not in {"Z", "X"}


def _can_fork(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return True if a run is as well forked: it changes nothing that Python reads at its start."""
    ours = Path(command[0]).parent == SCRIPTS and Path(command[0]).name.startswith(_PLUGINS)
    return ours and hasattr(os, "fork") and not any(map(_READ_AT_START.match, environment))


def _content(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


def read_messages(output: str | bytes) -> list[Json]:
    """Return whole lines as JSON; what a killed plugin wrote of its last line is left out."""
    text = output if isinstance(output, str) else output.decode()
    return [json.loads(line) for line in text.split("\n")[:-1]]


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


def command_line(
    plugin: str,
    folder: Path,
    config: Mapping[str, Any],
    *arguments: str,
    state: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write config and state to files and return the command that runs a plugin with them."""
    path = folder / f"{plugin}.json"
    path.write_text(json.dumps(config))
    made = [str(SCRIPTS / plugin), "--config", str(path), *arguments]
    if state is not None:
        path = folder / "state.json"
        path.write_text(json.dumps(state))
        made += ["--state", str(path)]
    return made


def start(
    plugin: str,
    config: Mapping[str, Any],
    folder: Path,
    *arguments: str,
    state: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    stdout: int | None = None,
    loads: bool = False,
) -> Running:
    """Start a plugin.

    Args:
        plugin: `tap-amplitude` or `target-posthog`.
        config: Its settings, written to a file in `folder`.
        folder: Its working directory.
        arguments: Of the command line, besides `--config`.
        state: The state of a tap's last run.
        environment: Variables besides those of the shell.
        stdout: Where its output goes; by default it is kept for `Finished`.
        loads: Whether loading the program is the subject too.
    """
    return Running(
        command_line(plugin, folder, config, *arguments, state=state),
        folder,
        environment,
        stdout=stdout,
        loads=loads,
    )


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
    folder: Path,
    config: Mapping[str, Any],
    *arguments: str,
    state: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run `tap-amplitude` and return what came of it; see `start`."""
    with start(
        "tap-amplitude", config, folder, *arguments, state=state, environment=environment
    ) as tap:
        return tap.finish()


def run_with_little_room(folder: Path, config: Mapping[str, Any]) -> Finished:
    """Run `tap-amplitude` where no file grows above 32 KiB: what a test can have of a full disk."""
    command = command_line("tap-amplitude", folder, config)
    with Running(["sh", "-c", 'ulimit -f 64; exec "$@"', "sh", *command], folder) as tap:
        return tap.finish()
