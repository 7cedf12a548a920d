"""Locks of files and folders, held until the descriptor is closed, even by a kill."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path


def try_lock(descriptor: int, *, alone: bool) -> bool:
    """Lock an open file or folder; return False when another process is in the way.

    With `alone` nobody else may hold it; otherwise others may hold it, too, but not alone.

    Raises:
        OSError: There are no such locks here.
    """
    if sys.platform == "win32":
        raise OSError(errno.ENOTSUP, "files cannot be locked")
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_folder(path: Path, *, alone: bool = False) -> int | None:
    """Return a descriptor that locks a folder; None when another process is in the way.

    Raises:
        OSError: The folder is gone, or there are no such locks here.
    """
    folder = os.open(path, os.O_RDONLY)
    is_ours = False
    try:
        is_ours = try_lock(folder, alone=alone)
    finally:
        if not is_ours:
            os.close(folder)
    return folder if is_ours else None
