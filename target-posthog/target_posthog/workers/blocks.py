"""Blocks of lines on their way through workers, and the files that they are of."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from isal.isal_zlib import crc32

from target_posthog.common.object_cutter import ObjectCutter
from target_posthog.errors import BrokenInput
from target_posthog.model import BlockOfLines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.input.batch_files import BatchFile
    from target_posthog.input.intake import Intake
    from target_posthog.workers.block_reader import RawBlock, StartOfFile
    from target_posthog.workers.messages import ConvertedBlock


class FileUnderWay:
    """A file whose lines are taken.

    Attributes:
        intake: converts what workers leave.
        stream: whose records it holds.
        cutter: takes its unusual lines apart.
        line: the number of the line that comes next.
    """

    def __init__(self, start: StartOfFile, intake: Intake) -> None:
        self.file = start.file
        self.stream = start.stream
        self.intake = intake
        self.cutter = ObjectCutter()
        self.line = 1
        self._blocks = 0

    def block_of(self, read: RawBlock) -> FileBlock:
        """Return a block of its lines."""
        lines = BlockOfLines(
            read.raw,
            is_whole=read.is_whole,
            known=self.intake.converter.known,
            stream=self.stream.name,
            read_again=partial(block_again, self.file, self._blocks, read.check),
        )
        self._blocks += 1
        return FileBlock(self, lines)


class FileBlock:
    """Lines of a file on their way.

    Attributes:
        result: what became of them, once they are converted.
    """

    def __init__(self, file: FileUnderWay, lines: BlockOfLines) -> None:
        self.file = file
        self.lines = lines
        self.result: ConvertedBlock | None = None

    @property
    def is_ready(self) -> bool:
        """Whether they can be taken: a part of a long line is not for workers."""
        return self.result is not None or not self.lines.is_whole


class RecordsUnderWay:
    """RECORD lines on their way.

    Args:
        messages: the lines as they came.
        number: the number of the first one in the input.

    Attributes:
        result: what became of them, once they are converted.
    """

    def __init__(self, messages: Sequence[bytes], number: int, lines: BlockOfLines) -> None:
        self.messages = messages
        self.number = number
        self.lines = lines
        self.result: ConvertedBlock | None = None

    @property
    def is_ready(self) -> bool:
        """Whether they can be taken."""
        return self.result is not None


def block_again(file: BatchFile, number: int, check: int) -> bytes:
    """Return one of a file's `raw_blocks` once more, counted from 0.

    `check` is its CRC-32.

    Raises:
        TargetPosthogError: the file is gone, or is another one by now.
    """
    raw, _ = next(islice(file.raw_blocks(), number, None), (b"", True))
    if crc32(raw) != check:
        raise BrokenInput(
            f"The batch file {file.name} has changed while it was delivered.",
            "No state moves past it. Make sure that nothing else writes there, and run again.",
        )
    return raw
