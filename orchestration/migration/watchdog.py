"""Ends a group of processes when the process that watches over it is gone.

A worker that is killed cannot end what it started; its watchdog can. It runs as a script of its
own, `python -I watchdog.py`, and reads the number of the group from standard input. The end of that
input means that nobody holds its other end any more.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: A target that is asked to stop has written its state by then; what is left is killed.
GRACE = 20.0
#: The system takes a killed process away when its parent, or process 1, asks for it.
_GONE = 5.0
_STEP = 0.05


def end_group(group: int, grace: float = GRACE, reap: Callable[[], object] = lambda: None) -> None:
    """End a group of processes, and wait until it is gone.

    It gets `grace` seconds to end by itself. `reap` takes away a member that has ended, of which
    the caller is the parent.
    """
    for signum, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, _GONE)):
        if not _signal(group, signum):
            return
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            reap()
            if not _signal(group, 0):
                return
            time.sleep(_STEP)


def _signal(group: int, signum: int) -> bool:
    """Send a signal to a group; return False if there is no such group any more."""
    try:
        os.killpg(group, signum)
    except ProcessLookupError:
        return False
    except PermissionError:
        # So macOS says of a group of processes that have ended, and wait for their parent.
        return False
    return True


def main() -> None:
    """Watch over the group that standard input names."""
    # Ctrl-C and a polite stop are for the worker and for the group; this one goes last.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    lines = sys.stdin.read().split()
    # A worker that is through says so: then there is no group any more, and may be another.
    if lines and lines[-1] != "done":
        end_group(int(lines[0]))


if __name__ == "__main__":
    main()
