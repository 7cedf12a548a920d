"""Files as Amplitude exports them."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from tests.support.rows import HOUR, START, hour_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def file_name(hour: int, part: int = 70) -> str:
    """Return the name of a file of an hour, counted from `START`."""
    moment = START + hour * HOUR
    return f"123_{moment:%Y-%m-%d}_{moment.hour}#{part}.json.gz"


def packed(of: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the content of a file of rows."""
    return gzip.compress("".join(json.dumps(r) + "\n" for r in of).encode(), mtime=0)


def flipped(content: bytes, place: int) -> bytes:
    """Return bytes one bit of which is another."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def hour_files(*hours: int) -> dict[str, bytes]:
    """Return a file of three rows for each of some hours, counted from `START`, by their names."""
    return {file_name(hour): packed(hour_rows(hour)) for hour in hours}


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder, which is made."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a .zip of files, under their names whatever they are."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return content.getvalue()


def write_zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """Write files into a .zip, as Amplitude packs them."""
    path.write_bytes(zipped(files, method))
    return path
