"""The folder of one run in the storage of BATCH files, and what dead runs left beside it.

On a disk, a shared lock on its folder says that a run still needs it: the tap holds one as long
as it writes, and a target should as long as it reads, as `target-posthog` does. A bucket has no
locks; there a marker tells, which a run that lasts writes again and again, or else the age.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from tap_amplitude.common.file_locks import lock_folder
from tap_amplitude.common.remote_lines import keep_drivers_quiet
from tap_amplitude.errors import FixConfiguration, RunAgain, TapError, no_room
from tap_amplitude.files.clouds import is_mistake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_sdk.helpers._batch import StorageTarget

#: Keeps a target that tidies up from removing the folder of a run that goes on.
_RUNNING = ".running"
_STARTED = re.compile(r"tap-amplitude-(?P<started>\d{8}T\d{6})-[0-9a-f]{8}")
#: A target may not yet have read the first message of a tap that has already ended.
_YOUNG_SECONDS = 5.0
#: Where nothing else tells whether a run is alive: so long after it was made, or marked.
_DEAD_AFTER = timedelta(days=7)
_MARK_EVERY = timedelta(days=1)


class RunFolder:
    """The files of one run in a bucket, or whatever fsspec writes to."""

    def __init__(self, files: Any, base: str, prefix: str) -> None:
        self._files = files
        now = _now()
        started = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self._path = f"{base.rstrip('/')}/{prefix}tap-amplitude-{started}"
        #: What precedes the name of a folder of such a run, in the same parent.
        self._before = prefix.rpartition("/")[2]
        self._marked = now

    def url(self, name: str) -> str:
        """Return the address of a file, as the Singer SDK reads it: nothing in it is escaped."""
        return str(self._files.unstrip_protocol(f"{self._path}/{name}"))

    def link(self, source: Path | None, name: str) -> bool:  # noqa: ARG002
        """Give a file of this machine a second name, which is free; return True if it worked."""
        return False

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a file; when that fails, there is none. Errors of the blocks are passed on.

        Raises:
            TapError: It cannot be written.
        """
        self.mark()
        path = f"{self._path}/{name}"
        content = iter(blocks)
        try:
            with _explained(), self._files.open(path, "wb") as file:
                while block := next(content, b""):
                    file.write(block)
        except BaseException:
            with suppress(Exception):
                self._files.rm_file(path)
            raise

    def mark(self) -> None:
        """Write now and then that the run is alive, for those who sweep."""
        if (now := _now()) - self._marked < _MARK_EVERY:
            return
        with _explained():
            self._files.pipe_file(f"{self._path}/{_RUNNING}", f"{now:%Y%m%dT%H%M%S}".encode())
        self._marked = now

    def names(self) -> set[str]:
        """Return the files that are not taken yet."""
        self.mark()
        with _explained():
            self._files.invalidate_cache()
            try:
                paths = self._files.ls(self._path, detail=False)
            except FileNotFoundError:
                return set()
            return {path.rstrip("/").rpartition("/")[2] for path in paths} - {_RUNNING}

    def sweep(self) -> float:
        """Remove the folders of dead runs; return in how many seconds the rest can be judged."""
        with _explained():
            self._files.invalidate_cache()
            base = self._path.rpartition("/")[0]
            try:
                paths = self._files.ls(base, detail=False)
            except FileNotFoundError:
                return 0
            found = [path.rstrip("/") for path in paths]
            ours = [path for path in found if self._started(path)]
            return max((self._sweep(path) for path in ours if path != self._path), default=0)

    def close(self) -> None:
        """Let go of the folder. What lies there is the target's."""

    def _sweep(self, path: str) -> float:
        if self._is_old(path):
            self._files.rm(path, recursive=True)
        return 0

    def _started(self, path: str) -> re.Match[str] | None:
        """Read the whole name of a folder; None for one that no run of the tap has made."""
        return _STARTED.fullmatch(path.rpartition("/")[2].removeprefix(self._before))

    def _is_old(self, path: str) -> bool:
        match = self._started(path)
        if match is None or (started := _moment(match["started"])) is None:
            return False
        try:
            marked = _moment(self._files.cat_file(f"{path}/{_RUNNING}").decode("ascii", "replace"))
        except FileNotFoundError:
            marked = None
        return _now() - max(started, marked or started) > _DEAD_AFTER


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(f"{text}Z", "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None


def _now() -> datetime:
    return datetime.now(timezone.utc)


class LocalRunFolder(RunFolder):
    """The files of one run on a disk.

    Args:
        base: The root, absolute.
    """

    def __init__(self, files: Any, base: str, prefix: str) -> None:
        super().__init__(files, base, prefix)
        path = Path(self._path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
        (path / _RUNNING).touch()
        self._lock: int | None = None
        with suppress(OSError):  # no locks here: age will tell
            self._lock = lock_folder(path)

    def url(self, name: str) -> str:
        """Return the address of a file; only what would end the path of a URL is escaped."""
        path = f"{self._path}/{name}"
        for letter, escaped in (("%", "%25"), ("#", "%23"), ("?", "%3F")):
            path = path.replace(letter, escaped)
        return str(self._files.unstrip_protocol(path))

    def link(self, source: Path | None, name: str) -> bool:
        """Give a file of this machine a second name; return True if that worked."""
        if source is None:
            return False
        try:
            # Not of a symbolic link: that may lead elsewhere from here.
            os.link(source.resolve(), Path(self._path, name))
        except OSError:
            return False  # another disk, or one without links
        return True

    def close(self) -> None:
        """Let go of the folder. What lies there is the target's; the last one out removes it."""
        path = Path(self._path)
        with suppress(OSError):
            (path / _RUNNING).unlink()
        with suppress(OSError):  # the target still needs its files
            path.rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _sweep(self, path: str) -> float:
        folder = Path(path)
        try:
            age = time.time() - folder.stat().st_mtime
            if 0 <= age < _YOUNG_SECONDS:
                return _YOUNG_SECONDS - age
            lock = lock_folder(folder, alone=True)
        except OSError:
            return super()._sweep(path) if folder.is_dir() else 0
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
        return 0


def open_run_folder(storage: StorageTarget) -> RunFolder:
    """Return the folder of a run in `batch_config.storage`, made and empty.

    Raises:
        TapError: It cannot be made.
    """
    keep_drivers_quiet()
    with _explained(opening=True):
        files, base = fsspec.core.url_to_fs(storage.root, **storage.params)
        kind = LocalRunFolder if isinstance(files, LocalFileSystem) else RunFolder
        return kind(files, base, storage.prefix or "")


@contextmanager
def _explained(*, opening: bool = False) -> Iterator[None]:
    """Raise a driver's failure in words; the drivers' errors have no common class."""
    try:
        yield
    except TapError:
        raise
    except Exception as error:
        raise _failure(error, opening=opening) from error


def _failure(error: Exception, *, opening: bool) -> TapError:
    if isinstance(error, OSError) and (
        full := no_room(error, "the batch files", setting="batch_config.storage.root")
    ):
        return full
    reason = str(error) or type(error).__name__
    if opening or is_mistake(error):
        return FixConfiguration(
            f"The storage of `batch_config` cannot be used ({reason}).",
            remedy="Set `batch_config.storage.root` to a folder that can be written, or to the "
            "address of a bucket whose driver is installed; or take `batch_config` out.",
        )
    return RunAgain(
        f"The storage of `batch_config` failed ({reason}).",
        remedy="Run the same command again.",
    )
