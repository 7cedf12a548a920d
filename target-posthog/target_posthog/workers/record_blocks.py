"""RECORD lines of one stream that follow each other, as workers take them."""

from __future__ import annotations

from dataclasses import dataclass, field

from target_posthog.workers.shared_slots import MAX_LINES_BYTES

#: With fewer lines of fewer bytes, the way to a worker and back costs more than it saves.
_FEW_LINES, _FEW_BYTES = 64, 64 * 1024


@dataclass
class RecordBlock:
    """Lines, and the record in each.

    Attributes:
        stream: their stream.
        number: the number of the first line in the input.
        lines: as they came.
        records: the record in each.
        size: how many bytes the records have, with their ends.
    """

    stream: str
    number: int
    lines: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, line: bytes, record: bytes) -> None:
        """Take a line, and the record in it."""
        self.lines.append(line)
        self.records.append(record)
        self.size += len(record) + 1

    def raw(self) -> bytes:
        """Return the records as a block of lines."""
        return b"\n".join([*self.records, b""])

    @property
    def is_for_workers(self) -> bool:
        """Whether a worker can take it, and it pays."""
        pays = len(self.lines) >= _FEW_LINES or self.size >= _FEW_BYTES
        return pays and self.size <= MAX_LINES_BYTES
