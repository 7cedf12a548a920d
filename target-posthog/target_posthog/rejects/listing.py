"""What rejects files hold: lines by code, stream and run, and one place of each code. Pure.

Only sums are kept, and one line of each code: files may have millions.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.json_codec import UNREADABLE, loads
from target_posthog.rejects.lines import read_line

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The part of a file's name that all files of one run have; in a bucket a run has many.
_RUN = re.compile(
    r"(?:target-posthog|tap-amplitude)-\d{8}T\d{6}Z"
    r"(?:-\d+-(?:preview|[0-9a-f]{8}))?(?:-[0-9a-f]{6}(?=[-.]))?"
)
_BEGAN = re.compile(r"\d{8}T\d{6}Z")
_LINKS = "links and group updates"
_NO_STREAM = "not named"
#: By what an Amplitude row is known, whose line names no stream.
_ROW = frozenset({"event_type", "amplitude_id"})


class _Line(msgspec.Struct):
    """A line of a rejects file, its record unread."""

    code: str
    reason: str = ""
    record: msgspec.Raw = msgspec.Raw()
    stream: str | None = None
    added: Any = None


@dataclass(frozen=True)
class Example:
    """One reject.

    Attributes:
        file, line: where it stands.
        event: the name of its event; empty when it has none.
        reason: why it was rejected.
    """

    file: str
    line: int
    stream: str
    event: str
    reason: str
    record: Any


@dataclass
class Listing:
    """What some files hold.

    Attributes:
        codes: how many lines of each code.
        streams: the same by stream.
        runs: the same by run.
        examples: the first line of each code.
        files: how many files were read.
        others: lines that are not of a rejects file, such as one that a crash cut off.
    """

    codes: Counter[str] = field(default_factory=Counter)
    streams: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    runs: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    examples: dict[str, Example] = field(default_factory=dict)
    files: int = 0
    others: int = 0

    @property
    def total(self) -> int:
        """How many rejects there are."""
        return self.codes.total()

    def add(self, file: str, lines: Iterable[bytes]) -> None:
        """Take in a file."""
        self.files += 1
        run = run_of(file)
        for number, raw in enumerate(lines, start=1):
            line = _line_of(raw)
            if line is None:
                self.others += 1
                continue
            stream = _stream_of(line)
            self.codes[line.code] += 1
            self.streams[stream][line.code] += 1
            self.runs[run][line.code] += 1
            if line.code not in self.examples:
                record = _record_of(line)
                self.examples[line.code] = Example(
                    file, number, stream, _event_of(record), line.reason, record
                )


def age_of(run: str) -> str:
    """Return what sorts runs by their beginnings, whichever plugin's they are."""
    began = _BEGAN.search(run)
    return began[0] if began else ""


def run_of(file: str) -> str:
    """Return the run that a file is of, as its name says it; else its name."""
    name = file.rpartition("/")[2]
    found = _RUN.match(name)
    return found[0] if found else name


_decode = msgspec.json.Decoder(_Line).decode


def _line_of(raw: bytes) -> _Line | None:
    """Return a line of a rejects file; None when it is not one."""
    try:
        return _decode(raw)
    except UNREADABLE:
        return _unusual_line(raw)


def _unusual_line(raw: bytes) -> _Line | None:
    """Return the same of a line that msgspec does not read, such as one with NaN."""
    line = read_line(raw)
    if line is None:
        return None
    texts = {name: line[name] for name in ("reason", "stream") if isinstance(line.get(name), str)}
    record = json.dumps(line.get("record")).encode()
    return _Line(line["code"], record=msgspec.Raw(record), **texts)


def _stream_of(line: _Line) -> str:
    if line.stream is not None:
        return line.stream
    if line.added is not None:
        return _LINKS
    # A row names its fields early and in any order: a search costs less than to read it.
    record = bytes(line.record)
    is_row = any(f'"{name}"'.encode() in record for name in _ROW)
    return "events" if is_row else _NO_STREAM


def _record_of(line: _Line) -> Any:
    try:
        return loads(bytes(line.record))
    except ValueError:
        return None


def _event_of(record: Any) -> str:
    """Return the name of the event that a record is of; empty when it does not say it."""
    if not isinstance(record, dict):
        return ""
    name = record.get("event_type", record.get("event"))
    return name if isinstance(name, str) else ""
