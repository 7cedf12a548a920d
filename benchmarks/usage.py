"""What a command and all processes below it used: time, CPU, memory. Linux only, by /proc."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.support.processes import clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from typing_extensions import Self

_LOOK_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")
_SHOWN_LINES = 20
#: Both make each start of a Python process slower; some shells and images set them.
_NOT_A_USERS = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


class Failed(Exception):
    """A command of the benchmark did not do its work."""


@dataclass(frozen=True)
class Usage:
    """What one run of a command used.

    Attributes:
        seconds: from its start to its end.
        cpu_seconds: of it and every process below it.
        cpu_of: the same by role, as seen at most a twentieth of a second before a process ended.
        main_thread_of: the part of it that is the main threads'.
        peak_of: the largest resident memory of any one process of a role, in bytes.
    """

    seconds: float
    cpu_seconds: float
    cpu_of: Mapping[str, float]
    main_thread_of: Mapping[str, float]
    peak_of: Mapping[str, int]


@dataclass(frozen=True)
class Command:
    """What to run.

    Attributes:
        arguments: the command line.
        folder: its working directory.
        role: what to call its first process.
        environment: variables besides those of the shell.
        stdin: a file that another process writes to its standard input; None gives it nothing.
    """

    arguments: Sequence[str]
    folder: Path
    role: str
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: Path | None = None


@dataclass
class _Seen:
    """A process as it was when it was last seen."""

    role: str
    cpu_seconds: float
    main_thread: float
    peak: int


def run(command: Command, log: Path) -> Usage:
    """Run a command to its end.

    Args:
        command: what to run.
        log: where its output goes.

    Raises:
        Failed: it ended with an error.
    """
    with log.open("wb") as out, ExitStack() as stack:
        stdin = subprocess.DEVNULL if command.stdin is None else _piped(command.stdin, stack)
        started = time.perf_counter()
        process = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env=users_environment() | dict(command.environment),
            stdin=stdin,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        with _Watch(process.pid, command.role) as watch:
            # Not its memory: that of a process begins with what its parent had.
            _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:])
        raise Failed(f"{' '.join(command.arguments)} ended with {process.returncode}:\n{last}")
    cpu_of = watch.sums(lambda seen: seen.cpu_seconds)
    main_thread_of = watch.sums(lambda seen: seen.main_thread)
    # The kernel's sum is exact, but knows only processes that their parents have waited for.
    cpu_seconds = max(used.ru_utime + used.ru_stime, sum(cpu_of.values()))
    return Usage(seconds, cpu_seconds, cpu_of, main_thread_of, watch.peak_of())


def users_environment() -> dict[str, str]:
    """Return the variables of a user's shell."""
    environment = clean_environment()
    for name in _NOT_A_USERS:
        environment.pop(name, None)
    return environment


def _piped(path: Path, stack: ExitStack) -> IO[bytes]:
    """Return a pipe that a file is written to, as a tap writes to a target."""
    writer = stack.enter_context(subprocess.Popen(["/bin/cat", str(path)], stdout=subprocess.PIPE))
    assert writer.stdout is not None  # noqa: S101 - it is a pipe
    return writer.stdout


class _Watch:
    """Looks at a process and those below it, many times a second, from a thread of its own."""

    def __init__(self, pid: int, role: str) -> None:
        self._root, self._role = pid, role
        self._seen: dict[int, _Seen] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def sums(self, value: Callable[[_Seen], float]) -> dict[str, float]:
        sums: dict[str, float] = defaultdict(float)
        for seen in self._seen.values():
            sums[seen.role] += value(seen)
        return dict(sums)

    def peak_of(self) -> dict[str, int]:
        peaks: dict[str, int] = defaultdict(int)
        for seen in self._seen.values():
            peaks[seen.role] = max(peaks[seen.role], seen.peak)
        return dict(peaks)

    def _look_on(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for pid, role in _tree(self._root, self._role):
                seen = _look(pid, role)
                if seen is not None:
                    self._seen[pid] = seen


def _tree(pid: int, role: str) -> Iterator[tuple[int, str]]:
    """Yield a process and all below it, each with its role."""
    yield pid, role
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return
    for child in children:
        yield from _tree(int(child), _role_of(int(child), role))


def _role_of(pid: int, parent: str) -> str:
    """Tell what a process does, from its command line and what started it."""
    if parent != "meltano":
        return "worker"
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2]
    except OSError:
        return parent
    for word in words:
        name = word.rpartition(b"/")[2]
        if name.startswith((b"tap-", b"target-")):
            return name.partition(b"-")[0].decode()
    return parent


def _look(pid: int, role: str) -> _Seen | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        cpu_seconds = _cpu_seconds(Path(f"/proc/{pid}/stat"))
        # The main thread has the number of its process; what is not its is the other threads',
        # also of those that have ended.
        main_thread = _cpu_seconds(Path(f"/proc/{pid}/task/{pid}/stat"))
    except OSError:
        return None
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), None)
    if peak is None:  # it has ended, and nobody has asked how
        return None
    return _Seen(role, cpu_seconds, main_thread, int(peak) * 1024)


def _cpu_seconds(stat: Path) -> float:
    numbers = stat.read_text().rpartition(")")[2].split()
    # utime and stime are fields 14 and 15 of proc(5); the first two are cut off.
    return (int(numbers[11]) + int(numbers[12])) / _TICKS
