"""Where exported files lie: in a folder, or one by itself. A store lists files and opens them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

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
        is_file: False for what cannot be opened, such as a pipe.
        is_decoded: Its bytes arrive unpacked, and so are not `size`: an object with the
            `Content-Encoding` gzip.
    """

    name: str
    size: int
    modified: datetime | None = None
    is_file: bool = True
    is_decoded: bool = False


class Store:
    """Where exported files lie.

    Attributes:
        origin: What to call it in messages: the address that the user gave.
        prefix: What goes before a name in messages: the .zip in which the files lie.
        has_checksums: Reading a file to its end as it is stored compares a checksum of it.
        is_remote: Its files are not on this machine.
    """

    origin: str
    prefix: str = ""
    has_checksums: bool = False
    is_remote: bool = False

    def files(self) -> Iterable[Listed]:
        """List all files."""
        raise NotImplementedError

    def open(self, name: str) -> BinaryIO:
        """Open a file as it is stored."""
        raise NotImplementedError

    def local_path(self, name: str) -> Path | None:  # noqa: ARG002
        """Return where a file lies on this machine; None when it is no file of its own there."""
        return None

    def close(self) -> None:
        """Let go of what is open beside the files themselves."""


class FolderStore(Store):
    """The files in a folder and below; raises `OSError`."""

    def __init__(self, path: Path) -> None:
        self.origin = str(path)
        self._path = path

    def files(self) -> Iterator[Listed]:
        """List all files in depth; a folder that cannot be read is no empty folder.

        Links are followed. A folder that several names lead to is listed once, so that links
        cannot lead in a circle.
        """
        seen: set[tuple[int, int]] = set()
        for folder, below, names in os.walk(self._path, onerror=_raise, followlinks=True):
            found = Path(folder).stat()
            if (found.st_dev, found.st_ino) in seen and found.st_ino:
                below.clear()
                continue
            seen.add((found.st_dev, found.st_ino))
            # A folder before the links to it, so that its files have the shorter names.
            below.sort(key=lambda name: (Path(folder, name).is_symlink(), name))
            below_here = folder[len(str(self._path)) :].lstrip(os.sep)
            for name in sorted(names):
                # As text: paths as objects would be half of the work of a large folder.
                yield self._listed(os.path.join(below_here, name))  # noqa: PTH118

    def open(self, name: str) -> BinaryIO:
        """Open a file."""
        return Path(self._path, name).open("rb")

    def local_path(self, name: str) -> Path:
        """Return where the file lies."""
        return Path(self._path, name)

    def _listed(self, name: str) -> Listed:
        try:
            found = os.stat(os.path.join(self._path, name))  # noqa: PTH116, PTH118
        except FileNotFoundError:
            # A link that leads nowhere. If an export file is meant, reading it will tell.
            return Listed(name, 0)
        modified = datetime.fromtimestamp(found.st_mtime, timezone.utc)
        return Listed(name, found.st_size, modified, is_file=stat.S_ISREG(found.st_mode))


class FileStore(FolderStore):
    """One file of a folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self.origin = str(path)
        self._file = path

    def files(self) -> Iterator[Listed]:
        """List the file."""
        yield self._listed(self._file.name)

    def open(self, name: str) -> BinaryIO:  # noqa: ARG002 - there is only one
        """Open the file."""
        return self._file.open("rb")

    def local_path(self, name: str) -> Path:  # noqa: ARG002
        """Return where the file lies."""
        return self._file


def _raise(error: OSError) -> None:
    raise error
