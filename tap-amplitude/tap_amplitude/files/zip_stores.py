"""The files in a .zip, wherever the .zip itself lies: on the disk, in a bucket or in another .zip.

Years of daily .zip files are more than a process may have open, and their directories more than it
should keep. So a few are open at a time. One that lies in another .zip is copied to the disk as
long as it is open: reading it in place would unpack all that is before each of its files.
"""

from __future__ import annotations

import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from tap_amplitude.errors import FixConfiguration, HostileArchive, no_room
from tap_amplitude.files.member import MAX_RATIO, RATIO_FREE_BYTES
from tap_amplitude.files.spool import Spool
from tap_amplitude.files.stores import Listed, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

#: A .zip of daily .zip files of a .zip for each hour is the deepest that anybody has a reason for.
_DEEPEST = 4
_MOST_OPEN = 8
_BLOCK_BYTES = 1024 * 1024


class ZipStore(Store):
    """The files in a .zip; raises what `zipfile` raises.

    Args:
        is_whole: It is all that the user gave, not one file of a folder, a bucket or a .zip.

    Raises:
        HostileArchive: It lies in too many others.
    """

    has_checksums = True

    def __init__(
        self,
        parent: Store,
        name: str,
        packed_bytes: int,
        zips: OpenZips,
        *,
        is_whole: bool = False,
        modified: datetime | None = None,
    ) -> None:
        self.parent = parent
        self.name = name
        self.packed_bytes = packed_bytes
        self.origin = parent.origin
        self.prefix = "" if is_whole else f"{parent.prefix}{name}/"
        outer = parent.depth if isinstance(parent, ZipStore) else 0
        self.is_remote = parent.is_remote and not isinstance(parent, ZipStore)
        self.depth: int = 0 if is_whole else outer + 1
        if self.depth > _DEEPEST:
            raise HostileArchive(
                f"The .zip {parent.prefix + name!r} of {parent.origin} lies in more than "
                f"{_DEEPEST} others.",
                remedy="Unpack the outer ones yourself if you trust them.",
            )
        self._modified = modified
        self._zips = zips
        self._repeated: dict[str, int] = {}

    def files(self) -> Iterator[Listed]:
        """List the entries, without the folders among them.

        A name that comes again is numbered as a browser does it, so that each entry has its own.
        """
        seen: dict[str, int] = {}
        for index, info in enumerate(self._zips.open(self).infolist()):
            if info.is_dir():
                continue
            name, number = info.filename, 1
            while name in seen:
                self._repeated.setdefault(info.filename, seen[info.filename])
                number += 1
                name = f"{info.filename} ({number})"
                self._repeated[name] = index
            seen[name] = index
            yield Listed(name, info.compress_size, self._modified)

    def open(self, name: str) -> BinaryIO:
        """Open an entry; its checksum is compared when it was read to its end."""
        archive = self._zips.open(self)
        index = self._repeated.get(name)
        return cast("BinaryIO", archive.open(name if index is None else archive.infolist()[index]))

    def close(self) -> None:
        """Close all .zip files."""
        self._zips.close()


@dataclass(slots=True)
class _Open:
    archive: zipfile.ZipFile
    copy: Path | None = None
    copied_bytes: int = 0


class OpenZips:
    """Opens .zip files, a few at a time.

    Args:
        spool_path: Where a folder for copies is made when the first one is needed.
        max_bytes: What the copies may have on the disk, unpacked as they are.
    """

    def __init__(self, spool_path: Path | None = None, max_bytes: int = 4 * 1024**3) -> None:
        self._spool_path = spool_path
        self._spool: Spool | None = None
        self._max_bytes = max_bytes
        self._open: OrderedDict[ZipStore, _Open] = OrderedDict()
        self._copies = 0

    def open(self, store: ZipStore) -> zipfile.ZipFile:
        """Open a .zip, or return it when it is open.

        Raises:
            TapError: It lies in another .zip, and its copy has no room or looks like a bomb.
        """
        if store in self._open:
            self._open.move_to_end(store)
            return self._open[store].archive
        while len(self._open) >= _MOST_OPEN:
            self._close_oldest()
        opened = self._opened(store)
        self._open[store] = opened
        return opened.archive

    def close(self) -> None:
        """Close all of them, and remove the copies; what is opened again is copied again."""
        while self._open:
            self._close_oldest()
        if self._spool:
            self._spool.close()
            self._spool = None

    def _opened(self, store: ZipStore) -> _Open:
        parent = store.parent
        if (path := parent.local_path(store.name)) is not None:
            return _Open(zipfile.ZipFile(path))
        if store.is_remote:
            # Closed when nothing reads it any more: an entry may outlive its place among the few.
            return _Open(zipfile.ZipFile(parent.open(store.name)))
        self._copies += 1
        self._spool = self._spool or Spool(self._spool_path)
        copy = self._spool.path / f"zip-{self._copies}"
        try:
            size = self._copy(store, copy)
            return _Open(zipfile.ZipFile(copy), copy, size)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise

    def _copy(self, store: ZipStore, path: Path) -> int:
        most = max(RATIO_FREE_BYTES, store.packed_bytes * MAX_RATIO)
        place, size = f"{store.parent.prefix}{store.name}", 0
        with store.parent.open(store.name) as packed, path.open("wb") as file:
            while block := packed.read(_BLOCK_BYTES):
                size += len(block)
                if size > most:
                    raise HostileArchive(
                        f"The .zip {place!r} of {store.origin} has {store.packed_bytes:,} bytes "
                        f"and unpacks to more than {MAX_RATIO} times as many.",
                        remedy="Export it again, or unpack it yourself if you trust it.",
                    )
                while self._copied_bytes + size > self._max_bytes:
                    if not self._copied_bytes:
                        raise FixConfiguration(
                            f"The .zip {place!r} of {store.origin} does not fit into the spool of "
                            f"{self._max_bytes / 1024**3:g} GB.",
                            remedy="Raise `max_spool_gb`, or unpack the outer .zip yourself.",
                        )
                    self._close_oldest()
                try:
                    file.write(block)
                except OSError as error:
                    raise no_room(error, "a .zip in a .zip") or error from error
        return size

    @property
    def _copied_bytes(self) -> int:
        return sum(opened.copied_bytes for opened in self._open.values())

    def _close_oldest(self) -> None:
        _, oldest = self._open.popitem(last=False)
        oldest.archive.close()
        if oldest.copy is not None:
            oldest.copy.unlink(missing_ok=True)
