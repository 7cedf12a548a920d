"""The preview: the very bodies that would be sent, as lines of a file."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from isal import igzip

from target_posthog.capture.earlier_previews import set_aside
from target_posthog.capture.results import SendResult
from target_posthog.common.file_locks import try_lock
from target_posthog.errors import RunAgain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from target_posthog.capture.batches import Batch


class PreviewFile:
    """A `Transport` that writes one body a line to `<folder>/preview-<start>-<process>.jsonl`.

    Attributes:
        earlier: the folders that earlier previews were moved to; see `earlier_previews`.
    """

    def __init__(self, folder: Path, started: datetime) -> None:
        self._folder = folder
        self.path = folder / f"preview-{started:%Y%m%dT%H%M%S}Z-{os.getpid()}.jsonl"
        self._file: IO[bytes] | None = None
        self.earlier: Sequence[Path] = ()

    def begin(self) -> None:
        """Let what lies in the folder be of this run alone."""
        self.earlier = set_aside(self._folder)

    def send(self, batch: Batch) -> SendResult:
        """Write one body; it is always accepted."""
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
                with suppress(OSError):  # a disk without locks
                    try_lock(self._file.fileno(), alone=True)
            body: bytes = igzip.decompress(batch.packed)  # type: ignore[no-untyped-call]
            self._file.write(body + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error
        return SendResult()

    def stop(self) -> None:
        """Do nothing: nothing is waited for."""

    def count_others(self) -> int:
        """Return how many previews of other runs lie beside this one."""
        return sum(path != self.path for path in self._folder.glob("preview-*.jsonl"))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            # What was not flushed is what `send` has failed on, and reported.
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _unwritable(self, error: OSError) -> RunAgain:
        return RunAgain(
            f"The preview in {self._folder} cannot be written: {error.strerror}.",
            "Make room or set `preview_path` to another folder, and run again.",
        )
