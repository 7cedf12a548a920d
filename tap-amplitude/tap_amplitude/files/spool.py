"""The folder where downloads wait, gone when the run is over, however it ends."""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

from tap_amplitude.common.file_locks import try_lock
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
        with suppress(OSError):  # no locks here: nobody sweeps it
            try_lock(lock.fileno(), alone=True)
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


def _sweep(own: Path) -> None:
    """Remove what killed runs left behind: folders whose lock nobody holds."""
    for path in own.parent.glob(f"{_PREFIX}*"):
        try:
            # A folder of this minute may have been made, and its lock not yet be taken.
            if path == own or time.time() - path.stat().st_mtime < _YOUNG_SECONDS:
                continue
            with (path / _LOCK).open("r+b") as lock:
                dead = try_lock(lock.fileno(), alone=True)
        except OSError:  # not ours to judge: no lock file, another user's, just removed
            continue
        if dead:
            shutil.rmtree(path, ignore_errors=True)
