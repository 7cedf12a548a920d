"""BATCH messages, and the files that they name."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from target_posthog.json_codec import dumps
from tests.support.singer import schema, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.support.singer import Json

GZIP = {"format": "jsonl", "compression": "gzip"}
RUN_FOLDER = "tap-amplitude-20240101T000000-0123abcd"


def lines_of(contents: Iterable[Json]) -> bytes:
    """Return records as JSON lines."""
    return b"".join(dumps(one) + b"\n" for one in contents)


def batch(paths: Sequence[Path], encoding: Json = GZIP) -> Json:
    """Return a BATCH message."""
    manifest = [path.as_uri() for path in paths]
    return {"type": "BATCH", "stream": "events", "encoding": encoding, "manifest": manifest}


def put(folder: Path, name: str, contents: Iterable[Json]) -> Path:
    """Write a file of records, as Amplitude packs them."""
    path = folder / f"{name}.json.gz"
    path.write_bytes(gzip.compress(lines_of(contents)))
    return path


def hours(folder: Path, sent: Sequence[Json], *, files: int, each: int) -> list[Json]:
    """Return a tap's messages: hours of so many files with so many rows each, and their states."""
    messages = [schema()]
    for hour, start_at in enumerate(range(0, len(sent), files * each)):
        paths = [
            put(folder, f"{hour}-{n}", sent[start_at + n * each : start_at + (n + 1) * each])
            for n in range(files)
        ]
        messages += [batch(paths), state({"at": hour + 1})]
    return messages
