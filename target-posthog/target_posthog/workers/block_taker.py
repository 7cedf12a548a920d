"""What became of a block of lines, to the delivery: each line in the order of the input."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import contextmanager
from typing import TYPE_CHECKING

from target_posthog.books.counts import unit_of
from target_posthog.common.object_cutter import NotUtf8
from target_posthog.errors import BrokenInput
from target_posthog.model import Rejected, Skipped
from target_posthog.sdk import RecordWithoutKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from target_posthog.common.object_cutter import Found
    from target_posthog.delivery.delivery import Delivery
    from target_posthog.model import BlockOfLines
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.workers.blocks import FileBlock, FileUnderWay, RecordsUnderWay
    from target_posthog.workers.messages import ConvertedBlock, LeftOut


class BlockTaker:
    """Hands converted blocks to the delivery.

    One class, as every line of a block takes one of its ways, in the order of the lines.

    Args:
        take_line: takes a RECORD line with its number, as the SDK does.
        say: logs what workers have to say, a level and a text, once.

    Attributes:
        is_stopped: something cannot be read, and nothing behind it is taken.
        met: the entries of settings that rows met something for; see `entries_met`.
    """

    def __init__(
        self,
        delivery: Delivery,
        take_line: Callable[[bytes, int], None],
        say: Callable[[int, str], None],
    ) -> None:
        self._delivery = delivery
        self._take_line = take_line
        self._say = say
        self.is_stopped = False
        self.met: set[tuple[str, str]] = set()

    def stop(self, error: Exception) -> None:
        """Deliver what came before something that cannot be read, and take nothing more.

        Raises:
            Exception: the error.
        """
        self.is_stopped = True
        self._delivery.flush()
        raise error

    def take_records(self, records: RecordsUnderWay) -> None:
        """Take RECORD lines; what is not converted goes the SDK's way, at its place."""
        result, lines = records.result, records.lines
        assert result is not None  # noqa: S101 - it is ready
        for item in result.items:
            item.record = lines
        others: dict[int, LeftOut | None] = {line.index: line for line in result.left_out}
        others.update(dict.fromkeys(result.unread))
        places = [item.index for item in result.items] if others else []
        taken = 0
        for index in sorted(others):
            before = bisect_left(places, index, taken)
            self._take_items(lines.stream, result.items[taken:before])
            taken = before
            left_out = others[index]
            if left_out is not None:
                self._leave_out(left_out, lines)
                continue
            try:
                self._take_line(records.messages[index], records.number + index)
            except BrokenInput as error:
                self.stop(error)
        if taken:
            self._take_items(lines.stream, result.items[taken:])
        else:
            self._take_all(result, lines)
        self._hear(result)

    def take_block(self, block: FileBlock) -> None:
        """Take lines of a file.

        Raises:
            BrokenInput: one is no record, and its tap wants to stop there.
        """
        result, file, lines = block.result, block.file, block.lines
        if result is None or result.unread or file.cutter.is_open:
            with self._stopping(file):
                self._take_lines(block, result)
            return
        for item in result.items:
            item.record = lines
        self._take_all(result, lines)
        # Behind the events, so that their share is never larger than line by line.
        for line in result.left_out:
            self._leave_out(line, lines)
        # A reject of PostHog's, of which there are few, has the line read again.
        lines.let_go()
        file.line += result.lines
        self._hear(result)

    def end_file(self, file: FileUnderWay) -> None:
        """Take the end of a file, all of whose blocks were taken.

        Raises:
            BrokenInput: its last line is no record, and its tap wants to stop there.
        """
        with self._stopping(file):
            self._take_found(file, file.cutter.end())
        self._delivery.gate.note(file.file)

    def _take_all(self, result: ConvertedBlock, lines: BlockOfLines) -> None:
        if result.items:
            self._delivery.take_events(result.items, lines.stream, result.measures)

    def _take_items(self, stream: str, items: Sequence[OutgoingEvent]) -> None:
        if items:
            self._delivery.take_events(items, stream)

    def _take_lines(self, block: FileBlock, result: ConvertedBlock | None) -> None:
        """Take lines one by one: some of them are not one JSON object each.

        Raises:
            BrokenInput: one is no record, and its tap wants to stop there.
            NotUtf8: the file is text of another coding.
        """
        file, lines = block.file, block.lines
        items = {} if result is None else {item.index: item for item in result.items}
        left_out = {} if result is None else {line.index: line for line in result.left_out}
        for index, line in enumerate(lines.lines()):
            if not file.cutter.is_open and index in items:
                items[index].record = lines
                self._delivery.take_events([items[index]], lines.stream)
            elif not file.cutter.is_open and index in left_out:
                self._leave_out(left_out[index], lines)
            else:
                self._take_found(file, file.cutter.feed(file.line, line))
            file.line += line.count(b"\n")
        if result is not None:
            self._hear(result)

    def _take_found(self, file: FileUnderWay, found: Sequence[Found]) -> None:
        """Take what was cut out of unusual lines.

        Raises:
            BrokenInput: one is no record, and its tap wants to stop there; or it lacks its key.
        """
        stream, converter = file.stream.name, file.intake.converter
        for text in found:
            if text.record is None:
                self._delivery.fates.take_unreadable(*file.file.rejected(text), stream)
                continue
            lacking = converter.lacking_key(text.record)
            if lacking:
                raise RecordWithoutKey(stream, lacking, f"{file.file.name}, {text.place}")
            self._delivery.take(
                file.intake.outcome_of(text.record, self._delivery.latest_time),
                converter.known(text.record),
                stream=stream,
                origin=converter.origin_of(text.record),
            )

    @contextmanager
    def _stopping(self, file: FileUnderWay) -> Iterator[None]:
        """Stop at a file that cannot be read on.

        Raises:
            BrokenInput: it cannot.
        """
        try:
            yield
        except NotUtf8 as error:
            self.stop(file.file.not_utf8(error))
        except BrokenInput as error:
            self.stop(error)

    def _leave_out(self, line: LeftOut, lines: BlockOfLines) -> None:
        rejected = Rejected(line.code, line.reason, line.stage)
        outcome = rejected if line.stage else Skipped(line.code)
        unit = unit_of(lines.stream, line.origin)
        self._delivery.fates.take(outcome, lines, line.index, unit, line.check)

    def _hear(self, result: ConvertedBlock) -> None:
        self.met.update(result.met)
        for level, text in result.said:
            self._say(level, text)
