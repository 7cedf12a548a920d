"""Each earlier preview of a folder, in a folder of its own: what lies flat is of one run alone.

Bodies lie flat, `<folder>/preview-<run>.jsonl`, so that whoever reads a preview finds it without
knowing its name. So that two never mix, a preview moves what the one before it left behind to
`<folder>/preview-<run>/`: bodies, rejects and summary.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from target_posthog.common.file_locks import try_lock
from target_posthog.json_codec import json_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RUN = r"(?P<run>\d{8}T\d{6}Z-(?P<process>\d+))"
#: As `PreviewFile` and `rejects.writer` name files.
_BODIES = re.compile(rf"preview-{_RUN}\.jsonl")
_REJECTS = re.compile(rf"target-posthog-{_RUN}-preview(-\w+)?\.jsonl(\.replayed.*)?")
SUMMARY = "summary.json"


def set_aside(folder: Path) -> list[Path]:
    """Move earlier previews; return the folders that they have now.

    What cannot be moved stays where it is, as does what a run that goes on is writing.
    """
    runs: dict[str, str] = {}
    found: dict[str, list[tuple[Path, str]]] = {}
    for path, match, below in _files_in(folder):
        runs[match["run"]] = match["process"]
        found.setdefault(match["run"], []).append((path, below))
    moved = []
    for run in sorted(found):
        files = found[run]
        if any(_is_in_use(path) for path, _ in files):
            continue
        if _tells_of(folder / SUMMARY, runs[run]):
            files.append((folder / SUMMARY, ""))
        own = folder / f"preview-{run}"
        with suppress(OSError):
            for path, below in files:
                place = own / below
                place.mkdir(parents=True, exist_ok=True)
                path.rename(place / path.name)
            moved.append(own)
    return moved


def _files_in(folder: Path) -> Iterator[tuple[Path, re.Match[str], str]]:
    """Yield the files of previews with their names, and where each lies below its folder."""
    for below, pattern in (("", _BODIES), ("rejects", _REJECTS)):
        with suppress(OSError):
            for path in sorted((folder / below).iterdir()):
                if (match := pattern.fullmatch(path.name)) and path.is_file():
                    yield path, match, below


def _is_in_use(path: Path) -> bool:
    """Tell whether a run goes on writing a file: it holds its lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        return not try_lock(descriptor, alone=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _tells_of(summary: Path, process: str) -> bool:
    try:
        content = json_object(summary.read_bytes())
    except OSError:
        return False
    return str(content.get("process")) == process
