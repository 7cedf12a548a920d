"""One line of an export file, read the long way."""

from __future__ import annotations

from tap_amplitude.common.lenient_json import read_object
from tap_amplitude.records import Row, row_of


def read_row(line: bytes) -> Row | str:
    """Return the record of a line, or why it is none."""
    read = read_object(line)
    return read if isinstance(read, str) else row_of(read)
