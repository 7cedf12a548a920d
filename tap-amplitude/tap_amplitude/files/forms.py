"""What a file is, by its first bytes and not by its name (pure)."""

from __future__ import annotations

import enum
from typing import cast

from isal import isal_zlib

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
#: What `form_of` wants to see.
HEAD_BYTES = 512
_GZIP_WINDOW = 31
#: In the first header of a .tar; what is looked at ends with it.
_TAR_MAGIC, _BEGINNING = b"ustar", 262
#: Not "run again": the same file fails in the same way.
COPY_AGAIN = "Copy this file again from where it came, or have it exported again."
_UNPACK = "Unpack it, and take the packed one out."
_CONVERT = (
    "If it holds events, put a file in its place as Amplitude exports it (gzip, .zip or JSON); "
    "otherwise take it out."
)
_DAMAGED = cast("type[Exception]", isal_zlib.error)
_PACKED_BY = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"\x04\x22\x4d\x18": "LZ4",
}
_WRITTEN_AS = {
    b"PAR1": "Parquet, which the tap does not read",
    b"Obj\x01": "Avro, which the tap does not read",
    b"ORC": "ORC, which the tap does not read",
    b"Salted__": "encrypted by OpenSSL",
    b"-----BEGIN PGP MESSAGE": "encrypted by PGP",
    b"age-encryption.org/": "encrypted by age",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}
_ICLOUD = b"bplist00"


class Form(enum.Enum):
    """What a file is."""

    GZIP = "gzip, and what is in it is not packed again"
    LAYERED = "gzip in gzip"
    ZIP = "a .zip"
    TAR = "a .tar, packed by gzip or not"
    JSON = "text that begins like JSON"
    OTHER = "anything else"


#: Of these a single file may be the whole archive.
READ_AS_FILES = frozenset({Form.GZIP, Form.LAYERED, Form.JSON})


def form_of(head: bytes) -> Form:
    """Return what a file is by its first `HEAD_BYTES` bytes."""
    if head.startswith(GZIP_MAGIC):
        begins = _begins(head)
        if _is_tar(begins):
            return Form.TAR
        return Form.LAYERED if begins.startswith(GZIP_MAGIC) else Form.GZIP
    if head.startswith(ZIP_MAGIC):
        return Form.ZIP
    if _is_tar(head):
        return Form.TAR
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\0\x0b\x0c\x1e")
    return Form.JSON if text[:1] in {b"{", b"["} else Form.OTHER


def is_known_unread(head: bytes) -> bool:
    """Return True if a file certainly is of a form that is not read."""
    return head.startswith((*_PACKED_BY, *_WRITTEN_AS, _ICLOUD))


def unread_form(head: bytes, *, is_foreign: bool = False) -> tuple[str, str]:
    """Return what a file is that is not read, and what the user does next, both in words.

    `is_foreign`: it is not even named as a file of a form that is read.
    """
    if not head:
        return "the file has no bytes", COPY_AGAIN
    if form_of(head) is Form.TAR:
        return "it is a .tar, which the tap does not unpack", _UNPACK
    for magic, name in _PACKED_BY.items():
        if head.startswith(magic):
            return f"it is packed by {name}, which the tap does not unpack", _UNPACK
    for magic, name in _WRITTEN_AS.items():
        if head.startswith(magic):
            return f"it is {name}", _CONVERT
    if head.startswith(_ICLOUD):
        return "it stands for a file that lies in iCloud", "Download the file to this disk."
    return "it is neither gzip nor .zip nor JSON", _CONVERT if is_foreign else COPY_AGAIN


def _begins(packed: bytes) -> bytes:
    """Return the first bytes in a gzip file; none when it is damaged, as its reader reports."""
    try:
        return isal_zlib.decompressobj(wbits=_GZIP_WINDOW).decompress(packed, _BEGINNING)
    except _DAMAGED:
        return b""


def _is_tar(head: bytes) -> bool:
    return head[_BEGINNING - len(_TAR_MAGIC) : _BEGINNING] == _TAR_MAGIC
