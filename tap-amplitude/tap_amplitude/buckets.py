"""Exported files in a bucket of Amazon S3, Google Cloud Storage or Azure, through fsspec.

Files are copied to the spool one hour at a time, verified there, read and deleted; an hour that
does not fit is read from the bucket twice instead, first to verify it. Credentials come from where
the cloud's own tools find them, never from a setting.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import fsspec  # type: ignore[import-untyped]

from tap_amplitude.bucket_listing import Days, any_pages, gcs_pages, list_exports, s3_pages
from tap_amplitude.clouds import (
    bucket_problems,
    cloud_of,
    failure_of,
    is_installed,
)
from tap_amplitude.errors import FixConfiguration, RunAgain, TapError
from tap_amplitude.remote_lines import keep_drivers_quiet
from tap_amplitude.stores import Listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tap_amplitude.bucket_listing import Pages
    from tap_amplitude.clouds import Cloud
    from tap_amplitude.members import Member

_BLOCK_BYTES = 8 * 1024 * 1024

#: An object that is younger may have brothers that are still on their way.
_SETTLED_AFTER = timedelta(minutes=30)


class BucketStore:
    """The exported files below an address.

    Args:
        url: For example `s3://bucket/exports`: a folder, the beginning of names, or one file.
        days: The days whose files are wanted.

    Raises:
        TapError: There is no such cloud, driver or bucket, or no permission.
    """

    has_checksums = False

    def __init__(self, url: str, days: Days = Days()) -> None:  # noqa: B008 - immutable
        cloud = cloud_of(url)
        if cloud is None or not is_installed(cloud):
            # The settings are checked before; this is for a driver that was taken away since.
            raise FixConfiguration(next(bucket_problems(url)), remedy="Then run it again.")
        keep_drivers_quiet()
        self._url = url.rstrip("/")
        self._cloud: Cloud = cloud
        self._days = days
        self._bucket, _, self._prefix = url.partition("://")[2].strip("/").partition("/")
        #: Names of files that were written a short while ago.
        self.fresh: set[str] = set()
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
        young = datetime.now(timezone.utc) - _SETTLED_AFTER
        with self._explained(self._url):
            for item in self._listed():
                if item.modified and item.modified > young:
                    self.fresh.add(item.name)
                yield item

    def _listed(self) -> Iterator[Listed]:
        """A folder first; only when there is none, whatever begins with the same letters."""
        prefixes = [f"{self._prefix}/", self._prefix] if self._prefix else [""]
        for prefix in prefixes:
            for found in self._pages()(prefix, "/"):
                # Asked for on its own: a bucket of old files only is not a wrong address.
                self.is_empty = False
                del found
                break
            if not self.is_empty:
                # An object named like a folder is how consoles show an empty folder.
                for item in list_exports(self._pages(), prefix, self._days):
                    if not item.name.endswith("/"):
                        yield item
                return

    def _pages(self) -> Pages:
        kinds = {"s3": s3_pages, "gs": gcs_pages}
        return kinds.get(self._cloud.scheme, any_pages)(self._fs, self._bucket)

    def open(self, name: str) -> BinaryIO:
        """Open an object; it is streamed, and a change of it is noticed."""
        place = self._place(name)
        with self._explained(place, listed=True):
            stream = self._fs.open(
                f"{self._bucket}/{name}", "rb", block_size=_BLOCK_BYTES, cache_type="readahead"
            )
        return cast("BinaryIO", io.BufferedReader(_Explained(self, place, stream), _BLOCK_BYTES))

    def local_path(self, name: str) -> None:
        """Give None: an object is not on this machine."""

    def close(self) -> None:
        """Do nothing: objects are opened one by one."""

    @contextmanager
    def at_hand(
        self, members: Sequence[Member], spool: Path, max_bytes: int
    ) -> Iterator[Sequence[Member]]:
        """Copy the files of an hour to the disk, and delete the copies at the end.

        Args:
            members: The files of the hour.
            spool: An existing folder.
            max_bytes: More is not copied: the files are then read from the bucket.

        Yields:
            The same files, to be read from where they are now.

        Raises:
            TapError: A file is gone, cannot be read, or there is no room.
        """
        if sum(member.packed_bytes for member in members) > max_bytes:
            yield members
            return
        copies = _Copies()
        try:
            for number, member in enumerate(members):
                copies.paths[member.name] = spool / f"object-{number}"
                self._download(member, copies.paths[member.name])
            yield [replace(member, store=copies) for member in members]
        finally:
            for path in copies.paths.values():
                path.unlink(missing_ok=True)

    def _download(self, member: Member, path: Path) -> None:
        place = self._place(member.name)
        with self._explained(place, listed=True):
            self._fs.get_file(f"{self._bucket}/{member.name}", str(path))
            size = path.stat().st_size
        if size != member.packed_bytes:
            raise RunAgain(
                f"{place} had {member.packed_bytes:,} bytes when the bucket was listed, and "
                f"{size:,} arrived.",
                remedy="Run the same command again.",
            )

    def _place(self, name: str) -> str:
        return f"{self._cloud.scheme}://{self._bucket}/{name}"

    @contextmanager
    def _explained(self, place: str, *, listed: bool = False) -> Iterator[None]:
        """Tell a driver's failure in words."""
        try:
            yield
        except TapError:
            raise
        except Exception as error:
            raise failure_of(error, self._cloud, place, listed=listed) from error


class _Copies:
    """Objects that were copied to the disk."""

    has_checksums = False

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}

    def files(self) -> Iterable[Listed]:
        return (Listed(name, path.stat().st_size) for name, path in self.paths.items())

    def open(self, name: str) -> BinaryIO:
        return self.paths[name].open("rb")

    def local_path(self, name: str) -> Path:
        return self.paths[name]

    def close(self) -> None:
        """Do nothing: the files are opened one by one."""


class _Explained(io.RawIOBase):
    """A stream of an object whose failures are told in words."""

    def __init__(self, store: BucketStore, place: str, stream: BinaryIO) -> None:
        self._store = store
        self._place = place
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._store._explained(self._place, listed=True):  # noqa: SLF001 - its own part
            block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()
