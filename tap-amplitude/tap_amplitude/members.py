"""One exported file: verified to its end, then read line by line in constant memory."""

from __future__ import annotations

import io
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from isal import igzip, igzip_lib

from tap_amplitude.errors import DamagedArchive, HostileArchive
from tap_amplitude.rows import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_amplitude.stores import Store

#: Events shrink by 5 to 20. This bound, which holds beyond the first megabytes, is for bombs.
MAX_RATIO = 200
RATIO_FREE_BYTES = 64 * 1024 * 1024

_BUFFER_BYTES = 128 * 1024
_BLOCK_BYTES = 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
#: Everything that reading a damaged .zip or gzip file raises.
DAMAGE: tuple[type[Exception], ...] = (
    EOFError,
    OSError,
    NotImplementedError,  # a compression method that Amplitude never uses
    RuntimeError,  # an encrypted member
    ValueError,  # a broken directory or offset
    zipfile.BadZipFile,
    zlib.error,
    cast("type[Exception]", igzip_lib.IsalError),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One exported file. Years of exports have a quarter of a million of them: it is kept small.

    Attributes:
        name: Where it lies in its store.
        hour: Its export hour, from its name.
        packed_bytes: Its size as it is stored.
        store: Where it lies.
        app: The Amplitude project whose events it holds: the number that its name begins with. Of
            a list of merged users the organisation, with a minus. Empty when there is none.
        modified: When it came to lie there: a folder's or a bucket's time. None when nothing
            tells, as in a .zip.
    """

    name: str
    hour: datetime
    packed_bytes: int
    store: Store
    app: str = ""
    modified: datetime | None = None

    @property
    def is_gzip(self) -> bool:
        """Whether it is stored as a gzip file."""
        return self.name.endswith(".gz")

    def verify(self, max_bytes: int, *, as_stored: bool = False) -> None:
        """Read the file to its end, so that every checksum of it is compared.

        Args:
            max_bytes: What it may unpack to.
            as_stored: Do not decompress a file whose store has a checksum of it: that of a .zip
                covers each byte of the gzip file, too. Its reader is to bound what it unpacks to.

        Raises:
            DamagedArchive: It is cut off or corrupt.
            HostileArchive: It unpacks to more than it may.
        """
        bound = min(max_bytes, max(RATIO_FREE_BYTES, self.packed_bytes * MAX_RATIO))
        unpacked = 0
        as_stored = as_stored and self.store.has_checksums
        with self._reading(as_stored=as_stored) as stream:
            if as_stored and self.is_gzip and stream.peek(2)[:2] != _GZIP_MAGIC:
                raise ValueError("it is no gzip file")
            while block := stream.read(_BUFFER_BYTES):
                unpacked += len(block)
                if unpacked > bound:
                    raise _bomb(self, max_bytes)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Read the file line by line in constant memory.

        Yields:
            The number of a line, from 1, and the line. Blank lines are left out. Of a line that is
            longer than `MAX_LINE_BYTES` only the beginning comes, one byte more than the bound.

        Raises:
            DamagedArchive: It is cut off or corrupt; not after `verify`, unless it changed since.
        """
        with self._reading() as stream:
            read = partial(stream.readline, MAX_LINE_BYTES + 1)
            for number, line in enumerate(iter(read, b""), start=1):
                if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    _skip_rest_of_line(stream)
                if line.strip():
                    yield number, line

    def blocks(self) -> Iterator[bytes]:
        """Read the file as it is stored, to its end and its store's checksum.

        Yields:
            One block after the other.

        Raises:
            DamagedArchive: It is cut off or corrupt.
        """
        with self._reading(as_stored=True) as stream:
            while block := stream.read(_BLOCK_BYTES):
                yield block

    @contextmanager
    def _reading(self, *, as_stored: bool = False) -> Iterator[io.BufferedReader]:
        try:
            if self.is_gzip and not self.packed_bytes:
                # Python's gzip readers take no byte at all for an empty file.
                raise EOFError("the file has no bytes")
            with self._open(as_stored=as_stored) as stream:
                yield stream
        except DAMAGE as error:
            raise DamagedArchive(
                f"The file {self.name!r} cannot be read to its end ({reason_of(error)}).",
                remedy="Export or download this file again.",
            ) from error

    def _open(self, *, as_stored: bool) -> io.BufferedReader:
        packed = self.store.open(self.name)
        unpacked = (
            igzip.IGzipFile(fileobj=packed, mode="rb")  # type: ignore[no-untyped-call]
            if self.is_gzip and not as_stored
            else packed
        )
        # The outer buffer is written in C and bounds a line, which the gzip file does not.
        return _Stream(cast("io.RawIOBase", unpacked), packed)


class _Stream(io.BufferedReader):
    """A buffered reader that closes the file beneath the gzip file, too."""

    def __init__(self, unpacked: io.RawIOBase, packed: BinaryIO) -> None:
        super().__init__(unpacked, _BUFFER_BYTES)
        self._packed = packed

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._packed.close()


def _skip_rest_of_line(stream: io.BufferedReader) -> None:
    while (block := stream.readline(_BUFFER_BYTES)) and not block.endswith(b"\n"):
        pass


def reason_of(error: Exception) -> str:
    """Say in words what went wrong, even if the error has none."""
    return str(error) or type(error).__name__


def _bomb(member: Member, max_bytes: int) -> HostileArchive:
    return HostileArchive(
        f"The file {member.name!r} has {member.packed_bytes:,} bytes and unpacks to far more than "
        f"an export does (limits: {max_bytes:,} bytes, {MAX_RATIO} times its size).",
        remedy="If you trust it, raise `max_member_gb`; otherwise export it again.",
    )
