"""The command `target-posthog-replay`: rejected records once more, the target's own way.

A file stays as it is until everything that came of it is accepted or written down anew, and the
book says so. Then one rename puts what is left in its place. A crash before it leads to the same
uuids being sent again, and the book counts none of them twice.
"""

from __future__ import annotations

import logging
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

from target_posthog.commands.options import config_option, leave_with
from target_posthog.commands.replay_target import ReplayTarget
from target_posthog.common.remote_lines import folder_of, is_address
from target_posthog.common.signals import StoppedBySignal
from target_posthog.errors import RunAgain, TargetPosthogError
from target_posthog.model import AddedEvent, Converted, Link, Rejected, Skipped
from target_posthog.posthog.events import prepare
from target_posthog.progress.end_of_run import block_of
from target_posthog.rejects.codes import CODES
from target_posthog.rejects.files import (
    files_in,
    free_name,
    give_second_name,
    is_at,
    places_of,
    save_folder,
    unreadable,
)
from target_posthog.rejects.lines import OtherLine, RecordLine, code_of, line_of
from target_posthog.rejects.names import is_of_another, owner_of
from target_posthog.rejects.remote_files import RemoteRejectFiles
from target_posthog.rejects.writer import is_ours
from target_posthog.target import TargetPosthog

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

logger = logging.getLogger("target-posthog")

NAME = "target-posthog-replay"
_FILES_ARE_SAFE = "Rejects files that were not done are as they were."
_NEXT = (
    "Next: look at the rejects files again; they hold what is left, one line for each, with its "
    "reason."
)
#: Of so many records at once the book is told what became of them.
_WRITTEN_TOGETHER = 5_000
#: The run is done, and something could not be sent (see `errors.TooManyRejects`).
_SOMETHING_LEFT = 3


class _Stopped(TargetPosthogError):
    """Another error, for a command that moves no state."""

    def __init__(self, error: TargetPosthogError) -> None:
        self.exit_code = error.exit_code
        self.saved = _FILES_ARE_SAFE if error.saved else ""
        super().__init__(error.happened, error.remedy)


class _FileReplay:
    """One file on its way.

    Args:
        target: converts and delivers.
        path: the file.
        stream: see `ReplayTarget.send`.
        codes: only lines of these codes are sent; of all when there are none.

    Attributes:
        left: how many of its lines somebody has to look at.
    """

    def __init__(
        self, target: ReplayTarget, path: Path, stream: str | None, codes: Collection[str]
    ) -> None:
        self._target = target
        self._codes = codes
        self._path = path
        self._stream = stream
        self.left = 0
        self._lines = self._sent = self._bad_lines = self._without_stream = 0

    def run(self) -> None:
        """Send the file's records, and let it hold what remains.

        Raises:
            FixConfiguration: it cannot be read or replaced.
        """
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            with self._path.open("rb") as file:
                if not is_ours(file) or not is_at(file, self._path):
                    self.left += 1
                    logger.warning("%s is in use by another run: left as it is.", self._path)
                    return
                self._target.remaining.begin(part)
                self._send(file)
                self._target.remaining.close()
                self._put_in_place(part)
        except OSError as error:
            raise unreadable(self._path, error) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        self._warn()

    def _send(self, file: IO[bytes]) -> None:
        """Send the records first, then what we had added: a record may have told it meanwhile."""
        added: list[AddedEvent] = []
        for raw in file:
            self._lines += 1
            if self._codes and code_of(raw) not in self._codes:
                self._target.remaining.keep(raw.rstrip(b"\r\n"))
                continue
            line = line_of(raw)
            if isinstance(line, AddedEvent):
                added.append(line)
                self._sent += 1
            elif isinstance(line, RecordLine) and self._target.send(line, self._stream):
                self._sent += 1
            else:
                self._target.remaining.keep(raw.rstrip(b"\r\n"))
                self._note(line)
            if len(self._target.records) >= _WRITTEN_TOGETHER:
                self._target.write_down()
            self._target.show_progress()
        self._target.write_down()
        self._send_added(added)

    def _note(self, line: RecordLine | OtherLine) -> None:
        """Count a line that cannot be sent."""
        if isinstance(line, OtherLine) and line.is_bad_line:
            self._bad_lines += 1
            return
        self.left += 1
        if isinstance(line, RecordLine):
            self._without_stream += 1
        else:
            logger.warning(
                "Line %d of %s is not a line of a rejects file; it stays.", self._lines, self._path
            )

    def _send_added(self, added: Sequence[AddedEvent]) -> None:
        """Send identity and group events that PostHog was not told since."""
        runtime, delivery = self._target.runtime, self._target.delivery
        sent: list[AddedEvent] = []
        for event in added:
            if runtime.links.is_obsolete(event.tells):
                delivery.take(Skipped("already_told"), event)
            else:
                item = prepare(Converted(event), None, runtime.wire.fitted, delivery.latest_time)
                delivery.take(item, event)
                if not isinstance(item, Rejected):
                    sent.append(event)
        delivery.flush()
        refused = self._target.remaining.uuids
        told = [event.tells for event in sent if event["uuid"] not in refused]
        runtime.links.accept(
            [one for one in told if isinstance(one, Link)],
            [one for one in told if not isinstance(one, Link)],
        )

    def _put_in_place(self, part: Path) -> None:
        """Let the file hold what remains of it, and keep what it was as `….replayed`."""
        path, lines = self._path, self._target.remaining.lines
        if self._target.runtime.preview is not None or not self._sent:
            return
        if not lines:
            path.rename(free_name(path))
        else:
            if lines < self._lines:
                give_second_name(path, free_name(path))
            part.replace(path)
        save_folder(path.parent)

    def _warn(self) -> None:
        if self._bad_lines:
            logger.warning(
                "%s holds %d lines that are not records (`bad_line`): they cannot be sent, so "
                "they stay.",
                self._path,
                self._bad_lines,
            )
        if self._without_stream:
            logger.warning(
                "%s holds %d records that name no stream: give it with --stream.",
                self._path,
                self._without_stream,
            )


