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
_DAMAGED = cast("type[Exception]", isal_zlib.error)
_UNREAD = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"\x04\x22\x4d\x18": "LZ4",
    b"PAR1": "Parquet",
    b"Obj\x01": "Avro",
}


class Form(enum.Enum):
    """What a file is."""

    GZIP = "gzip, and what is in it is not packed again"
    LAYERED = "gzip in gzip"
    ZIP = "a .zip"
    JSON = "text that begins like JSON"
    OTHER = "anything else"


#: Of these a single file may be the whole archive.
READ_AS_FILES = frozenset({Form.GZIP, Form.LAYERED, Form.JSON})


def form_of(head: bytes) -> Form:
    """Say what a file is.

    Args:
        head: Its first `HEAD_BYTES` bytes.
    """
    if head.startswith(GZIP_MAGIC):
        return Form.LAYERED if _begins(head).startswith(GZIP_MAGIC) else Form.GZIP
    if head.startswith(ZIP_MAGIC):
        return Form.ZIP
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\0\x0b\x0c\x1e")
    return Form.JSON if text[:1] in {b"{", b"["} else Form.OTHER


def unread_form(head: bytes) -> str:
    """Say in words what a file is that is not read.

    Args:
        head: Its first bytes.
    """
    for magic, name in _UNREAD.items():
        if head.startswith(magic):
            return f"it is packed by {name}, which the tap does not unpack"
    return "it is neither gzip nor .zip nor JSON"


def _begins(packed: bytes) -> bytes:
    """Return the first bytes in a gzip file; none when it is damaged, which is told elsewhere."""
    try:
        return isal_zlib.decompressobj(wbits=_GZIP_WINDOW).decompress(packed, 4)
    except _DAMAGED:
        return b""
