"""Lines that are no records: kept on disk, one JSON object a line, so that nothing is lost."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import orjson
from typing_extensions import override

from tap_amplitude.common.findings import Level
from tap_amplitude.common.places import folder_finding
from tap_amplitude.common.remote_lines import CannotWrite, RemoteLines, folder_of, is_address
from tap_amplitude.errors import FixConfiguration, RunAgain, TapError, no_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


def rejects_at(place: str, started: datetime) -> Rejects:
    """Return what keeps the rejected lines of a run; nothing is made before the first of them.

    The place is `rejects_path`: a folder, or an address for fsspec.

    Raises:
        FixConfiguration: The folder cannot be written: better now than at the first reject.
    """
    if is_address(place):
        return _RemoteRejects(place, started)
    folder = Path(folder_of(place))
    found = folder_finding("rejects", "rejects_path", folder)
    if found.level is Level.FIX:
        raise FixConfiguration(f"The folder of the rejects: {found.text}", remedy=found.remedy)
    return Rejects(folder, started)


class Rejects:
    """A file of rejected lines; it is made with the first of them."""

    def __init__(self, folder: Path, started: datetime) -> None:
        # Several machines may begin in the same second, and share a folder.
        self._path = folder / f"{_name(started)}-{secrets.token_hex(3)}.jsonl"
        self.count = 0
        self._file: BinaryIO | None = None

    def add(self, line: bytes, *, reason: str) -> None:
        """Keep a line as it was read, and why it is no record.

        Raises:
            TapError: The file cannot be written.
        """
        text = line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
        reject = {"code": "bad_line", "stage": "read", "reason": reason, "record": text}
        self._write(orjson.dumps(reject))
        self.count += 1

    @property
    def place(self) -> str:
        """Where the lines are, for messages."""
        return str(self._path)

    def _write(self, line: bytes) -> None:
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab")
            self._file.write(line + b"\n")
        except OSError as error:
            raise self._failure(error) from error

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
        return no_room(error, "the rejects", setting="rejects_path") or FixConfiguration(
            f"The rejects cannot be written to {self._path} ({error.strerror}).",
            remedy="Set `rejects_path` to a folder that can be written.",
        )


class _RemoteRejects(Rejects):
    """Rejected lines in a bucket."""

    def __init__(self, place: str, started: datetime) -> None:
        super().__init__(Path(), started)
        self._lines = RemoteLines(place, _name(started))

    @property
    @override
    def place(self) -> str:
        return f"{self._lines.address}-*.jsonl"

    @override
    def _write(self, line: bytes) -> None:
        with self._explained():
            self._lines.add(line)

    @override
    def sync(self) -> None:
        with self._explained():
            self._lines.save()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except CannotWrite as error:
            raise RunAgain(
                f"The rejects cannot be written to {self._lines.address} ({error}).",
                remedy="Check `rejects_path` and the credentials of the bucket, and run the same "
                "command again.",
            ) from error


def _name(started: datetime) -> str:
    return f"tap-amplitude-{started:%Y%m%dT%H%M%SZ}"
