"""Collects what becomes of records until a state passes, and closes the lines before it. Pure.

A record that is not settled holds the state behind it (`delivery/state_gate`), so the line that its
fate belongs to is still open when that is known.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from target_posthog.books.counts import unit_of
from target_posthog.books.epochs import ClosedLines, OpenLines
from target_posthog.books.lines import Kind, Line, Unit
from target_posthog.books.read_hours import ReadHours
from target_posthog.books.samples import joined, with_one_more
from target_posthog.progress.counts import Hours
from target_posthog.rejects.book_places import BookPlace, number_of_added

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.books.counts import BlockCounts
    from target_posthog.books.samples import Sample


class Bookkeeper:
    """Keeps the lines of a run.

    What comes is of the current epoch, which ends with each state that is noted.

    Args:
        run: what names the run; empty when nothing of it is written down, as in a preview.

    Attributes:
        is_written: its lines are kept.
        earliest: the first export hour of the records before a state, empty before there is one.
        read: what the last state that was closed says is read, or the one that the run goes on
            from.
    """

    def __init__(self, run: str = "") -> None:
        self.is_written = bool(run)
        self._run = run
        #: How many records were rejected.
        self._rejects = 0
        self._open = OpenLines()
        self._closed = ClosedLines()
        self._states: deque[Any] = deque()
        self.read: ReadHours | None = None
        self.earliest = ""

    def take(
        self, stream: str, counts: BlockCounts, samples: Mapping[bytes, Sample] | None = None
    ) -> None:
        """Note events of records that came.

        `counts` tells how many there are of each origin, day and name; for `samples` see
        `samples_of`.
        """
        for origin, kinds in groupby(counts, itemgetter(0)):
            events = self._open.current(unit_of(stream, origin)).events
            for _, day, name, count in kinds:
                events[Kind(day, name)] += count
        for origin, sample in (samples or {}).items():
            line = self._open.current(unit_of(stream, origin))
            line.sample = joined(line.sample, sample)

    def skip(self, unit: Unit, rule: str, check: int) -> None:
        """Note a record that is left out; for `check` see `samples.check_of`."""
        line = self._open.current(unit)
        line.skipped[rule] += 1
        line.others = with_one_more(line.others, check)

    def reject(self, unit: Unit, code: str, check: int) -> BookPlace | None:
        """Note a record that never was an event; return its place for the rejects file."""
        line = self._open.current(unit)
        line.rejected[code] += 1
        line.others = with_one_more(line.others, check)
        return self._place(self._open.part, line, unit)

    def refuse(self, unit: Unit, kind: Kind, code: str) -> BookPlace | None:
        """Note an event that PostHog refused; return where it is counted."""
        part, line = self._open.first_with(unit, kind)
        line.refused[kind] += 1
        line.rejected[code] += 1
        place = self._place(part, line, unit)
        return place and place._replace(day=kind.day, event=kind.event)

    def refuse_added(self, unit: Unit, uuid: str) -> BookPlace | None:
        """Note an added event that PostHog refused; return where a replay will count it.

        `unit` is that of the record that showed it.
        """
        part, line = self._open.first(unit)
        return self._place(part, line, unit, number_of_added(uuid))

    def repeat(self, unit: Unit, kind: Kind) -> None:
        """Note an event that was left out: the very same was there."""
        _, line = self._open.first_with(unit, kind)
        line.events[kind] -= 1
        line.skipped["duplicate"] += 1

    def supersede(self, unit: Unit, kind: Kind) -> None:
        """Note an event of which PostHog keeps a later version."""
        _, line = self._open.first_with(unit, kind)
        line.superseded[kind] += 1

    def add_link(self, unit: Unit) -> None:
        """Note that PostHog took a link that a record showed."""
        self._open.first(unit)[1].links += 1

    def add_group(self, unit: Unit) -> None:
        """Note that PostHog took a group update that a record showed."""
        self._open.first(unit)[1].groups += 1

    def go_on_from(self, state: Any) -> None:
        """Take the state that the run goes on from: what it says is read, earlier runs have."""
        hours = Hours.of_state(state)
        if hours is not None:
            self.read = ReadHours.of_state(state, f"{hours.next_hour:%Y-%m-%dT%H}")

    def note(self, state: Any) -> None:
        """Take a state behind all that came so far."""
        self._states.append(state)
        self._open.begin_epoch()

    def close(self) -> list[tuple[Unit, Line]]:
        """Return the lines that the first state that was noted completes: it may be written.

        Raises:
            IndexError: no state was noted.
        """
        state, closed = self._states.popleft(), self._open.close_first()
        hours = Hours.of_state(state)
        if hours is None:
            stretch = digest_of(state)
            named = {unit._replace(stretch=stretch): line for unit, line in closed.items()}
            self._closed.go_on(named, stretch)
            return list(named.items())
        self.earliest = min(
            (hour for hour in (self.earliest, *(unit.hour for unit in closed)) if hour), default=""
        )
        next_hour = f"{hours.next_hour:%Y-%m-%dT%H}"
        # A record without an hour, such as a line that is no JSON, belongs to those before it.
        stretch = f"before {next_hour}"
        named = _with_stretch(closed, stretch)
        self._closed.go_on(named, stretch)
        before, self.read = self.read, ReadHours.of_state(state, next_hour)
        return [*self._closed.empty_hours(before, self.read, named), *named.items()]

    def finish(self) -> list[tuple[Unit, Line]]:
        """Return the lines that no state stands behind, at the end of the input.

        Taps that write no state end so. Of an hour that a tap did not finish, the line tells what
        came; it gives way to the whole one.
        """
        stretch = digest_of(None)
        named = _with_stretch(self._open.close_current(), stretch)
        self._closed.go_on(named, stretch)
        return list(named.items())

    def _place(self, part: int, line: Line, unit: Unit, number: int = 0) -> BookPlace | None:
        """Return where a reject is counted: the next one, unless it has a number of its own."""
        if not self._run:
            return None
        line.parts.add(part)
        if not number:
            self._rejects += 1
            number = self._rejects
        return BookPlace(self._run, number, part, unit.stream, unit.app, unit.hour)


def _with_stretch(lines: dict[Unit, Line], stretch: str) -> dict[Unit, Line]:
    """Return lines of which those without an hour have a stretch."""
    return {
        unit if unit.hour else unit._replace(stretch=stretch): line for unit, line in lines.items()
    }


def digest_of(state: Any) -> str:
    """Return what tells a state from any other."""
    text = json.dumps(state, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
