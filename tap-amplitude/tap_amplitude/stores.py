"""Where exported files lie: in a .zip or in a folder. A store lists files and opens them."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Listed:
    """A file or an object, as its store lists it.

    Attributes:
        name: Its whole name below the store.
        size: In bytes, as it is stored.
        modified: When it came to lie there; None when the store does not tell. The time of an
            entry of a .zip does not: it is that of the file before it was packed.
    """

    name: str
    size: int
    modified: datetime | None = None


class Store(Protocol):
    """Where exported files lie.

    Attributes:
        has_checksums: Reading a file to its end as it is stored compares a checksum of it.
    """

    has_checksums: bool

    def files(self) -> Iterable[Listed]:
        """List all files."""

    def open(self, name: str) -> BinaryIO:
        """Open a file as it is stored."""

    def local_path(self, name: str) -> Path | None:
        """Where a file lies on this machine; None when it is no file of its own there."""

    def close(self) -> None:
        """Let go of the files."""


class ZipStore:
    """The files in a .zip; raises what `zipfile` raises.

    Args:
        path: The .zip file.
    """

    has_checksums = True

    def __init__(self, path: Path) -> None:
        # Left open on purpose: members are read as long as the archive is used.
        self._zip = zipfile.ZipFile(path)

    def files(self) -> Iterator[Listed]:
        """Give the members, without the folders among them."""
        for info in self._zip.infolist():
            if not info.is_dir():
                yield Listed(info.filename, info.compress_size)

    def open(self, name: str) -> BinaryIO:
        """Open a member; its checksum is compared when it was read to its end."""
        return cast("BinaryIO", self._zip.open(name))

    def local_path(self, name: str) -> None:
        """Give None: a member is no file of its own."""

    def close(self) -> None:
        """Close the .zip."""
        self._zip.close()


class FolderStore:
    """The files in a folder and below; raises `OSError`.

    Args:
        path: The folder.
    """

    has_checksums = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def files(self) -> Iterator[Listed]:
        """Give all files in depth; a folder that cannot be read is no empty folder."""
        for folder, _, names in os.walk(self._path, onerror=_raise):
            for name in names:
                file = Path(folder, name)
                found = file.stat()
                modified = datetime.fromtimestamp(found.st_mtime, timezone.utc)
                yield Listed(str(file.relative_to(self._path)), found.st_size, modified)

    def open(self, name: str) -> BinaryIO:
        """Open a file."""
        return Path(self._path, name).open("rb")

    def local_path(self, name: str) -> Path:
        """Where the file lies."""
        return Path(self._path, name)

    def close(self) -> None:
        """Do nothing: the files are opened one by one."""


def _raise(error: OSError) -> None:
    raise error
