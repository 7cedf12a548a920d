"""The file that a command writes for a person: whole or not at all, and for its owner's eyes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from target_posthog.errors import RunAgain


class CannotWrite(RunAgain):
    """The file has no place; nothing else is changed anywhere."""

    saved = ""


def write_private(path: Path, text: str, option: str) -> None:
    """Put a file in its place in one step: names of events and data of people are in it.

    A link gives way to the file, and a device or a pipe gets its text.

    Raises:
        CannotWrite: the disk does not take it.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            _replace(path, text)
    except OSError as error:
        raise CannotWrite(
            f"The file {path} of {option} cannot be written: {error.strerror}.",
            "Give another place, and run again.",
        ) from error


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
