"""Exported files handed over undecoded, for Singer BATCH messages.

A BATCH message names files; its reader takes the records out of them (Meltano SDK docs, "Batch
messages"). Amplitude's own files already are what it may name, gzip files of JSON lines, so they
are only copied; a file that was unpacked on its way is packed again. The reader removes a file when
its events are safe, as `target-posthog` does. That is the only sign of how far it is: the tap waits
while too much lies there.
"""

from __future__ import annotations

import logging
import re
import select
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from singer_sdk.helpers._batch import SDKBatchMessage

from tap_amplitude.errors import TargetEnded
from tap_amplitude.output.batch_storage import open_run_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from singer_sdk.helpers._batch import StorageTarget

    from tap_amplitude.files.member import Member

logger = logging.getLogger("tap-amplitude.batch_files")

#: Between two looks whether the reader has made room.
_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.02, 0.5
_SAY_SO_SECONDS = 60.0
_LONGEST_NAME = 100
#: So many files in memory are worth a look whether they are still there.
_MANY = 10_000


@dataclass(slots=True)
class FilesMessage(SDKBatchMessage):
    """A BATCH message that says more than the SDK's; who does not know it passes over it.

    Attributes:
        on_bad_line: What the reader is to do at a line that is not an object, `fail` or `reject`:
            the tap does not look into the files.
        names: What the files are called in the source, for messages.
    """

    on_bad_line: str = "fail"
    names: list[str] = field(default_factory=list)


class BatchFileWriter:
    """Brings the files of a run, hour by hour, to where the reader finds them.

    Args:
        storage: `batch_config.storage`.
        max_bytes: What may lie there before the tap waits. One hour always may.

    Raises:
        TapError: The storage cannot be used.
    """

    def __init__(
        self,
        storage: StorageTarget,
        *,
        max_bytes: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._max_bytes = max_bytes
        self._sleep = sleep
        #: Size of each file that the reader may not have removed yet, and of all of them.
        self._waiting: dict[str, int] = {}
        self._held = 0
        self._look_at = _MANY
        self._count = 0
        self._folder = open_run_folder(storage)
        self._folder.sweep()

    def write(self, members: Sequence[Member]) -> list[str]:
        """Copy the verified files of an hour as they are, once there is room for them.

        Returns:
            Their URLs in the same order, for the manifest of a BATCH message.

        Raises:
            TapError: A file cannot be read or written, or the reader is gone.
        """
        # For the whole hour at once: its files are not removed before the reader knows of them.
        self._wait_for_room(sum(member.packed_bytes for member in members))
        return [self._write(member) for member in members]

    def finish(self) -> None:
        """Remove, at the end of a good run, what could not be judged at its beginning."""
        if seconds := self._folder.sweep():
            self._sleep(seconds)
            self._folder.sweep()

    def close(self) -> None:
        """Let go. What lies there is the reader's; a later run sweeps what it leaves."""
        self._folder.close()

    def _write(self, member: Member) -> str:
        self._count += 1
        name = f"{self._count:06d}-{_plain(member.name)}"
        path = member.store.local_path(member.name) if member.is_gzip else None
        if not self._folder.link(path, name):
            self._folder.write(name, member.gzip_blocks())
        self._waiting[name] = member.packed_bytes
        self._held += member.packed_bytes
        return self._folder.url(name)

    def _wait_for_room(self, size: int) -> None:
        look, said_at = _LOOK_SECONDS, time.monotonic()
        while self._lacks_room(size):
            if _reader_is_gone():
                raise TargetEnded
            if time.monotonic() - said_at >= _SAY_SO_SECONDS:
                said_at = time.monotonic()
                logger.info(
                    "Waiting for the target to take files: %d of them, %.1f GB, lie in the "
                    "storage of `batch_config`, and `max_spool_gb` allows no more.",
                    len(self._waiting),
                    self._held / 1024**3,
                )
            self._sleep(look)
            look = min(look * 2, _LONGEST_LOOK_SECONDS)

    def _lacks_room(self, size: int) -> bool:
        if self._held + size > self._max_bytes or len(self._waiting) >= self._look_at:
            left = self._folder.names()
            self._waiting = {name: held for name, held in self._waiting.items() if name in left}
            self._held = sum(self._waiting.values())
            self._look_at = max(_MANY, 2 * len(self._waiting))
        return bool(self._waiting) and self._held + size > self._max_bytes


def _plain(name: str) -> str:
    """Return the last part of a file's name, in letters that no URL escapes."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", re.split(r"[/\\]", name)[-1])[-_LONGEST_NAME:]


def _reader_is_gone() -> bool:
    """Return True if the other end of our output is closed, without writing to it."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
