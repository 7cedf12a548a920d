"""Lines that are no records: kept on disk, one JSON object a line, so that nothing is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

import orjson

from tap_amplitude.errors import FixConfiguration, TapError, no_room

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class Rejects:
    """A file of rejected lines; it is made with the first of them.

    Args:
        folder: Where the file goes.
        started: When the run began, for the name of the file.
    """

    def __init__(self, folder: Path, started: datetime) -> None:
        self.path = folder / f"tap-amplitude-{started:%Y%m%dT%H%M%SZ}.jsonl"
        self.count = 0
        self._file: BinaryIO | None = None

    def add(self, line: bytes, *, reason: str) -> None:
        """Keep a line.

        Args:
            line: The line as it was read.
            reason: Why it is no record.

        Raises:
            TapError: The file cannot be written.
        """
        text = line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
        reject = {"code": "bad_line", "stage": "read", "reason": reason, "record": text}
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
            self._file.write(orjson.dumps(reject) + b"\n")
        except OSError as error:
            raise self._failure(error) from error
        self.count += 1

    def sync(self) -> None:
        """Bring what was kept to the disk. Call it before the state moves past it.

        Raises:
            TapError: The file cannot be written.
        """
        if self._file is None:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _failure(self, error: OSError) -> TapError:
        return no_room(error, "the rejects") or FixConfiguration(
            f"The rejects cannot be written to {self.path} ({error.strerror}).",
            remedy="Set `rejects_path` to a folder that can be written.",
        )