class Replay:
    """Sends what rejects files hold.

    Args:
        target: converts and delivers.
        stream: see `ReplayTarget.send`.
        codes: see `_FileReplay`.
    """

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

        Args:
            places: files, or folders of `*.jsonl`, of this machine or at addresses for fsspec.

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
        return _SOMETHING_LEFT if self._left else 0

    def _replay_remote(self, address: str) -> int:
        """Replay copies of the files at an address, and put back what becomes of each."""
        with tempfile.TemporaryDirectory(prefix="target-posthog-") as folder:
            remote = RemoteRejectFiles(address, Path(folder))
            is_file = address.endswith(".jsonl")
            names = [name for name in remote.names() if is_file or self._is_ours(name)]
            for name in names:
                self._replay_file(remote.fetch(name))
                remote.put_back(name)
            return len(names)

    def _replay_file(self, path: Path) -> None:
        file = _FileReplay(self._target, path, self._stream, self._codes)
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
        destination = f"replayed {files} rejects files"
        if self._target.runtime.preview is not None:
            destination += f" to {self._target.settings.preview_path}, nothing was sent"
        counts = self._target.delivery.counts
        block = block_of(
            counts,
            seconds=time.monotonic() - self._started,
            destination=destination,
            source="rejected records",
        )
        for line in block.splitlines():
            logger.info(line)
        if counts.rejected or counts.added_rejected:
            logger.info(_NEXT)


@click.command(NAME, context_settings={"help_option_names": ["--help"]})
@click.version_option(package_name=TargetPosthog.name)
@config_option
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
    default rejects_path. What is
    accepted leaves its file; the file as it was is kept as NAME.replayed.
    """
    try:
        target = ReplayTarget(
            config=config.config, validate_config=True, parse_env_config=config.parse_env
        )
        places = paths or places_of(target.settings.rejects_path)
        return Replay(target, stream, codes).run(places)
    except StoppedBySignal as signal:
        raise _Stopped(RunAgain(f"Stopped by {signal}.", "Run again to go on.")) from None
    except TargetPosthogError as error:
        raise _Stopped(error) from error


def main() -> NoReturn:
    """Run the command and leave with its exit code (see `errors`)."""
    leave_with(command)
