"""What the target and its workers tell each other.

A worker has a pipe for its main thread, and two for the threads that wait for PostHog: one for the
job that it reads, and one for the job before, whose last requests may still be under way.
"""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from target_posthog.batch_files import BatchFile
    from target_posthog.conversion import GroupState, Json, Link, Rejected
    from target_posthog.errors import TargetPosthogError
    from target_posthog.jobs import Job
    from target_posthog.progress import Counts
    from target_posthog.sightings import Sighting


@dataclass(frozen=True)
class StreamOfFiles:
    """What a worker must know of a stream to convert its records.

    Attributes:
        name: its name.
        schema: its JSON schema.
        key_properties: its key.
        in_order: whether files of one message must be delivered one after the other: the later
            version of a record may stand in a later file.
    """

    name: str
    schema: Json
    key_properties: tuple[str, ...]
    in_order: bool = False


@dataclass(frozen=True)
class Work:
    """To a worker: read these files."""

    job: Job[BatchFile, StreamOfFiles]


@dataclass(frozen=True)
class Ask:
    """What must PostHog be told because of these sightings? The answer is a `News`."""

    sightings: Sequence[Sighting]


@dataclass(frozen=True)
class Told:
    """PostHog took these links and group states."""

    links: Sequence[Link]
    groups: Sequence[GroupState]


@dataclass(frozen=True)
class NotTold:
    """PostHog refused these links."""

    links: Sequence[Link]


@dataclass(frozen=True)
class Reject:
    """A line for the rejects file."""

    rejected: Rejected
    stage: str
    record: Json | str


@dataclass(frozen=True)
class Counted:
    """What was counted since the last time, and fingerprints of what was accepted."""

    counts: Counts
    accepted: Sequence[int]


@dataclass(frozen=True)
class Met:
    """The entries of settings that the worker's rows met something for."""

    entries: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class AllRead:
    """Every record of the worker's job was read, and what it shows was asked."""


@dataclass(frozen=True)
class AllDelivered:
    """Everything of a job is delivered or in the rejects."""

    number: int


@dataclass(frozen=True)
class Said:
    """Something for the log."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True)
class Failed:
    """The worker cannot go on, for a reason that the user can do something about.

    Attributes:
        kind: of the error.
        happened, remedy: its words.
        bad_file: which file of its job cannot be read; all before it is delivered. None when the
            reason is not a file.
    """

    kind: type[TargetPosthogError]
    happened: str
    remedy: str
    bad_file: int | None = None


@dataclass(frozen=True)
class Broke:
    """The worker cannot go on because of a bug; where it happened, without what it held."""

    kind: str
    place: str


@dataclass(frozen=True)
class Turn:
    """May so many events of a job go? Any answer is a yes."""

    job: int
    events: int


class Channel:
    """A worker's end of a pipe, for several threads.

    What comes is taken off the pipe at once: the target must never wait for a worker to read, or
    the two could wait for each other. The process ends when the other end is closed.

    Args:
        connection: the end.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._asking = threading.Lock()
        self._came: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._next: list[Any] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, message: object) -> None:
        """Send a message."""
        with self._sending:
            self._connection.send(message)

    def receive(self) -> Any:
        """Wait for a message."""
        return self._next.pop() if self._next else self._came.get()

    def has_news(self, seconds: float) -> bool:
        """Tell whether a message is there, after waiting for it at most so many seconds."""
        if not self._next:
            try:
                self._next.append(self._came.get(block=seconds > 0, timeout=seconds or None))
            except queue.Empty:
                return False
        return True

    def ask(self, message: object) -> Any:
        """Send a message and wait for the answer to it; one thread at a time."""
        with self._asking:
            self.send(message)
            return self.receive()

    def _listen(self) -> None:
        try:
            while True:
                self._came.put(self._connection.recv())
        except (EOFError, OSError):
            # The target is gone: whatever this process does or waits for, nobody wants it.
            os._exit(0)
