"""What a run with `free_order: collect` does with events: it learns of people, and sends none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.identity.pass_tables import Hour
from target_posthog.identity.people_pass import Gathered
from target_posthog.progress.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_posthog.books.lines import Line, Unit
    from target_posthog.identity.pass_writer import PassWriter
    from target_posthog.posthog.events import OutgoingEvent

#: The rule by which such a run leaves out every event.
COLLECTED = "free_order"
#: How many people and groups are gathered before they are written down: some 40 MB, and one of
#: them then stands for many of its rows.
_MOST = 100_000


class PeopleCollection:
    """Takes stretches of events for what they show, and sends none of them."""

    def __init__(self, writer: PassWriter, *, joins: bool) -> None:
        self._writer = writer
        self._joins = joins
        self._gathered = Gathered(joins=joins)
        self._counts = Counts()

    def counting(self, counts: Counts) -> PeopleCollection:
        """Return this stage, counting for a run."""
        self._counts = counts
        return self

    def completed(self, items: list[OutgoingEvent]) -> list[OutgoingEvent]:
        """Take a stretch of events; return none.

        Raises:
            FixConfiguration: one has no place among the rows of its person.
        """
        self._gathered.add(items)
        self._counts.skipped[COLLECTED] += len(items)
        if len(self._gathered) >= _MOST:
            self.flush()
        return []

    def write(self, lines: Iterable[tuple[Unit, Line]]) -> None:
        """Write down what came, before the states behind these lines of the book may be written."""
        hours = {Hour(unit.app, unit.hour) for unit, line in lines if unit.hour and line.exported}
        if hours:
            self.flush(hours)

    def flush(self, done: Iterable[Hour] = ()) -> None:
        """Write down what came, and which hours are whole."""
        self._writer.write(self._gathered, frozenset(done))
        self._gathered = Gathered(joins=self._joins)
