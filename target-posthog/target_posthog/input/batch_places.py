"""Where the files of BATCH messages lie: on this machine, or where a driver of fsspec reaches."""

from __future__ import annotations

import io
import re
import stat
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import fsspec  # type: ignore[import-untyped]
from isal import igzip, igzip_lib

from target_posthog.common.file_locks import lock_folder
from target_posthog.common.remote_lines import keep_drivers_quiet
from target_posthog.errors import BrokenInput, FixConfiguration, RunAgain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

FIX_MANIFEST = "Fix the tap or take its `batch_config` out, and run again."
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure"}
#: Folders that tap-amplitude makes for the files of one run, and for nothing else.
_RUN_FOLDER = re.compile(r"(^|.*[^A-Za-z0-9])tap-amplitude-\d{8}T\d{6}-[0-9a-f]+")
_DAMAGE: tuple[type[Exception], ...] = (
    EOFError,
    zlib.error,
    igzip.BadGzipFile,
    cast("type[Exception]", igzip_lib.IsalError),
)


@dataclass(frozen=True)
class BatchPlace:
    """Where a batch file lies.

    Attributes:
        url: a path, or a URL that fsspec knows.
        source: what its tap calls it, when it says so.
    """

    url: str
    source: str = ""

    @property
    def name(self) -> str:
        """What to call the file in messages."""
        return self.source or unquote(self.url.rstrip("/").rpartition("/")[2])

    @property
    def is_of_a_run(self) -> bool:
        """Whether it lies in a folder that tap-amplitude made for the files of its run."""
        path = self._local_path()
        return _is_run_folder(self.url.split("/")[-2] if path is None else path.parent.name)

    @property
    def run_folder(self) -> Path | None:
        """That folder, if it is one of this machine."""
        path = self._local_path()
        return path.parent if path is not None and _is_run_folder(path.parent.name) else None

    def size(self) -> int:
        """Return the file's size in bytes; see `errors_in_words`."""
        path = self._local_path()
        if path is None:
            files, name = self._remote()
            return int(files.size(name))
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BrokenInput(
                f"The batch file {self.name} is not a file but a folder or a device.", FIX_MANIFEST
            )
        return status.st_size

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file as it is stored; see `errors_in_words`."""
        path = self._local_path()
        if path is not None:
            stored = cast("BinaryIO", path.open("rb"))
        else:
            files, name = self._remote()
            stored = cast("BinaryIO", files.open(name, "rb"))
        with stored:
            yield stored

    def remove(self) -> None:
        """Remove the file, and the folder of its run when nothing else is in it."""
        path = self._local_path()
        if path is None:
            with suppress(
                Exception
            ):  # what is left in a bucket harms nobody; its driver has errors of its own
                files, name = self._remote()
                files.rm(name)
            return
        with suppress(OSError):
            path.unlink(missing_ok=True)
            if self.run_folder is not None:
                path.parent.rmdir()

    def begins_with(self, head: bytes) -> bool:
        """Return True if these are the file's first bytes."""
        with self.opened() as file:
            return file.read(len(head)) == head

    @contextmanager
    def errors_in_words(self) -> Iterator[None]:
        """Raise what is wrong with the file in the user's words."""
        try:
            yield
        except FileNotFoundError as error:
            raise RunAgain(
                f"The batch file {self.name} is gone before it was delivered.",
                "Let no other run share the tap's `batch_config.storage.root`, and run again.",
            ) from error
        except ImportError as error:
            scheme = urlsplit(self.url).scheme
            raise FixConfiguration(
                f"The tap's batch files lie at {scheme}://, whose driver is not installed.",
                f"Add the extra `[{_EXTRAS.get(scheme, scheme)}]` to the target's `pip_url`.",
            ) from error
        except _DAMAGE as error:
            raise BrokenInput(
                f"The batch file {self.name} is cut off or damaged.",
                "Run again to have it anew; if it is a file of your own archive, copy that again.",
            ) from error
        except (OSError, io.UnsupportedOperation) as error:
            raise RunAgain(
                f"The batch file {self.name} cannot be read: "
                f"{error.strerror or type(error).__name__}.",
                "Fix the storage of the tap's `batch_config`, and run again.",
            ) from error

    def _local_path(self) -> Path | None:
        scheme, separator, path = self.url.partition("://")
        if not separator:
            return Path(self.url)
        if scheme not in {"file", "local"}:
            return None
        # Without a root it is `file://folder/…`, which the SDK's documents give as an example.
        return Path(unquote(urlsplit("file:" + path.removeprefix("localhost")).path))

    def _remote(self) -> tuple[Any, str]:
        keep_drivers_quiet()
        try:
            return cast("tuple[Any, str]", fsspec.core.url_to_fs(self.url.replace("%23", "#")))
        except (ValueError, TypeError) as error:  # nobody knows it, or it takes more to be read
            raise nowhere(self.url.partition("://")[0]) from error


def nowhere(scheme: str) -> FixConfiguration:
    """Return the error for a place that is not read from."""
    return FixConfiguration(
        f"The tap's batch files lie at {scheme}://, which the target cannot read.",
        "Set the tap's `batch_config.storage.root` to a folder or a bucket (s3://, gs://, az://).",
    )


def hold(folder: Path) -> int | None:
    """Keep other runs of the tap from sweeping a folder; return the lock to close."""
    with suppress(OSError):
        return lock_folder(folder)
    return None


def _is_run_folder(name: str) -> bool:
    return _RUN_FOLDER.fullmatch(name) is not None
