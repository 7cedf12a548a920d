"""Files of Singer BATCH messages: opened wherever they lie, read in blocks of lines, removed.

The Meltano SDK lets no one remove them (github.com/meltano/sdk/issues/3064); the target does, once
every event of a file is accepted or in the rejects.
"""

from __future__ import annotations

import io
import os
import re
import sys
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import fsspec  # type: ignore[import-untyped]
from isal import igzip, igzip_lib

from target_posthog.codec import TooDeep, loads
from target_posthog.errors import BrokenInput, FixConfiguration, RunAgain
from target_posthog.lines import Lines

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

#: A longer line is no record. Amplitude takes events of at most 1 MB.
MAX_LINE_BYTES = 64 * 1024 * 1024
#: What is unpacked at a time: small, so that it stays in the processor's cache.
_BLOCK_BYTES = 256 * 1024
#: Folders that tap-amplitude makes for the files of one run, and for nothing else.
_RUN_FOLDER = re.compile(r"(^|.*[^A-Za-z0-9])tap-amplitude-\d{8}T\d{6}-[0-9a-f]+")

_DAMAGE: tuple[type[Exception], ...] = (
    EOFError,
    zlib.error,
    igzip.BadGzipFile,
    cast("type[Exception]", igzip_lib.IsalError),
)


@dataclass(frozen=True)
class BatchFile:
    """One file of a manifest.

    Attributes:
        url: where it lies; a path or a URL that fsspec knows.
        is_gzip: whether it is compressed.
    """

    url: str
    is_gzip: bool

    @property
    def name(self) -> str:
        """The last part of its URL, for messages."""
        return unquote(self.url.rstrip("/").rpartition("/")[2])

    def unreadable(self, number: int, line: bytes, why: str) -> tuple[bytes, str]:
        """Return what the rejects hold of a line that is no record, and the reason in words."""
        return line.removesuffix(b"\n")[:MAX_LINE_BYTES], f"{self.name}, line {number}: {why}"

    def size(self) -> int:
        """Return its size in bytes.

        Raises:
            TargetPosthogError: it is not there.
        """
        with _told(self):
            path = self._local_path()
            if path is not None:
                return path.stat().st_size
            files, name = self._remote()
            return int(files.size(name))

    def blocks(self) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the file's lines, many at a time, in constant memory.

        Yields:
            The number of the first line, from 1, and the lines with their ends. Of a line that is
            longer than `MAX_LINE_BYTES` only the beginning may come, but more bytes than that.

        Raises:
            TargetPosthogError: the file is gone, cut off, or damaged.
        """
        with _told(self), self._opened() as stream:
            lines, number = Lines(MAX_LINE_BYTES), 1
            while block := stream.read(_BLOCK_BYTES):
                whole = lines.feed(block)
                yield number, whole
                number += len(whole)
            yield number, lines.end()

    def remove(self) -> None:
        """Remove the file; and the folder of its run when nothing else is in it."""
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

    @property
    def run_folder(self) -> Path | None:
        """The folder that tap-amplitude made for the files of its run, when it lies in one."""
        path = self._local_path()
        if path is None or not _RUN_FOLDER.fullmatch(path.parent.name):
            return None
        return path.parent

    def _local_path(self) -> Path | None:
        if "://" not in self.url:
            return Path(self.url)
        parts = urlsplit(self.url)
        if parts.scheme not in {"file", "local"}:
            return None
        return Path(unquote(parts.path))

    def _remote(self) -> tuple[Any, str]:
        return cast("tuple[Any, str]", fsspec.core.url_to_fs(self.url.replace("%23", "#")))

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        path = self._local_path()
        if path is not None:
            packed = cast("BinaryIO", path.open("rb"))
        else:
            files, name = self._remote()
            packed = cast("BinaryIO", files.open(name, "rb"))
        with packed:
            if self.is_gzip:
                # No buffer around it: blocks are read, not lines.
                yield cast("BinaryIO", igzip.IGzipFile(fileobj=packed, mode="rb"))  # type: ignore[no-untyped-call]
            else:
                yield packed


def files_of(message: Mapping[str, Any]) -> list[BatchFile]:
    """Return the files of a BATCH message.

    Raises:
        FixConfiguration: they have a format that is not read.
        BrokenInput: the message is not a sound one.
    """
    encoding, manifest = message.get("encoding"), message.get("manifest")
    if not isinstance(encoding, dict) or not isinstance(manifest, list):
        raise BrokenInput(
            "The tap sent a BATCH message without a sound part.",
            "Mend the tap or take its batch_config out, and run again.",
        )
    form, compression = encoding.get("format"), encoding.get("compression")
    if form != "jsonl" or compression not in {"gzip", "none", None}:
        raise FixConfiguration(
            f"The tap's batch files are {form}, compressed by {compression}.",
            "Set the tap's batch_config.encoding to the format jsonl, with gzip.",
        )
    return [BatchFile(str(url), is_gzip=compression == "gzip") for url in manifest]


def hold(folder: Path) -> int | None:
    """Keep other runs of the tap from sweeping a folder; return the lock to close."""
    if sys.platform == "win32":
        return None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return descriptor
    return None


def record_of(line: bytes) -> dict[str, Any] | str | None:
    """Return the record of a line, or why it is none; None for a blank line."""
    try:
        record = loads(line)
    except TooDeep:
        return "it nests too deep"
    except ValueError:
        if not line.strip():
            return None
        is_cut = len(line.removesuffix(b"\n")) > MAX_LINE_BYTES
        return "it is too long" if is_cut else "it is not JSON"
    return record if isinstance(record, dict) else "it is not a JSON object"


@contextmanager
def _told(file: BatchFile) -> Iterator[None]:
    """Say what is wrong with a file in the user's words."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunAgain(
            f"The batch file {file.name} is gone before it was read.",
            "Let no other run share the tap's batch_config.storage.root, and run again.",
        ) from error
    except ImportError as error:
        scheme = urlsplit(file.url).scheme
        raise FixConfiguration(
            f"The tap's batch files lie at {scheme}://, whose driver is not installed.",
            f"Add it to the target's pip_url: the extra [{_EXTRAS.get(scheme, scheme)}].",
        ) from error
    except _DAMAGE as error:
        raise BrokenInput(
            f"The batch file {file.name} is cut off or damaged.", "Run again to have it anew."
        ) from error
    except (OSError, io.UnsupportedOperation) as error:
        raise RunAgain(
            f"The batch file {file.name} cannot be read: {error.strerror or type(error).__name__}.",
            "Mend the storage of the tap's batch_config, and run again.",
        ) from error


_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure"}
