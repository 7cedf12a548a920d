"""The command `target-posthog-replay`: rejected records once more, the target's own way.

A file stays as it is until everything that came of it is accepted or written down anew. Then one
rename puts what is left in its place. A crash before it leads to the same uuids being sent again.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click
from typing_extensions import override

from target_posthog import progress
from target_posthog.cli import run
from target_posthog.common.remote_lines import folder_of, is_address
from target_posthog.errors import RunAgain, TargetPosthogError
from target_posthog.formats.converter import AMPLITUDE_FIELDS
from target_posthog.model import AddedEvent, Converted, Json, Link, Rejected, Skipped
from target_posthog.posthog.events import prepare
from target_posthog.rejects.files import (
    files_in,
    free_name,
    give_second_name,
    is_at,
    save_folder,
    unreadable,
)
from target_posthog.rejects.lines import OtherLine, RecordLine, line_of
from target_posthog.rejects.names import is_of_another, owner_of
from target_posthog.rejects.remote_files import RemoteRejectFiles
from target_posthog.rejects.writer import Rejects, is_ours
from target_posthog.signals import SIGNALS, StoppedBySignal
from target_posthog.sinks import PosthogSink
from target_posthog.target import TargetPosthog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from target_posthog.runtime import Runtime

NAME = "target-posthog-replay"
_FILES_ARE_SAFE = "Rejects files that were not done are as they were."
#: The run is done, and something could not be sent (see `errors.TooManyRejects`).
_SOMETHING_LEFT = 3
#: A rejected Amplitude row may lack either of the two; its stream's schema has both.
_AMPLITUDE_SCHEMA: Json = {"properties": {name: {} for name in sorted(AMPLITUDE_FIELDS)}}


class _Stopped(TargetPosthogError):
    """Another error, for a command that moves no state."""

    def __init__(self, error: TargetPosthogError) -> None:
        self.exit_code = error.exit_code  # type: ignore[misc] # of the error that it stands for
        self.saved = _FILES_ARE_SAFE if error.saved else ""  # type: ignore[misc] # same
        super().__init__(error.happened, error.remedy)


class _Remaining(Rejects):
    """The rejects of a replay: the lines that stay in the file, and which events they are."""

    lines = 0

    def begin(self, path: Path) -> None:
        """Write what remains of the next file to `path`."""
        self.write_to(path)
        self.lines, self.uuids = 0, set[Any]()

    @override
    def write(self, rejected: Rejected, record: Json | str) -> None:
        super().write(rejected, record)
        if rejected.stage == "send" and isinstance(record, dict):
            self.uuids.add(record.get("uuid"))

    @override
    def keep(self, line: bytes) -> None:
        super().keep(line)
        self.lines += 1


@dataclass
class _File:
    """What became of the lines of one file: how many there were, sent, and not sendable."""

    lines: int = 0
    sent: int = 0
    bad_lines: int = 0
    without_stream: int = 0


class Replay(TargetPosthog):
    """The target with rejects files as its input, and no state."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._sinks: dict[tuple[Any, ...], PosthogSink] = {}
        self._left = 0
        self._of_others = 0

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        return command

    @override
    def _open(self) -> Runtime:
        # A replay writes no more than it reads, so it cannot fill the disk.
        self._config["max_reject_ratio"] = 1.0
        return super()._open()

    @override
    def _open_rejects(self, started: datetime) -> Rejects:
        # The first file to be replayed says where.
        self._remaining = _Remaining(Path(), started)
        return self._remaining

    def replay(self, places: Sequence[str], stream: str | None) -> int:
        """Send what is in rejects files and folders; return the exit code.

        Args:
            places: files, or folders of `*.jsonl`, of this machine or at addresses for fsspec.
            stream: of records that are no Amplitude rows, where their line does not say.

        Raises:
            TargetPosthogError: not everything was delivered; the files not yet done stay.
        """
        self._begin(goes_on=True)
        addresses = [place for place in places if is_address(place)]
        paths = [Path(folder_of(place)) for place in places if place not in addresses]
        named = {path.resolve() for path in paths}
        files = [path for path in files_in(paths) if path in named or self._is_ours(path.name)]
        for path in files:
            self._replay_file(path, stream)
        count = len(files) + sum(self._replay_remote(one, stream) for one in addresses)
        self._say_the_end(count)
        self.close()
        return _SOMETHING_LEFT if self._left else 0

    def _replay_remote(self, address: str, stream: str | None) -> int:
        """Replay copies of the files at an address, and put back what becomes of each."""
        with tempfile.TemporaryDirectory(prefix="target-posthog-") as folder:
            remote = RemoteRejectFiles(address, Path(folder))
            is_file = address.endswith(".jsonl")
            names = [name for name in remote.names() if is_file or self._is_ours(name)]
            for name in names:
                self._replay_file(remote.fetch(name), stream)
                remote.put_back(name)
            return len(names)

    def _is_ours(self, name: str) -> bool:
        """Return True if a file that nobody named is to be sent to this project."""
        key = self.config.get("api_key")
        if is_of_another(name, owner_of(key) if key else None):
            self._of_others += 1
            return False
        return True

    def _replay_file(self, path: Path, stream: str | None) -> None:
        part = path.with_name(f"{path.name}.part")
        try:
            with path.open("rb") as file:
                if not is_ours(file) or not is_at(file, path):
                    self._left += 1
                    self.logger.warning("%s is in use by another run: left as it is.", path)
                    return
                self._remaining.begin(part)
                done = self._send_lines(file, path, stream)
                self._remaining.close()
                self._put_in_place(path, part, done)
        except OSError as error:
            raise unreadable(path, error) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        self._tell(path, done)

    def _send_lines(self, file: IO[bytes], path: Path, stream: str | None) -> _File:
        """Send the records first, then what we had added: a record may have told it meanwhile."""
        done = _File()
        added: list[AddedEvent] = []
        for raw in file:
            done.lines += 1
            line = line_of(raw)
            if isinstance(line, AddedEvent):
                added.append(line)
                done.sent += 1
            elif isinstance(line, RecordLine) and (sink := self._sink_of(line, stream)):
                sink.process_record(line.record, {})
                done.sent += 1
            else:
                self._remaining.keep(raw.rstrip(b"\r\n"))
                self._note(line, path, done)
            self._show_progress()
        self.delivery.flush()
        self._send_added(added)
        return done

    def _note(self, line: RecordLine | OtherLine, path: Path, done: _File) -> None:
        """Count a line that cannot be sent."""
        if isinstance(line, RecordLine):
            done.without_stream += 1
            self._left += 1
        elif line.is_bad_line:
            done.bad_lines += 1
        else:
            self._left += 1
            self.logger.warning(
                "Line %d of %s is not a line of a rejects file; it stays.", done.lines, path
            )

    def _sink_of(self, line: RecordLine, stream: str | None) -> PosthogSink | None:
        """Return the sink that converts a record; None when its stream would have to be guessed."""
        source_format = self.config["source_format"]
        name = line.stream
        if name is None and source_format != "fields" and line.record.keys() & AMPLITUDE_FIELDS:
            return self._sink("events", (), _AMPLITUDE_SCHEMA)
        if name is None and source_format in {"amplitude", "posthog"}:
            name = "events"
        name = name or stream
        return None if name is None else self._sink(name, line.key_properties, {"properties": {}})

    def _sink(self, stream: str, key: tuple[str, ...], schema: Json) -> PosthogSink:
        known = (stream, key, *schema["properties"])
        if known not in self._sinks:
            self._sinks[known] = PosthogSink(self, stream, {"type": "object", **schema}, key)
        return self._sinks[known]

    def _send_added(self, added: Iterable[AddedEvent]) -> None:
        """Send identity and group events that PostHog was not told since."""
        sent: list[AddedEvent] = []
        for event in added:
            if self.runtime.links.is_obsolete(event.tells):
                self.delivery.take(Skipped("already_told"), event)
            else:
                latest = self.delivery.latest_time
                item = prepare(Converted(event), None, self.runtime.wire.fitted, latest)
                self.delivery.take(item, event)
                if not isinstance(item, Rejected):
                    sent.append(event)
        self.delivery.flush()
        refused = self._remaining.uuids
        told = [event.tells for event in sent if event["uuid"] not in refused]
        self.runtime.links.accept(
            [one for one in told if isinstance(one, Link)],
            [one for one in told if not isinstance(one, Link)],
        )

    def _put_in_place(self, path: Path, part: Path, done: _File) -> None:
        """Let a file hold what remains of it, and keep what it was as `….replayed`."""
        if self.runtime.preview is not None or not done.sent:
            return
        if not self._remaining.lines:
            path.rename(free_name(path))
        else:
            if self._remaining.lines < done.lines:
                give_second_name(path, free_name(path))
            part.replace(path)
        save_folder(path.parent)

    def _tell(self, path: Path, done: _File) -> None:
        if done.bad_lines:
            self.logger.warning(
                "%s holds %d lines that are not records (`bad_line`): they cannot be sent, so "
                "they stay.",
                path,
                done.bad_lines,
            )
        if done.without_stream:
            self.logger.warning(
                "%s holds %d records that name no stream: give it with --stream.",
                path,
                done.without_stream,
            )

    def _say_the_end(self, files: int) -> None:
        if self._of_others:
            self.logger.warning(
                "Rejects files of a preview or of another PostHog project: %d, left as they are. "
                "Name a file on the command line to send it here all the same.",
                self._of_others,
            )
        if not files:
            self.logger.info("There are no rejects; nothing to do.")
            return
        destination = f"replayed {files} rejects files"
        if self.runtime.preview is not None:
            destination += f" to {self.config['preview_path']}, nothing was sent"
        block = progress.summary(
            self.delivery.counts,
            seconds=time.monotonic() - self._started,
            destination=destination,
            rejects="the rejects files again; they hold what is left",
            source="rejected records",
        )
        for line in block.splitlines():
            self.logger.info(line)


