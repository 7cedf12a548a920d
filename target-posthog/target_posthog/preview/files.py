"""Files as a tap's messages: a Singer file, or rows as Amplitude exports them, packed or not.

What a file is, its first bytes say.
"""

from __future__ import annotations

import zipfile
from contextlib import ExitStack
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, cast

import orjson
from isal import igzip

from target_posthog.errors import FixConfiguration
from target_posthog.json_codec import UNREADABLE, loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_GZIP, _ZIP = b"\x1f\x8b", b"PK"
_STREAM = "events"
_SCHEMA = {"type": "SCHEMA", "stream": _STREAM, "schema": {"type": "object"}, "key_properties": []}


def messages_of(paths: Iterable[Path]) -> Iterator[bytes]:
    """Yield the lines of files as Singer messages.

    Raises:
        FixConfiguration: one cannot be read.
    """
    for path in paths:
        yield from _messages_of(path)


def _messages_of(path: Path) -> Iterator[bytes]:
    try:
        with ExitStack() as stack:
            for file in _opened(path, stack):
                yield from _messages(file)
    except (OSError, EOFError, zipfile.BadZipFile, igzip.BadGzipFile) as error:
        why = getattr(error, "strerror", None) or "it is damaged"
        raise FixConfiguration(
            f"The file {path} cannot be read: {why}.", "Give an exported file, or a Singer file."
        ) from error


def _opened(path: Path, stack: ExitStack) -> Iterator[IO[bytes]]:
    file = stack.enter_context(path.open("rb"))
    first = file.peek(2)[:2]
    if first != _ZIP:
        yield _unpacked(file, first)
        return
    archive = stack.enter_context(zipfile.ZipFile(file))
    for name in sorted(archive.namelist()):
        if name.endswith((".json.gz", ".json", ".jsonl")) and not name.startswith("__MACOSX"):
            member: Any = stack.enter_context(archive.open(name))
            yield _unpacked(member, member.peek(2)[:2])


def _unpacked(file: IO[bytes], first: bytes) -> IO[bytes]:
    if first != _GZIP:
        return file
    return cast("IO[bytes]", igzip.IGzipFile(fileobj=file))  # type: ignore[no-untyped-call]


def _messages(file: IO[bytes]) -> Iterator[bytes]:
    """Yield messages as they are; rows as records of one stream."""
    lines = iter(file)
    first = next((line for line in lines if line.strip()), b"")
    if not first or _is_message(first):
        yield from chain([first] if first else [], lines)
        return
    yield orjson.dumps(_SCHEMA) + b"\n"
    head = b'{"type":"RECORD","stream":"' + _STREAM.encode() + b'","record":'
    for line in chain([first], lines):
        if line.strip():
            yield head + line.strip() + b"}\n"


def _is_message(line: bytes) -> bool:
    try:
        message = loads(line)
    except UNREADABLE:
        return False
    return (
        isinstance(message, dict)
        and isinstance(message.get("type"), str)
        and ("stream" in message or "value" in message)
    )
