"""Runs a command that ends with the process that asked for it, and holds a lock meanwhile."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

from migration import watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

#: The watchdog knows the group before the command begins, whenever the worker is killed.
_BEGIN = 'echo $$ >&0; exec "$@" </dev/null'
#: Whoever takes the work over waits so long for what the one before left to end.
_PATIENCE = watchdog.GRACE + 20.0
_STEP = 0.1


class StillRuns(Exception):
    """What an earlier worker left of the same work has not ended."""


def run_guarded(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], lock: int
) -> int:
    """Run a command to its end, and leave nothing of it behind; return its exit code.

    `variables` are its whole environment. The file `lock` stays locked as long as the command, or
    its watchdog, lives.
    """
    dog = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-I", watchdog.__file__],
        bufsize=0,
        stdin=subprocess.PIPE,
        start_new_session=True,
        pass_fds=[lock],
    )
    with dog:
        process = subprocess.Popen(  # noqa: S603 - the user's own command
            ["/bin/sh", "-c", _BEGIN, "sh", *command],
            cwd=folder,
            env=variables,
            stdin=dog.stdin,
            start_new_session=True,
            pass_fds=[lock],
        )
        try:
            return process.wait()
        finally:
            # Of a Meltano that was killed, the plugins are left; when this is interrupted, all is.
            watchdog.end_group(process.pid, reap=process.poll)
            with suppress(BrokenPipeError):
                cast("IO[bytes]", dog.stdin).write(b"done")


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold a lock while the context is open; give its file.

    Raises:
        StillRuns: another one held it all the time.
    """
    with path.open("ab") as file:
        end = time.monotonic() + _PATIENCE
        while not _can_lock(file):
            if time.monotonic() >= end:
                raise StillRuns
            time.sleep(_STEP)
        yield file.fileno()


def _can_lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
