"""One rejects file on its way: its records are sent, and it holds what is left.

It stays as it is until everything that came of it is accepted or written down anew, and the book
says so. Then one rename puts what is left in its place. A crash before it leads to the same uuids
being sent again, and the book counts none of them twice.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from target_posthog.model import Converted, Link, Rejected, Skipped
from target_posthog.posthog.events import prepare
from target_posthog.rejects.files import (
    give_second_name,
    is_at,
    replayed_name,
    save_folder,
    unreadable,
)
from target_posthog.rejects.lines import AddedLine, OtherLine, RecordLine, code_of, line_of
from target_posthog.rejects.writer import is_ours

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from target_posthog.commands.replay_target import ReplayTarget
    from target_posthog.model import AddedEvent

logger = logging.getLogger("target-posthog")

#: Of so many records at once the book is told what became of them.
_WRITTEN_TOGETHER = 5_000


class FileReplay:
    """Sends what one file holds.

    Args:
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
        """Send the records first, then what we had added: a record may have led to the same."""
        added: list[AddedLine] = []
        for raw in file:
            self._lines += 1
            if self._codes and code_of(raw) not in self._codes:
                self._target.remaining.keep(raw.rstrip(b"\r\n"))
                continue
            line = line_of(raw)
            if isinstance(line, AddedLine):
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

    def _send_added(self, added: Sequence[AddedLine]) -> None:
        """Send identity and group events that PostHog has not accepted since."""
        runtime, delivery = self._target.runtime, self._target.delivery
        sent: list[AddedEvent] = []
        records = self._target.records
        for line in added:
            event = line.event
            is_told = runtime.links.is_obsolete(event.tells)
            records.begin_added(line, is_told=is_told)
            if is_told:
                delivery.take(Skipped("already_told"), event)
            else:
                converted = Converted(event, origin=records.origin)
                item = prepare(converted, None, runtime.wire.fitted, delivery.latest_time)
                delivery.take(item, event)
                if not isinstance(item, Rejected):
                    sent.append(event)
        # The book first: what comes again after a crash is counted once there.
        self._target.write_down()
        refused = self._target.remaining.uuids
        accepted = [event.tells for event in sent if event["uuid"] not in refused]
        runtime.links.accept(
            [what for what in accepted if isinstance(what, Link)],
            [what for what in accepted if not isinstance(what, Link)],
        )

    def _put_in_place(self, part: Path) -> None:
        """Let the file hold what remains of it, and keep what it was as `….replayed`."""
        path, lines = self._path, self._target.remaining.lines
        if self._target.runtime.preview is not None or not self._sent:
            return
        if not lines:
            path.rename(replayed_name(path))
        else:
            if lines < self._lines:
                give_second_name(path, replayed_name(path))
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
