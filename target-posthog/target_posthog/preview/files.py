"""Files as a tap's messages: a Singer file, or rows as Amplitude exports them, packed or not.

What a file is, its first bytes say. Rows are handed over as a BATCH message names them, and read
the way that a run reads those.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

from target_posthog.errors import FixConfiguration
from target_posthog.json_codec import loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from target_posthog.model import Json

_GZIP, _ZIP = b"\x1f\x8b", b"PK"
_ROWS = (".json.gz", ".json", ".jsonl")
_STREAM = "events"
_SCHEMA: Json = {
    "type": "SCHEMA",
    "stream": _STREAM,
    "schema": {"type": "object"},
    "key_properties": [],
}


def messages_of(paths: Iterable[Path], scratch: Path) -> Iterator[bytes]:
    """Yield the lines of files as Singer messages.

    Raises:
        FixConfiguration: one cannot be read.
    """
    for path in paths:
        yield from _messages_of(path, scratch)


def _messages_of(path: Path, scratch: Path) -> Iterator[bytes]:
    try:
        first = _start_of(path)
        if first == _ZIP:
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    if name.endswith(_ROWS) and not name.startswith("__MACOSX"):
                        yield from _rows(_unpacked(archive, name, scratch), name)
        elif first != _GZIP and _is_singer(path):
            with path.open("rb") as lines:
                yield from lines
        else:
            yield from _rows(path, path.name)
    except (OSError, zipfile.BadZipFile) as error:
        why = getattr(error, "strerror", None) or "it is damaged"
        raise FixConfiguration(
            f"The file {path} cannot be read: {why}.", "Give an exported file, or a Singer file."
        ) from error


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_GZIP))


def _unpacked(archive: zipfile.ZipFile, name: str, scratch: Path) -> Path:
    """Return a copy of a member; its name never becomes a path."""
    place = scratch / "member"
    with archive.open(name) as member, place.open("wb") as copy:
        shutil.copyfileobj(member, copy)
    return place


def _rows(path: Path, name: str) -> Iterator[bytes]:
    """Yield the messages that hand over a file of rows."""
    encoding = {"format": "jsonl", "compression": "gzip" if _start_of(path) == _GZIP else "none"}
    batch = {
        "type": "BATCH",
        "stream": _STREAM,
        "encoding": encoding,
        "manifest": [path.resolve().as_uri()],
        "names": [name],
    }
    for message in (_SCHEMA, batch):
        yield json.dumps(message).encode() + b"\n"


def _is_singer(path: Path) -> bool:
    """Return True if the first line of a file is a message."""
    with path.open("rb") as lines, suppress(ValueError):
        message = loads(next((line for line in lines if line.strip()), b""))
        return isinstance(message, dict) and message.get("type") in {"SCHEMA", "STATE", "RECORD"}
    return False
