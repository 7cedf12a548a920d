"""One exported file: verified to its end, then read line by line in constant memory."""

from __future__ import annotations

import io
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from isal import igzip, igzip_lib, isal_zlib

from tap_amplitude.common.line_blocks import Lines
from tap_amplitude.common.object_cutter import LONG_LINE_BYTES, NotUtf8, Taken, taken_from
from tap_amplitude.errors import BadLine, DamagedArchive, HostileArchive, TapError
from tap_amplitude.files.forms import (
    COPY_AGAIN,
    GZIP_MAGIC,
    HEAD_BYTES,
    Form,
    form_of,
    is_known_unread,
    unread_form,
)
from tap_amplitude.files.names import read_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tap_amplitude.common.object_cutter import Found
    from tap_amplitude.files.stores import Store

#: Events shrink by 5 to 20. This bound, which holds beyond the first megabytes, is for bombs.
MAX_RATIO = 200
RATIO_FREE_BYTES = 64 * 1024 * 1024
#: Who raises `max_member_gb` above its default trusts the files: then the size alone counts.
RATIO_BOUND_BYTES = 20 * 1024**3

_BUFFER_BYTES = 128 * 1024
_BLOCK_BYTES = 1024 * 1024
#: Level of compression: a file that is packed here is unpacked at once.
_QUICKLY = 1
_GZIP_WINDOW = 31
#: A gzip file may be packed again, once or twice, by a tool that takes it for text.
_MOST_LAYERS = 3
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

    One class, as all that is read of a file is read here.

    Attributes:
        name: Where it lies in its store.
        hour: Its export hour, from its name.
        packed_bytes: Its size as it is stored.
        app: The Amplitude project whose events it holds: the number that its name begins with,
            else that of its rows. Of a list of merged users the organisation, with a minus. Empty
            when there is none.
        modified: When it came to lie there: a folder's or a bucket's time. None when nothing
            tells, as in a .zip.
        form: What it is, when it was looked at.
    """

    name: str
    hour: datetime
    packed_bytes: int
    store: Store
    app: str = ""
    modified: datetime | None = None
    form: Form | None = None

    @property
    def place(self) -> str:
        """Its name as messages name it, with the .zip in which it lies."""
        return f"{self.store.prefix}{self.name}"

    @property
    def is_gzip(self) -> bool:
        """Whether it is stored as a gzip file, packed once."""
        return (self.form or self.look()) is Form.GZIP

    def look(self) -> Form:
        """Return what it is, by its first bytes.

        Raises:
            DamagedArchive: It cannot be read, or is nothing that is read.
        """
        with self._explained(), self.store.open(self.name) as stored:
            head = stored.read(HEAD_BYTES)
            form = form_of(head)
            if form is Form.TAR or (form is Form.OTHER and not self._may_be_text(head)):
                raise self._unread(head)
            return form

    def beginning(self, size: int) -> bytes:
        """Return its first bytes, unpacked.

        Raises:
            DamagedArchive: It cannot be read.
        """
        with self.reading() as stream:
            return stream.read(size)

    def verify(self, max_bytes: int, *, raw: bool = False) -> None:
        """Read the file to its end, so that every checksum of it is compared.

        With `raw` a file whose store has a checksum of it is not decompressed: that of a .zip
        covers each byte of the gzip file, too. Its reader is to bound what it unpacks to.

        Raises:
            DamagedArchive: It is cut off or corrupt.
            HostileArchive: It unpacks to more than it may.
        """
        bound = max_bytes
        if max_bytes <= RATIO_BOUND_BYTES:
            bound = min(bound, max(RATIO_FREE_BYTES, self.packed_bytes * MAX_RATIO))
        unpacked = 0
        raw = raw and self.store.has_checksums
        with self.reading(raw=raw) as stream:
            while block := stream.read(_BUFFER_BYTES):
                unpacked += len(block)
                if unpacked > bound:
                    raise HostileArchive(
                        f"The file {self.place!r} of {self.store.origin} has "
                        f"{self.packed_bytes:,} bytes and unpacks to far more than an export does "
                        f"(limits: {max_bytes:,} bytes, {MAX_RATIO} times its size).",
                        remedy="If you trust it, raise `max_member_gb`; otherwise export it again.",
                    )

    def take(
        self,
        usual: Callable[[bytes], Taken | None],
        of_object: Callable[[dict[str, Any]], Taken],
    ) -> Iterator[Taken | Found]:
        """Take the objects of the file, one after the other, in constant memory.

        `usual` takes a line that is one object and nothing else, and returns None for any other;
        `of_object` takes an object of any other line.

        Yields:
            What they return, and texts that are no objects.

        Raises:
            DamagedArchive: It is cut off or corrupt; not after `verify`, unless it changed since.
            BadLine: It is text of another coding.
        """
        try:
            yield from taken_from(self._line_blocks(), usual, of_object)
        except NotUtf8 as error:
            raise BadLine(
                f"The file {self.place!r} is {error} text, not UTF-8.",
                remedy="Convert it to UTF-8, or take it out.",
            ) from error

    def _may_be_text(self, head: bytes) -> bool:
        """Return True if even an odd file is taken for text: each of its lines is reported."""
        is_named_text = not self.name.lower().endswith((".gz", ".zip")) and not self._is_foreign
        return bool(head) and is_named_text and not is_known_unread(head)

    @property
    def _is_foreign(self) -> bool:
        name = read_name(self.name)
        return name is not None and name.is_foreign

    def _unread(self, head: bytes) -> DamagedArchive:
        reason, remedy = unread_form(head, is_foreign=self._is_foreign)
        return DamagedArchive(
            f"The file {self.place!r} of {self.store.origin} cannot be read ({reason}).",
            remedy=remedy,
        )

    def _line_blocks(self) -> Iterator[tuple[int, list[bytes]]]:
        with self.reading() as stream:
            lines = Lines(LONG_LINE_BYTES)
            while block := stream.read(_BUFFER_BYTES):
                number = lines.number
                yield number, lines.feed(block)
            yield lines.number, lines.end()

    def blocks(self) -> Iterator[bytes]:
        """Yield the file block by block as it is stored, to its end and its store's checksum.

        Raises:
            DamagedArchive: It is cut off or corrupt.
        """
        with self.reading(raw=True) as stream:
            while block := stream.read(_BLOCK_BYTES):
                yield block

    def gzip_blocks(self) -> Iterator[bytes]:
        """Yield the file block by block as a gzip file, packed once, whatever it is stored as.

        Raises:
            DamagedArchive: It is cut off or corrupt.
        """
        if self.is_gzip:
            yield from self.blocks()
            return
        packer = isal_zlib.compressobj(_QUICKLY, wbits=_GZIP_WINDOW)
        with self.reading() as stream:
            while block := stream.read(_BLOCK_BYTES):
                if some := packer.compress(block):
                    yield some
        yield packer.flush()

    @contextmanager
    def reading(self, *, raw: bool = False) -> Iterator[io.BufferedReader]:
        """Open the file as a stream; with `raw` it is not unpacked.

        Raises:
            DamagedArchive: It cannot be read; also for what is raised while it is open.
        """
        with self._explained(), self._open(raw=raw) as stream:
            yield stream

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except TapError:
            raise
        except DAMAGE as error:
            raise DamagedArchive(
                f"The file {self.place!r} of {self.store.origin} cannot be read to its end "
                f"({reason_of(error)}).",
                remedy=_remedy_of(error),
            ) from error

    def _open(self, *, raw: bool) -> io.BufferedReader:
        packed = self.store.open(self.name)
        try:
            # The outer buffer is written in C and bounds a line, which the gzip file does not.
            stream = _Stream(cast("io.RawIOBase", packed), packed)
            layers = 0
            while not raw and stream.peek(2)[:2] == GZIP_MAGIC:
                layers = _one_more(layers)
                unpacked = igzip.IGzipFile(fileobj=stream, mode="rb")  # type: ignore[no-untyped-call]
                stream = _Stream(cast("io.RawIOBase", unpacked), packed)
        except BaseException:
            packed.close()
            raise
        return stream


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


def _one_more(layers: int) -> int:
    if layers == _MOST_LAYERS:
        raise ValueError(f"it is packed by gzip more than {_MOST_LAYERS} times")
    return layers + 1


def reason_of(error: Exception) -> str:
    """Return in words what went wrong, even if the error has none."""
    return str(error) or type(error).__name__


def _remedy_of(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "Check its permissions."
    if isinstance(error, FileNotFoundError):
        return "If it is a link, it leads nowhere: correct it or take it out."
    if isinstance(error, NotImplementedError):
        return "Unpack the .zip with the tool that made it."
    if "password" in str(error):
        return "Unpack the .zip with its password."
    return COPY_AGAIN
