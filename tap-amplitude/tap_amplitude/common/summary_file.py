"""The file in which a run says how it ended: written in one step, for this user's eyes only.

Meltano ends with 1 whatever a plugin's exit code was (`meltano.core.plugin_invoker`).
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import Any

#: What the user does after a run, by its exit code; see `errors`.
EXIT_CLASSES: Mapping[int, str] = MappingProxyType({0: "done", 1: "retry", 2: "fix", 3: "look"})
#: That of a run that goes on, or was killed.
RUNNING = "running"


def class_of(exit_code: int | None) -> str:
    """Return the class of an exit code; None is that of a run that goes on."""
    return RUNNING if exit_code is None else EXIT_CLASSES.get(exit_code, "retry")


def put_json(path: Path, content: Mapping[str, Any], *, is_last: bool) -> None:
    """Replace a file, or the file that a link leads to; the last write is brought to the disk.

    Raises:
        OSError: It cannot be written.
    """
    text = json.dumps(content, indent=2) + "\n"
    # A device such as /dev/null stays what it is.
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "it is not a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(part, flags, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - with its rights
            file.write(text)
            if is_last:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def rfc3339(moment: datetime) -> str:
    """Return a moment in UTC as text."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
