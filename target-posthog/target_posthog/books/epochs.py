"""The lines of a run by epochs, each of which ends with a state: open and closed ones. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from target_posthog.books.lines import Line, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.books.lines import Kind
    from target_posthog.books.read_hours import ReadHours


class OpenLines:
    """The lines of epochs that are not closed. An epoch is a part of the run; see `BookPlace`."""

    def __init__(self) -> None:
        #: In order; the last is the current one.
        self._epochs: deque[dict[Unit, Line]] = deque([{}])
        #: Which part of the run the first of them is.
        self._part = 0

    @property
    def part(self) -> int:
        """The part of the run that the current epoch is."""
        return self._part + len(self._epochs) - 1

    def current(self, unit: Unit) -> Line:
        """Return the line of a unit in the current epoch."""
        lines = self._epochs[-1]
        line = lines.get(unit)
        if line is None:
            line = lines[unit] = Line()
        return line

    def first(self, unit: Unit) -> tuple[int, Line]:
        """Return the oldest line of a unit, with its part."""
        return self._lines_of(unit)[0]

    def first_with(self, unit: Unit, kind: Kind) -> tuple[int, Line]:
        """Return the oldest line that has such an event without a fate, with its part."""
        lines = self._lines_of(unit)
        return next((part for part in lines if part[1].accepted_of(kind) > 0), lines[0])

    def _lines_of(self, unit: Unit) -> list[tuple[int, Line]]:
        parts = enumerate(self._epochs, self._part)
        return [(part, lines[unit]) for part, lines in parts if unit in lines] or [
            (self.part, self.current(unit))
        ]

    def begin_epoch(self) -> None:
        """End the current epoch."""
        self._epochs.append({})

    def close_first(self) -> dict[Unit, Line]:
        """Return the lines of the oldest epoch, which has ended."""
        self._part += 1
        return self._epochs.popleft()

    def close_current(self) -> dict[Unit, Line]:
        """Return the lines of the current epoch, and begin another."""
        closed = self._epochs.pop()
        self._epochs.append({})
        self._part += 1
        return closed


class ClosedLines:
    """What earlier states of this run closed of units that may go on."""

    def __init__(self) -> None:
        self._lines: dict[Unit, Line] = {}

    def go_on(self, closed: dict[Unit, Line], stretch: str) -> None:
        """Add to units that go on what earlier states completed of them, and keep the sum.

        `stretch` is that of records without an hour: some taps repeat their state.
        """
        for unit, line in closed.items():
            if unit in self._lines:
                line.add(self._lines[unit])
                line.goes_on = True
        kept = {**self._lines, **closed}
        newest = max((unit.hour for unit in kept if not unit.stretch), default="")
        self._lines = {
            unit: line
            for unit, line in kept.items()
            if (unit.stretch == stretch if unit.stretch else unit.hour == newest)
        }

    def empty_hours(
        self, before: ReadHours | None, read: ReadHours, closed: dict[Unit, Line]
    ) -> Iterator[tuple[Unit, Line]]:
        """Yield a line for each hour of an app that was read since a state and had no record."""
        there = {(unit.app, unit.hour) for unit in (*closed, *self._lines)}
        hours = {hour for _, hour in there}
        for app, hour in read.since(before):
            # Records that name no app may be of this one.
            has_records = (("", hour) in there or (app, hour) in there) if app else hour in hours
            if not has_records:
                yield Unit("events", app, hour), Line()
