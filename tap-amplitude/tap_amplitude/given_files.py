"""The files of the command line: what is wrong with them, in words and without their content."""

from __future__ import annotations

import io
import json
from typing import IO, TYPE_CHECKING, Any

from tap_amplitude.errors import FixConfiguration

if TYPE_CHECKING:
    from pathlib import Path


def read_object(path: Path, option: str) -> dict[str, Any]:
    """Read the JSON object in the file that an option names.

    Raises:
        FixConfiguration: It cannot be read, or holds none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise FixConfiguration(
            f"The file of `{option}`, {path}, cannot be read ({reason}).",
            remedy="Check its name and its permissions.",
        ) from error
    return _object_in(text, str(path), option)


def checked_file(file: IO[str] | None, option: str) -> IO[str] | None:
    """Return a file, to be read again, once it is seen to hold a JSON object; None for none.

    Raises:
        FixConfiguration: It holds none.
    """
    if file is None:
        return None
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise FixConfiguration(
            f"The file of `{option}`, {file.name}, cannot be read (it is not UTF-8 text).",
            remedy="Give it a file with a JSON object.",
        ) from error
    _object_in(text, file.name, option)
    return io.StringIO(text)


def _object_in(text: str, name: str, option: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        # Not the parser's message: that of another parser may quote the text, and so a key.
        place = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "its text"
        raise FixConfiguration(
            f"The file of `{option}`, {name}, is not valid JSON (see {place}).",
            remedy="Give it a file with a JSON object.",
        ) from error
    if not isinstance(content, dict):
        raise FixConfiguration(
            f"The file of `{option}`, {name}, is not a JSON object.",
            remedy='A JSON object looks like {"name": "value"}.',
        )
    return content
