"""Batch files and blocks of RECORD lines in, delivered in the order of their lines.

A thread reads blocks of lines of files, workers convert them, and here they are taken back in
order: file after file, line after line. So BATCH gives the order of RECORD, however many workers
there are. Blocks of RECORD lines, and the states between them, go the same way.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from target_posthog.books.counts import unit_of
from target_posthog.common.object_cutter import NotUtf8, ObjectCutter
from target_posthog.errors import BrokenInput
from target_posthog.input.batch_files import hold
from target_posthog.model import BlockOfLines, Rejected, Skipped
from target_posthog.workers.block_reader import (
    BlockReader,
    EndOfFile,
    Mark,
    RawBlock,
    StartOfFile,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from target_posthog.common.object_cutter import Found
    from target_posthog.delivery.delivery import Delivery
    from target_posthog.input.batch_files import BatchFile
    from target_posthog.input.intake import Intake
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.workers.messages import BlockStream, ConvertedBlock, LeftOut
    from target_posthog.workers.pool import InlineWorkers, Workers
    from target_posthog.workers.record_blocks import RecordBlock

#: How many blocks may be converted and not taken yet. What PostHog takes a while for is made up
#: for by what is converted meanwhile; at some 600 KB each with what came of them.
_MOST_BLOCKS = 48
#: How long the target may wait for its input while files are read. Seconds.
_LONGEST_WAIT = 1.0


class _File:
    """A file whose lines are taken.

    Attributes:
        file: itself.
        stream: whose records it holds.
        intake: converts what workers leave.
        cutter: takes its unusual lines apart.
        line: the number of the line that comes next.
    """

    def __init__(self, start: StartOfFile, intake: Intake) -> None:
        self.file = start.file
        self.stream = start.stream
        self.intake = intake
        self.cutter = ObjectCutter()
        self.line = 1

    def block_of(self, read: RawBlock) -> BlockOfLines:
        """Return a block of its lines."""
        return BlockOfLines(
            read.raw, is_whole=read.is_whole, known=self.known, stream=self.stream.name
        )

    def known(self, record: Any) -> Any:
        """Return a record as the rejects file wants it."""
        converter = self.intake.converter
        return record if converter.is_amplitude(record) else converter.known(record)


class _Block:
    """A block on its way."""

    def __init__(self, file: _File, lines: BlockOfLines) -> None:
        self.file = file
        self.lines = lines
        self.result: ConvertedBlock | None = None

    @property
    def is_ready(self) -> bool:
        return self.result is not None or not self.lines.is_whole


class _Records:
    """A block of RECORD lines on its way.

    Attributes:
        messages: the lines as they came.
        number: the number of the first one in the input.
        lines: the records.
    """

    def __init__(self, messages: Sequence[bytes], number: int, lines: BlockOfLines) -> None:
        self.messages = messages
        self.number = number
        self.lines = lines
        self.result: ConvertedBlock | None = None

    @property
    def is_ready(self) -> bool:
        return self.result is not None


class BatchIntake:
    """Takes the files of BATCH messages, and blocks of RECORD lines.

    Args:
        workers: convert blocks.
        here: converts small ones.
        delivery: takes the events.
        intake_of: returns what converts a stream's records in this process.
        take_line: takes a RECORD line with its number, as the SDK does.
        say: logs what workers have to say, a level and a text, once.
    """

    def __init__(
        self,
        workers: Workers,
        here: InlineWorkers,
        delivery: Delivery,
        intake_of: Callable[[str], Intake],
        *,
        take_line: Callable[[bytes, int], None],
        say: Callable[[int, str], None],
    ) -> None:
        self._workers = workers
        self._here = here
        self._take_line = take_line
        self._say = say
        self._delivery = delivery
        self._intake_of = intake_of
        self._reader = BlockReader()
        self._waiting: deque[_Block | _Records | EndOfFile | Mark | Unreadable] = deque()
        self._given: dict[int, _Block | _Records] = {}
        self._blocks = self._numbered = 0
        #: Of the files that are not begun: a stream may have another schema by then.
        self._intakes: deque[Intake] = deque()
        #: The files whose ends were not taken yet; the last is the one that is read.
        self._files: deque[_File] = deque()
        #: Whether something cannot be read, and nothing behind it is taken.
        self.is_stopped = False
        self._held: dict[Path, int] = {}
        #: The entries of settings that rows met something for; see `entries_met`.
        self.met: set[tuple[str, str]] = set()

    def add(self, stream: BlockStream, files: Sequence[BatchFile]) -> None:
        """Take the files of a BATCH message.

        Raises:
            TargetPosthogError: one of them is not there.
        """
        for folder in {folder for file in files if (folder := file.run_folder)} - self._held.keys():
            lock = hold(folder)
            if lock is not None:
                self._held[folder] = lock
        for file in files:
            file.size()
        intake = self._intake_of(stream.name)
        for file in files:
            self._intakes.append(intake)
            self._reader.add(StartOfFile(stream, file))

    def add_records(self, stream: BlockStream, block: RecordBlock) -> None:
        """Take RECORD lines, when there is room and no file is read."""
        raw = block.raw()
        known = self._intake_of(stream.name).converter.known
        records = _Records(
            block.lines, block.number, BlockOfLines(raw, known=known, stream=stream.name)
        )
        self._waiting.append(records)
        self._blocks += 1
        if block.is_for_workers:
            self._numbered += 1
            self._given[self._numbered] = records
            self._workers.give(self._numbered, stream, raw, self._delivery.latest_time)
        else:
            self._here.give(0, stream, raw, self._delivery.latest_time)
            ((_, records.result),) = self._here.done()

    def note(self, mark: Any) -> None:
        """Take a mark behind all that came so far; see `Delivery.note`."""
        if self._reader.is_idle:
            self._waiting.append(Mark(mark))
        else:
            self._reader.add(Mark(mark))

    @property
    def is_idle(self) -> bool:
        """Whether the delivery has everything, or takes nothing more."""
        return self.is_stopped or (self._reader.is_idle and not self._waiting)

    @property
    def has_room_for_records(self) -> bool:
        """Whether a block of records can be taken: files come before it, and not too much waits."""
        return self.is_stopped or (self._reader.is_idle and self._has_space)

    def attend(self) -> tuple[list[int], float | None]:
        """Do what can be done now, without waiting.

        Returns:
            The descriptors that have news for this next, and the seconds after which to call it
            again in any case; None when there is nothing to do.

        Raises:
            TargetPosthogError: a file cannot be read, or a worker cannot go on. What came before
                is delivered.
        """
        while not self.is_idle and self._receive() | self._give() | self._take():
            pass
        if self.is_idle:
            return [], None
        descriptors = list(self._workers.descriptors())
        if self._has_space:
            descriptors.append(self._reader.descriptor())
        return descriptors, _LONGEST_WAIT

    def close(self) -> None:
        """End the work; what is under way is not waited for."""
        self._reader.close()
        self._workers.close()
        for lock in self._held.values():
            os.close(lock)
        self._held.clear()

    @property
    def _has_space(self) -> bool:
        return self._blocks < _MOST_BLOCKS and self._workers.has_room

    def _receive(self) -> bool:
        """Take what workers have done; tell whether there was anything."""
        received = False
        for number, block in self._workers.done():
            self._given.pop(number).result = block
            received = True
        return received

    def _give(self) -> bool:
        """Give workers what was read; tell whether there was anything."""
        given = False
        while self._has_space and (read := self._reader.next()) is not None:
            given = True
            if isinstance(read, StartOfFile):
                self._files.append(_File(read, self._intakes.popleft()))
            elif isinstance(read, RawBlock):
                self._give_block(read)
            else:
                self._waiting.append(read)
        return given

    def _give_block(self, read: RawBlock) -> None:
        file = self._files[-1]
        block = _Block(file, file.block_of(read))
        self._waiting.append(block)
        self._blocks += 1
        if read.is_whole:
            self._numbered += 1
            self._given[self._numbered] = block
            self._workers.give(self._numbered, file.stream, read.raw, self._delivery.latest_time)

    def _take(self) -> bool:
        """Take what is next in order, as long as the delivery has room; tell whether any was."""
        taken = False
        self._delivery.attend()
        while self._waiting and self._delivery.dispatcher.has_room:
            first = self._waiting[0]
            if isinstance(first, (_Block, _Records)) and not first.is_ready:
                break
            self._waiting.popleft()
            taken = True
            if isinstance(first, Unreadable):
                self._stop(first.error)
            elif isinstance(first, Mark):
                self._delivery.note(first.value)
            elif isinstance(first, EndOfFile):
                self._end_file(first)
            elif isinstance(first, _Records):
                self._blocks -= 1
                self._take_records(first)
            else:
                self._blocks -= 1
                self._take_block(first)
        return taken

    def _stop(self, error: Exception) -> None:
        """Deliver what came before something that cannot be read, and take nothing more.

        Raises:
            Exception: the error.
        """
        self.is_stopped = True
        self._delivery.flush()
        raise error

    def _take_records(self, records: _Records) -> None:
        """Take a block of RECORD lines; what is not converted goes the SDK's way, at its place."""
        result, lines = records.result, records.lines
        assert result is not None  # noqa: S101 - it is ready
        for item in result.items:
            item.record = lines
        others: dict[int, LeftOut | None] = {one.index: one for one in result.left_out}
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
                self._stop(error)
        if taken:
            self._take_items(lines.stream, result.items[taken:])
        elif result.items:
            self._delivery.take_measured(
                result.items, result.size, result.latest, lines.stream, result.counts
            )
        self._hear(result)

    def _take_items(self, stream: str, items: Sequence[OutgoingEvent]) -> None:
        if items:
            self._delivery.take_events(items, stream)

    def _take_block(self, block: _Block) -> None:
        result, file, lines = block.result, block.file, block.lines
        if result is None or result.unread or file.cutter.is_open:
            with self._stopping(file):
                self._take_lines(block, result)
            return
        for item in result.items:
            item.record = lines
        if result.items:
            self._delivery.take_measured(
                result.items, result.size, result.latest, lines.stream, result.counts
            )
        # Behind the events, so that their share is never larger than line by line.
        for one in result.left_out:
            self._leave_out(one, lines)
        file.line += result.lines
        self._hear(result)

    def _take_lines(self, block: _Block, result: ConvertedBlock | None) -> None:
        """Take lines one by one: some of them are not one JSON object each.

        Raises:
            BrokenInput: one is no record, and its tap wants to stop there.
            NotUtf8: the file is text of another coding.
        """
        file, lines = block.file, block.lines
        items = {} if result is None else {item.index: item for item in result.items}
        left_out = {} if result is None else {one.index: one for one in result.left_out}
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

    def _take_found(self, file: _File, found: Sequence[Found]) -> None:
        """Take what was cut out of unusual lines.

        Raises:
            BrokenInput: one is no record, and its tap wants to stop there.
        """
        for one in found:
            if one.record is None:
                self._delivery.fates.take_unreadable(*file.file.rejected(one), file.stream.name)
            else:
                outcome = file.intake.outcome_of(one.record, self._delivery.latest_time)
                self._delivery.take(
                    outcome,
                    file.known(one.record),
                    stream=file.stream.name,
                    origin=file.intake.converter.origin_of(one.record),
                )

    def _end_file(self, end: EndOfFile) -> None:
        file = self._files.popleft()
        with self._stopping(file):
            self._take_found(file, file.cutter.end())
        self._delivery.gate.note(end.file)

    @contextmanager
    def _stopping(self, file: _File) -> Iterator[None]:
        """Stop at a file that cannot be read on.

        Raises:
            BrokenInput: it cannot.
        """
        try:
            yield
        except NotUtf8 as error:
            self._stop(file.file.not_utf8(error))
        except BrokenInput as error:
            self._stop(error)

    def _leave_out(self, one: LeftOut, lines: BlockOfLines) -> None:
        rejected = Rejected(one.code, one.reason, one.stage)
        outcome = rejected if one.stage else Skipped(one.code)
        unit = unit_of(lines.stream, one.origin)
        self._delivery.fates.take(outcome, lines, one.index, unit)

    def _hear(self, result: ConvertedBlock) -> None:
        self.met.update(result.met)
        for level, text in result.said:
            self._say(level, text)
