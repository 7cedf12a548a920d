"""The command `target-posthog-replay`: rejected records once more, the target's own way."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from target_posthog.commands.options import arguments_of, plugin_command, program_of
from target_posthog.commands.replay_file import FileReplay
from target_posthog.commands.replay_target import ReplayTarget
from target_posthog.common.quantities import count
from target_posthog.common.remote_lines import folder_of, is_address
from target_posthog.common.signals import StoppedBySignal
from target_posthog.errors import RunAgain, TargetPosthogError
from target_posthog.monitor import log_lines
from target_posthog.progress.end_of_run import block_of, command_for
from target_posthog.rejects.codes import CODES
from target_posthog.rejects.files import files_in, places_of
from target_posthog.rejects.names import is_of_another, owner_of, remote_name_of
from target_posthog.rejects.remote_files import RemoteRejectFiles

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

logger = logging.getLogger("target-posthog")

_FILES_ARE_SAFE = "Rejects files that were not done are as they were."
#: The run is done, and something could not be sent (see `errors.TooManyRejects`).
_SOMETHING_LEFT = 3


class _Stopped(TargetPosthogError):
    """Another error, for a command that moves no state."""

    def __init__(self, error: TargetPosthogError) -> None:
        self.exit_code = error.exit_code
        self.saved = _FILES_ARE_SAFE if error.saved else ""
        super().__init__(error.happened, error.remedy)


class Replay:
    """Sends what rejects files hold."""

    def __init__(
        self, target: ReplayTarget, stream: str | None = None, codes: Collection[str] = ()
    ) -> None:
        self._target = target
        self._stream = stream
        self._codes = codes
        self._started = time.monotonic()
        self._left = 0
        self._of_others = 0

    def run(self, places: Sequence[str]) -> int:
        """Send what is in rejects files and folders; return the exit code.

        Places are files, or folders of `*.jsonl`, of this machine or at addresses for fsspec.

        Raises:
            TargetPosthogError: not everything was delivered; the files not yet done stay.
        """
        self._target.begin()
        addresses = [place for place in places if is_address(place)]
        paths = [Path(folder_of(place)) for place in places if place not in addresses]
        named = {path.resolve() for path in paths}
        files = [path for path in files_in(paths) if path in named or self._is_ours(path.name)]
        for path in files:
            self._replay_file(path)
        self._say_the_end(len(files) + sum(map(self._replay_remote, addresses)))
        self._target.close()
        counts, settings = self._target.delivery.counts, self._target.settings
        failed = counts.rejected.total() > counts.exported * settings.max_reject_ratio
        return _SOMETHING_LEFT if self._left or failed else 0

    def _replay_remote(self, address: str) -> int:
        """Replay copies of the files at an address, and put back what becomes of each."""
        with tempfile.TemporaryDirectory(prefix="target-posthog-") as folder:
            remote = RemoteRejectFiles(address, Path(folder))
            is_file = address.endswith(".jsonl")
            names = [name for name in remote.names() if is_file or self._is_ours(name)]
            for name in names:
                self._replay_object(remote, name)
            return len(names)

    def _replay_object(self, remote: RemoteRejectFiles, name: str) -> None:
        """Replay one of them, unless its run goes on, or another replay is at it.

        What a run has rejected of an hour is in the book once the hour is over, and not before.
        """
        lock = self._target.runtime.lock_of_rejects(remote_name_of(name))
        if lock is not None and not lock.take():
            lock.close()
            self._left += 1
            logger.warning("%s is in use by another run: left as it is.", name)
            return
        try:
            if remote.is_there(name):
                self._replay_file(remote.fetch(name))
                remote.put_back(name)
        finally:
            if lock is not None:
                lock.close()

    def _replay_file(self, path: Path) -> None:
        file = FileReplay(self._target, path, self._stream, self._codes)
        file.run()
        self._left += file.left

    def _is_ours(self, name: str) -> bool:
        """Return True if a file that nobody named is to be sent to this project."""
        key = self._target.settings.api_key
        if is_of_another(name, owner_of(key) if key else None):
            self._of_others += 1
            return False
        return True

    def _say_the_end(self, files: int) -> None:
        if self._of_others:
            logger.warning(
                "Rejects files of a preview or of another PostHog project: %d, left as they are. "
                "Name a file on the command line to send it here all the same.",
                self._of_others,
            )
        if not files:
            logger.info("There are no rejects; nothing to do.")
            return
        destination = f"replayed {count(files, 'rejects file')}"
        if self._target.runtime.preview is not None:
            destination += f" to {self._target.settings.preview_path}, nothing was sent"
        counts = self._target.delivery.counts
        block = block_of(
            counts,
            seconds=time.monotonic() - self._started,
            destination=destination,
            source="rejected records",
        )
        log_lines(block)
        if counts.rejected or counts.added_rejected:
            rejects = command_for("rejects", os.environ)
            logger.info("Next: see what is left, and why: `%s`.", rejects)


@plugin_command("target-posthog-replay")
@click.option("--stream", help="The stream of records that are no Amplitude rows.")
@click.option(
    "--code",
    "codes",
    multiple=True,
    type=click.Choice(list(CODES)),
    help="Only the rejects of this code; the others stay. May be given more than once.",
)
@click.argument("paths", nargs=-1)
def command(config: Any, stream: str | None, codes: tuple[str, ...], paths: tuple[str, ...]) -> int:
    """Send rejected records again.

    PATHS are rejects files, or folders of them, or addresses such as s3://bucket/rejects; by
    default rejects_path. What is accepted leaves its file; the file as it was is kept as
    NAME.replayed.
    """
    try:
        target = ReplayTarget(**arguments_of(config))
        places = paths or places_of(target.settings.rejects_path)
        return Replay(target, stream, codes).run(places)
    except StoppedBySignal as signal:
        raise _Stopped(RunAgain(f"Stopped by {signal}.", "Run again to go on.")) from None
    except TargetPosthogError as error:
        raise _Stopped(error) from error


main = program_of(command)