@click.command(NAME, context_settings={"help_option_names": ["--help"]})
@click.version_option(package_name=TargetPosthog.name)
@click.option(
    "--config",
    multiple=True,
    is_eager=True,
    callback=TargetPosthog.cb_config,
    help="The target's configuration file, or 'ENV' for environment variables.",
)
@click.option("--stream", help="The stream of records that are no Amplitude rows.")
@click.argument("paths", nargs=-1)
def command(config: Any, stream: str | None, paths: tuple[str, ...]) -> int:
    """Send rejected records again.

    PATHS are rejects files, or folders of them, or addresses such as s3://bucket/rejects; by
    default rejects_path. What is
    accepted leaves its file; the file as it was is kept as NAME.replayed.
    """
    try:
        target = Replay(
            config=config.config, validate_config=True, parse_env_config=config.parse_env
        )
        return target.replay(paths or _places_of(target.config["rejects_path"]), stream)
    except StoppedBySignal as signal:
        raise _Stopped(RunAgain(f"Stopped by {signal}.", "Run again to go on.")) from None
    except TargetPosthogError as error:
        raise _Stopped(error) from error


def _places_of(rejects_path: str) -> list[str]:
    """Return where the runs' rejects are; without rejects no run makes a folder."""
    there = is_address(rejects_path) or Path(folder_of(rejects_path)).exists()
    return [rejects_path] if there else []


def main() -> NoReturn:
    """Run the command and leave with its exit code (see `errors`)."""
    os.umask(0o077)  # see `__main__`
    SIGNALS.listen()
    sys.exit(run(Replay.cli, Replay.name, reads_a_tap=False))
