"""Batch files and blocks of RECORD lines in, delivered in the order of their lines.

A thread reads blocks of lines of files, workers convert them, and here they are taken back in
order: file after file, line after line. So BATCH gives the order of RECORD, however many workers
there are. Blocks of RECORD lines, and the states between them, go the same way.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any

from target_posthog.input.batch_places import hold
from target_posthog.model import BlockOfLines
from target_posthog.workers.block_reader import (
    BlockReader,
    EndOfFile,
    Mark,
    RawBlock,
    StartOfFile,
    Unreadable,
)
from target_posthog.workers.blocks import FileBlock, FileUnderWay, RecordsUnderWay
from target_posthog.workers.shared_slots import MAX_LINES_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from target_posthog.delivery.delivery import Delivery
    from target_posthog.input.batch_files import BatchFile
    from target_posthog.input.intake import Intake
    from target_posthog.input.record_blocks import RecordBlock
    from target_posthog.workers.block_taker import BlockTaker
    from target_posthog.workers.messages import BlockStream
    from target_posthog.workers.pool import InlineWorkers, Workers

#: How many blocks may be converted and not taken yet. What PostHog takes a while for is made up
#: for by what is converted meanwhile; at some 600 KB each with what came of them.
_MOST_BLOCKS = 64
#: The same of RECORD lines: these are held as they came, too.
_MOST_BLOCKS_OF_RECORDS = 40
#: How long the target may wait for its input while files are read. Seconds.
_LONGEST_WAIT = 1.0


class OrderedIntake:
    """Takes the files of BATCH messages, and blocks of RECORD lines.

    One class, as the order is one: files, blocks, marks and ends stand in one row.

    Args:
        start_workers: starts what converts blocks, once there are some.
        here: converts small ones.
        intake_of: returns what converts a stream's records in this process.
    """

    def __init__(
        self,
        start_workers: Callable[[], Workers],
        here: InlineWorkers,
        delivery: Delivery,
        taker: BlockTaker,
        intake_of: Callable[[str], Intake],
    ) -> None:
        self._start_workers = start_workers
        self._started: Workers | None = None
        self._here = here
        self._delivery = delivery
        self._taker = taker
        self._intake_of = intake_of
        self._reader = BlockReader()
        self._waiting: deque[FileBlock | RecordsUnderWay | EndOfFile | Mark | Unreadable] = deque()
        self._given: dict[int, FileBlock | RecordsUnderWay] = {}
        self._blocks = self._numbered = 0
        #: Of the files that are not begun: a stream may have another schema by then.
        self._intakes: deque[Intake] = deque()
        #: The files whose ends were not taken yet; the last is the one that is read.
        self._files: deque[FileUnderWay] = deque()
        self._held: dict[Path, int] = {}

    def start(self) -> Workers:
        """Start the workers, before a thread is: they are copies of this process, if they can."""
        if self._started is None:
            self._started = self._start_workers()
        return self._started

    def add(self, stream: BlockStream, files: Sequence[BatchFile]) -> None:
        """Take the files of a BATCH message.

        Raises:
            TargetPosthogError: one of them is not there.
        """
        self.start()
        folders = {folder for file in files if (folder := file.place.run_folder)}
        for folder in folders - self._held.keys():
            lock = hold(folder)
            if lock is not None:
                self._held[folder] = lock
        for file in files:
            file.size()
        intake = self._intake_of(stream.name)
        for file in files:
            self._intakes.append(intake)
            self._reader.add(StartOfFile(stream, file))

    def add_records(self, stream: BlockStream, block: RecordBlock, *, are_shared: bool) -> None:
        """Take RECORD lines, when there is room and no file is read.

        With `are_shared`, workers convert them, if that pays.
        """
        raw = block.raw()
        known = self._intake_of(stream.name).converter.known
        records = RecordsUnderWay(
            block.lines, block.number, BlockOfLines(raw, known=known, stream=stream.name)
        )
        self._blocks += 1
        if are_shared and not block.is_small and block.size <= MAX_LINES_BYTES:
            self._give(records, stream, raw)
        else:
            self._here.give(0, stream, raw, self._delivery.latest_time)
            ((_, records.result),) = self._here.done()
        self._waiting.append(records)

    def note(self, mark: Any) -> None:
        """Take a mark behind all that came so far; see `Delivery.note`."""
        if self.is_idle:
            self._delivery.note(mark)
        elif self._reader.is_idle:
            self._waiting.append(Mark(mark))
        else:
            self._reader.add(Mark(mark))

    @property
    def is_idle(self) -> bool:
        """Whether the delivery has everything, or takes nothing more."""
        return self._taker.is_stopped or (self._reader.is_idle and not self._waiting)

    @property
    def has_room_for_records(self) -> bool:
        """Whether a block of records can be taken: files come before it, and not too much waits."""
        is_free = self._reader.is_idle and self._has_space
        return self._taker.is_stopped or (is_free and self._blocks < _MOST_BLOCKS_OF_RECORDS)

    def attend(self) -> tuple[list[int], float | None]:
        """Do what can be done now, without waiting.

        Returns:
            The descriptors that have something for this next, and the seconds after which to call
            it again in any case; None when there is nothing to do.

        Raises:
            TargetPosthogError: a file cannot be read, or a worker cannot go on. What came before
                is delivered.
        """
        while not self.is_idle and self._receive() | self._read() | self._take():
            pass
        if self.is_idle:
            return [], None
        descriptors = [] if self._started is None else list(self._started.descriptors())
        if self._has_space:
            descriptors += self._reader.descriptors()
        return descriptors, _LONGEST_WAIT

    def close(self) -> None:
        """End the work; what is under way is not waited for."""
        self._reader.close()
        if self._started is not None:
            self._started.close()
        for lock in self._held.values():
            os.close(lock)
        self._held.clear()

    @property
    def _has_space(self) -> bool:
        has_room = self._started is None or self._started.has_room
        return has_room and self._blocks < _MOST_BLOCKS

    def _receive(self) -> bool:
        """Take what workers have done; tell whether there was anything."""
        received = False
        if self._started is not None:
            for number, block in self._started.done():
                self._given.pop(number).result = block
                received = True
        return received

    def _read(self) -> bool:
        """Give workers what was read; tell whether there was anything."""
        given = False
        while self._has_space and (read := self._reader.next()) is not None:
            given = True
            if isinstance(read, StartOfFile):
                self._files.append(FileUnderWay(read, self._intakes.popleft()))
            elif isinstance(read, RawBlock):
                file = self._files[-1]
                block = file.block_of(read)
                self._blocks += 1
                if read.is_whole:
                    self._give(block, file.stream, read.raw)
                self._waiting.append(block)
            else:
                self._waiting.append(read)
        return given

    def _give(self, block: FileBlock | RecordsUnderWay, stream: BlockStream, raw: bytes) -> None:
        self._numbered += 1
        self._given[self._numbered] = block
        self.start().give(self._numbered, stream, raw, self._delivery.latest_time)

    def _take(self) -> bool:
        """Take what is next in order, as long as the delivery has room; tell whether any was."""
        taken = False
        self._delivery.attend()
        while self._waiting and self._delivery.dispatcher.has_room:
            first = self._waiting[0]
            if isinstance(first, (FileBlock, RecordsUnderWay)) and not first.is_ready:
                break
            self._waiting.popleft()
            taken = True
            self._take_next(first)
        return taken

    def _take_next(
        self, first: FileBlock | RecordsUnderWay | EndOfFile | Mark | Unreadable
    ) -> None:
        if isinstance(first, Unreadable):
            self._taker.stop(first.error)
        elif isinstance(first, Mark):
            self._delivery.note(first.value)
        elif isinstance(first, EndOfFile):
            self._taker.end_file(self._files.popleft())
        elif isinstance(first, RecordsUnderWay):
            self._blocks -= 1
            self._taker.take_records(first)
        else:
            self._blocks -= 1
            self._taker.take_block(first)
