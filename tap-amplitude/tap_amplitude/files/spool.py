"""The folder where downloads wait, gone when the run is over, however it ends."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import IO

from tap_amplitude.errors import FixConfiguration, no_room

_PREFIX = "tap-amplitude-"
_LOCK = "in-use"
_YOUNG_SECONDS = 60


class Spool:
    """A private folder for the downloads of one run.

    Args:
        parent: Where to make it; the system's temporary folder by default.

    Raises:
        TapError: It cannot be made.
    """

    def __init__(self, parent: Path | None = None) -> None:
        try:
            if parent is not None:
                parent.mkdir(parents=True, exist_ok=True)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            lock = (self.path / _LOCK).open("wb")
        except OSError as error:
            raise no_room(error, "the downloads") or FixConfiguration(
                f"No folder for downloads can be made in {parent or tempfile.gettempdir()} "
                f"({error.strerror}).",
                remedy="Set `spool_path` to a folder that can be written.",
            ) from error
        _lock(lock)
        # Not a `with`: an exception in the SDK's loop leaves the generator that would hold it
        # suspended. A finalizer runs at the end of the process, too.
        self._finalizer = weakref.finalize(self, _remove, self.path, lock)
        _sweep(self.path)

    def close(self) -> None:
        """Remove the folder and everything in it."""
        self._finalizer()


def _remove(path: Path, lock: IO[bytes]) -> None:
    lock.close()
    shutil.rmtree(path, ignore_errors=True)


def _lock(file: IO[bytes]) -> bool:
    """Hold a file as long as this process lives; the system lets go even after a kill."""
    if sys.platform == "win32":
        return False
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def lock_folder(path: Path, *, alone: bool = False) -> int | None:
    """Lock a folder as long as this process lives.

    Args:
        path: The folder.
        alone: Nobody else may hold it; otherwise others may hold it, too, but not alone.

    Returns:
        A descriptor that holds the lock until it is closed; None when another process is in the
        way.

    Raises:
        OSError: The folder is gone, or there are no such locks here.
    """
    if sys.platform == "win32":
        raise OSError(errno.ENOTSUP, "folders cannot be locked")
    import fcntl  # noqa: PLC0415 - not on Windows

    folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(folder, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        return None
    except OSError:
        os.close(folder)
        raise
    return folder


def _sweep(own: Path) -> None:
    """Remove what killed runs left behind: folders whose lock nobody holds."""
    for path in own.parent.glob(f"{_PREFIX}*"):
        try:
            # A folder of this minute may have been made, and its lock not yet be taken.
            if path == own or time.time() - path.stat().st_mtime < _YOUNG_SECONDS:
                continue
            with (path / _LOCK).open("r+b") as lock:
                dead = _lock(lock)
        except OSError:  # not ours to judge: no lock file, another user's, just removed
            continue
        if dead:
            shutil.rmtree(path, ignore_errors=True)
