"""Which batch file goes to which worker, which may send, and which states are safe. Pure.

A unit is one BATCH message: the files of one export hour. Units are sent in their order, the files
of one unit side by side. Several small units in a row make one job, so that small hours do not
become small requests.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

File = TypeVar("File")
Stream = TypeVar("Stream")
State = TypeVar("State")

#: Packed bytes of units that go together. Amplitude's rows shrink to a fifth or a tenth, so this
#: is about one request of 4 MiB.
SMALL_BYTES = 512 * 1024


@dataclass(frozen=True)
class Job(Generic[File, Stream]):
    """What one worker does at a time.

    Attributes:
        number: of the job.
        first, last: the first and the last unit that it belongs to.
        stream: whose records the files hold.
        files: the files, in order.
        units: the unit of each of them.
    """

    number: int
    first: int
    last: int
    stream: Stream
    files: Sequence[File]
    units: Sequence[int]


@dataclass
class _Unit(Generic[File, Stream]):
    number: int
    stream: Stream
    files: deque[tuple[File, int]]
    under_way: int = 0
    unread: int = 0

    @property
    def size(self) -> int:
        return sum(size for _, size in self.files)

    @property
    def is_read(self) -> bool:
        return not self.files and not self.unread

    @property
    def is_done(self) -> bool:
        return not self.files and not self.under_way


@dataclass
class Jobs(Generic[File, Stream, State]):
    """The units that are not done, in order, and the states that wait for them."""

    _units: deque[_Unit[File, Stream]] = field(default_factory=deque)
    _states: deque[tuple[int, State]] = field(default_factory=deque)
    _added: int = 0
    _made: int = 0

    def add(self, stream: Stream, files: Sequence[tuple[File, int]]) -> None:
        """Take the files of a BATCH message, each with its size."""
        self._added += 1
        self._units.append(_Unit(self._added, stream, deque(files)))
        self._drop_done()

    def note(self, state: State) -> None:
        """Take a state that is safe once all units so far are done."""
        self._states.append((self._added, state))

    @property
    def waiting(self) -> int:
        """How many files no worker has yet."""
        return sum(len(unit.files) for unit in self._units)

    @property
    def all_done(self) -> bool:
        """Whether nothing is left, and nothing under way."""
        return not self._units

    def next(self) -> Job[File, Stream] | None:
        """Give the next job, or None when no file is left."""
        units = list(self._next_units())
        if not units:
            return None
        first, last = units[0], units[-1]
        alone = len(units) == 1 and not _is_small(first)
        files = [first.files.popleft()[0]] if alone else []
        numbers = [first.number] if alone else []
        for unit in units:
            unit.under_way += 1
            unit.unread += 1
            if not alone:
                files += [file for file, _ in unit.files]
                numbers += [unit.number] * len(unit.files)
                unit.files.clear()
        self._made += 1
        return Job(self._made, first.number, last.number, first.stream, files, numbers)

    def read(self, job: Job[File, Stream]) -> None:
        """Note that every record of a job was read, and what it shows was told."""
        for unit in self._units:
            if job.first <= unit.number <= job.last:
                unit.unread -= 1

    def may_ask(self, job: Job[File, Stream]) -> bool:
        """Tell whether it is known what all records of the units before a job show.

        A device belongs to the first user seen on it, so earlier hours tell theirs first.
        """
        return all(unit.is_read for unit in self._units if unit.number < job.first)

    def may_send(self, job: Job[File, Stream]) -> bool:
        """Tell whether everything of the units before a job is delivered."""
        return self._units[0].number >= job.first

    def done(self, job: Job[File, Stream]) -> None:
        """Note that everything of a job is delivered."""
        for unit in self._units:
            if job.first <= unit.number <= job.last:
                unit.under_way -= 1
        self._drop_done()

    def done_before(self, job: Job[File, Stream], unit: int) -> None:
        """Note that a job ended before a unit of it, and everything of its earlier ones is done."""
        for one in self._units:
            if job.first <= one.number < unit:
                one.under_way -= 1
                one.unread -= 1
        self._drop_done()

    def all_done_before(self, unit: int) -> bool:
        """Tell whether everything of the units before one is delivered."""
        return not self._units or self._units[0].number >= unit

    def safe_state(self) -> State | None:
        """Take the last state before which everything is delivered, or None."""
        finished = self._units[0].number - 1 if self._units else self._added
        safe: State | None = None
        while self._states and self._states[0][0] <= finished:
            safe = self._states.popleft()[1]
        return safe

    def _next_units(self) -> Iterator[_Unit[File, Stream]]:
        """Yield the first unit with files, and the small ones of its stream right behind it."""
        size, stream = 0, None
        for unit in self._units:
            if not unit.files:
                if stream is not None:
                    return
                continue
            size += unit.size
            if stream is not None and (
                size > SMALL_BYTES or unit.stream != stream or unit.under_way
            ):
                return
            yield unit
            if size > SMALL_BYTES or unit.under_way:
                return
            stream = unit.stream

    def _drop_done(self) -> None:
        while self._units and self._units[0].is_done:
            self._units.popleft()


def _is_small(unit: _Unit[File, Stream]) -> bool:
    return unit.size <= SMALL_BYTES and not unit.under_way
