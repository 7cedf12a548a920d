"""Exported files in a bucket of Amazon S3, Google Cloud Storage or Azure, through fsspec.

Files are copied to the spool one hour at a time, verified there, read and deleted; an hour that
does not fit is read from the bucket twice instead, first to verify it. A .zip in a bucket is never
copied: of it, only the files of the hour are. Credentials come from where
the cloud's own tools find them, never from a setting.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import fsspec  # type: ignore[import-untyped]

from tap_amplitude.common.remote_lines import keep_drivers_quiet
from tap_amplitude.errors import FixConfiguration, RunAgain, TapError, no_room
from tap_amplitude.files.bucket_listing import any_pages, gcs_pages, list_exports, s3_pages
from tap_amplitude.files.clouds import (
    bucket_problems,
    cloud_of,
    failure_of,
    is_installed,
)
from tap_amplitude.files.stores import FileStore, Listed, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_amplitude.files.clouds import Cloud
    from tap_amplitude.files.member import Member
    from tap_amplitude.state.reach import Days

_BLOCK_BYTES = 8 * 1024 * 1024
#: The clouds that cut names at any delimiter; see `bucket_listing`.
_KINDS_OF_PAGES = {"s3": s3_pages, "gs": gcs_pages}


class BucketStore(Store):
    """The exported files below an address.

    Args:
        url: For example `s3://bucket/exports`: a folder, the beginning of names, or one file.
        days_of: The days of an app whose files are wanted.

    Raises:
        TapError: There is no such cloud, driver or bucket, or no permission.
    """

    is_remote = True

    def __init__(self, url: str, days_of: Callable[[str], Days]) -> None:
        cloud = cloud_of(url)
        if cloud is None or not is_installed(cloud):
            # The settings are checked before; this is for a driver that was taken away since.
            raise FixConfiguration(next(bucket_problems(url)), remedy="Then run it again.")
        keep_drivers_quiet()
        self.origin = url
        self._url = url.rstrip("/")
        self._cloud: Cloud = cloud
        self._days_of = days_of
        self._bucket, _, self._prefix = url.partition("://")[2].strip("/").partition("/")
        self._decoded: set[str] = set()
        self.is_empty = True
        with self._explained(self._url):
            self._fs: Any = fsspec.filesystem(
                cloud.scheme, skip_instance_cache=True, use_listings_cache=False
            )

    def files(self) -> Iterator[Listed]:
        """List the objects of the wanted days, and of no day.

        Raises:
            TapError: The bucket cannot be listed.
        """
        with self._explained(self._url):
            for item in self._listed():
                if item.is_decoded:
                    self._decoded.add(item.name)
                yield item

    def _listed(self) -> Iterator[Listed]:
        """A folder first; only when there is none, whatever begins with the same letters."""
        prefixes = [f"{self._prefix}/", self._prefix] if self._prefix else [""]
        for prefix in prefixes:
            # Asked for on its own: a bucket of old files only is not a wrong address.
            self.is_empty = next(self._pages(prefix, "/"), None) is None
            if not self.is_empty:
                # An object named like a folder is how consoles show an empty folder.
                for item in list_exports(self._pages, prefix, self._days_of):
                    if not item.name.endswith("/"):
                        yield item
                return

    def _pages(self, prefix: str, delimiter: str) -> Iterator[Listed | str]:
        pages = _KINDS_OF_PAGES.get(self._cloud.scheme, any_pages)
        return pages(self._fs, self._bucket, prefix, delimiter)

    @property
    def skips_days(self) -> bool:
        """Whether objects of days that are not wanted are not listed; other clouds list all."""
        return self._cloud.scheme in _KINDS_OF_PAGES

    def open(self, name: str) -> BinaryIO:
        """Open an object; it is streamed, and a change of it is noticed."""
        if name in self._decoded:
            # It has no ranges, as nobody knows where in it a byte of the unpacked object lies.
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "object")
                self._get(name, path)
                return path.open("rb")
        place = self._place(name)
        with self._explained(place, listed=True):
            stream = self._fs.open(
                f"{self._bucket}/{name}", "rb", block_size=_BLOCK_BYTES, cache_type="readahead"
            )
        return cast("BinaryIO", io.BufferedReader(_Explained(self, place, stream), _BLOCK_BYTES))

    def download(self, name: str, size: int, path: Path) -> None:
        """Copy an object to the disk.

        Raises:
            TapError: It is gone, changed, cannot be read, or there is no room.
        """
        self._get(name, path)
        arrived = path.stat().st_size
        if arrived != size and name not in self._decoded:
            raise RunAgain(
                f"{self._place(name)} had {size:,} bytes when the bucket was listed, and "
                f"{arrived:,} arrived.",
                remedy="Run the same command again.",
            )

    def _get(self, name: str, path: Path) -> None:
        # Parts of it cannot be asked for side by side; see `open`.
        is_whole = name in self._decoded and self._cloud.scheme == "gs"
        how = {"concurrency": 1} if is_whole else {}
        with self._explained(self._place(name), listed=True):
            self._fs.get_file(f"{self._bucket}/{name}", str(path), **how)

    def _place(self, name: str) -> str:
        return f"{self._cloud.scheme}://{self._bucket}/{name}"

    @contextmanager
    def _explained(self, place: str, *, listed: bool = False) -> Iterator[None]:
        """Raise a driver's failure in words."""
        try:
            yield
        except TapError:
            raise
        except Exception as error:
            raise failure_of(error, self._cloud, place, listed=listed) from error


@contextmanager
def localised(members: Sequence[Member], spool: Path, max_bytes: int) -> Iterator[Sequence[Member]]:
    """Copy the files of an hour to the disk, and delete the copies at the end.

    More than `max_bytes` is not copied: the files are then read from the bucket.

    Yields:
        The same files, to be read from where they are now.

    Raises:
        TapError: A file is gone, cannot be read, or there is no room.
    """
    if sum(member.packed_bytes for member in members) > max_bytes:
        yield members
        return
    copies = [_Copy(spool / f"object-{n}", member.store) for n, member in enumerate(members)]
    try:
        room = max_bytes
        for member, copy in zip(members, copies, strict=True):
            copy.fill(member)
            room -= copy.path.stat().st_size
            if room < 0:  # an object that arrives unpacked has more bytes than its list says
                raise FixConfiguration(
                    f"The files of one hour of {copy.origin} do not fit into the spool of "
                    f"{max_bytes / 1024**3:g} GB.",
                    remedy="Raise `max_spool_gb`.",
                )
        yield [
            replace(member, store=copy, packed_bytes=copy.path.stat().st_size)
            for member, copy in zip(members, copies, strict=True)
        ]
    finally:
        for copy in copies:
            copy.path.unlink(missing_ok=True)


class _Copy(FileStore):
    """A file of a bucket that is copied to the disk."""

    def __init__(self, path: Path, store: Store) -> None:
        super().__init__(path)
        self.path = path
        self.origin = store.origin
        self.prefix = store.prefix

    def fill(self, member: Member) -> None:
        if isinstance(member.store, BucketStore):
            member.store.download(member.name, member.packed_bytes, self.path)
            return
        try:
            with self.path.open("wb") as file:
                for block in member.blocks():
                    file.write(block)
        except OSError as error:
            raise no_room(error, "the download") or error from error


class _Explained(io.RawIOBase):
    """A stream of an object whose failures are raised in words."""

    def __init__(self, store: BucketStore, place: str, stream: BinaryIO) -> None:
        self._store = store
        self._place = place
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        with self._store._explained(self._place, listed=True):  # noqa: SLF001 - its own part
            block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()
