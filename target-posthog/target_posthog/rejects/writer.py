"""The rejects file: what PostHog cannot have, with the reason, ready to be sent again."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from typing_extensions import override

from target_posthog.common.file_locks import try_lock
from target_posthog.common.findings import Level
from target_posthog.common.places import folder_finding
from target_posthog.common.remote_lines import CannotWrite, RemoteLines, folder_of, is_address
from target_posthog.errors import FixConfiguration, RunAgain
from target_posthog.json_codec import dumps
from target_posthog.model import AddedEvent, Link, MappedRecord, StreamRecord
from target_posthog.rejects.names import PREVIEW, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from target_posthog.model import Json, Rejected
    from target_posthog.rejects.book_places import BookPlace


class Rejects:
    """Appends to one file per run, `<folder>/target-posthog-….jsonl`, made when needed."""

    def __init__(self, folder: Path, started: datetime, owner: str = PREVIEW) -> None:
        name = name_of(started, os.getpid(), owner)
        # Two pods may have the same process id, begin in the same second, and share a folder.
        self.path = folder / f"{name}-{secrets.token_hex(3)}.jsonl"
        self._file: IO[bytes] | None = None

    @property
    def remote_name(self) -> str:
        """What the names of its objects begin with; empty of a file, which can be locked."""
        return ""

    @property
    def place(self) -> str:
        """Where the lines are, for messages."""
        return str(self.path)

    def write_to(self, path: Path) -> None:
        """Go on in another file, which is made new when needed; `target-posthog-replay` does.

        Raises:
            RunAgain: the disk does not take what was written before, or an old file is in the way.
        """
        self.close()
        self.path = path
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def write(self, rejected: Rejected, record: Json | str, place: BookPlace | None = None) -> None:
        """Append one line `{code, stage, reason, record}`; more when the record knows more.

        The record is as it came, so that it can be sent again; or the text of a line that is none;
        or an event that we added. `place` is where the book counts it, if it does.

        Raises:
            RunAgain: the disk does not take it.
        """
        why = {"code": rejected.code, "stage": rejected.stage, "reason": rejected.reason}
        counted = {} if place is None else {"counted": place.as_json()}
        self.keep(dumps({**why, "record": record, **_origin(record), **counted}))

    def keep(self, line: bytes) -> None:
        """Append a line as it is.

        Raises:
            RunAgain: the disk does not take it.
        """
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
                is_ours(self._file)
            self._file.write(line + b"\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def save(self) -> None:
        """Bring every line to the disk; state may move on only after this.

        Raises:
            RunAgain: the disk does not take it.
        """
        if self._file is None:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the file; what is not saved may be lost, and is then rejected again."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise self._unwritable(error) from error
            finally:
                self._file = None

    def _unwritable(self, error: OSError) -> RunAgain:
        return RunAgain(
            f"The rejects file {self.path} cannot be written: {error.strerror}.",
            "Make room or set `rejects_path` to another folder, and run again.",
        )


class RemoteRejects(Rejects):
    """The same in a bucket: an object each time that they are saved.

    Nothing is asked of the bucket before: drivers start threads, and a process that has some makes
    no copies of itself for workers. `target-posthog-check` tries the bucket.
    """

    def __init__(self, place: str, started: datetime, owner: str) -> None:
        super().__init__(Path(), started, owner)
        self._lines = RemoteLines(place, name_of(started, os.getpid(), owner))

    @property
    @override
    def remote_name(self) -> str:
        return self._lines.address.rpartition("/")[2]

    @property
    @override
    def place(self) -> str:
        return f"{self._lines.address}-*.jsonl"

    @override
    def keep(self, line: bytes) -> None:
        with self._explained():
            self._lines.add(line)

    @override
    def save(self) -> None:
        with self._explained():
            self._lines.save()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except CannotWrite as error:
            raise RunAgain(
                f"The rejects cannot be written to {self._lines.address}: {error}.",
                "Check `rejects_path` and the credentials of the bucket, and run again.",
            ) from error


def rejects_at(place: str, started: datetime, owner: str, setting: str = "rejects_path") -> Rejects:
    """Return the rejects of a run, in a folder or at an address that a setting gives.

    Raises:
        FixConfiguration: the folder cannot be written: better now than at the first reject.
    """
    if is_address(place):
        return RemoteRejects(place, started, owner)
    folder = Path(folder_of(place))
    found = folder_finding("rejects", setting, folder)
    if found.level is Level.FIX:
        raise FixConfiguration(f"The folder of the rejects: {found.text}", found.remedy)
    return Rejects(folder, started, owner)


def _origin(record: Json | str) -> Json:
    """Return where a record came from, as far as it says more than itself."""
    if isinstance(record, MappedRecord):
        keys = record.key_properties
        own = {} if keys is None else {"key_properties": list(keys)}
        return {"stream": record.stream, **own, "mapped_to": record.mapped_to}
    if isinstance(record, StreamRecord):
        return {"stream": record.stream, "key_properties": list(record.key_properties)}
    if isinstance(record, AddedEvent):
        tells = record.tells
        if isinstance(tells, Link):
            return {"added": {"link": [tells.user_id, tells.device_id]}}
        return {"added": {"group": [tells.group_type, tells.group_key]}}
    return {}


def is_ours(file: IO[bytes]) -> bool:
    """Lock a rejects file until it is closed; tell whether no other process had done so.

    A run holds the lock of the file that it writes, so that a replay does not take the file away
    under it. Where the disk knows no locks, nobody is kept out.
    """
    try:
        return try_lock(file.fileno(), alone=True)
    except OSError:
        return True
