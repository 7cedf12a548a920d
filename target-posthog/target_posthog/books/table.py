"""The book of a PostHog project, in the ledger's database.

A line is replaced when its hour is read again, added to when a part of it came late, and amended
when a replay sends what was rejected. It is written before the state that stands behind it: so the
sums are true after any crash, and an hour that a run did not finish is not in the book.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from target_posthog.books.lines import Kind, Unit
from target_posthog.books.moves import MoveWriting
from target_posthog.books.reconciled import Scope
from target_posthog.books.sums import each_line
from target_posthog.books.tables import (
    EVENTS,
    HOURS,
    METADATA,
    WrittenKind,
    WrittenLine,
)
from target_posthog.books.writing import Writing, id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from target_posthog.books.lines import Line
    from target_posthog.books.moves import Move
    from target_posthog.books.writing import Before
    from target_posthog.identity.ledger import Ledger

_ALL = Scope()


class Book:
    """The book of one PostHog project.

    Attributes:
        project: what names the PostHog project, a digest of its token.
    """

    def __init__(self, ledger: Ledger, run: str, utc_now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self.project = ledger.project
        self.run = run
        self._utc_now = utc_now
        #: Beside which lines this run has more, or a part, of the same unit.
        self._before: dict[str, Before] = {}
        ledger.make_tables(METADATA)

    def write(self, lines: Iterable[tuple[Unit, Line]]) -> None:
        """Write lines, each in place of the one of its unit, or added to it.

        Raises:
            RunAgain: the database failed.
        """
        by_id: dict[str, tuple[Unit, Line]] = {}
        for unit, line in lines:
            unit_id = id_of(unit)
            if unit_id in by_id and not line.goes_on:
                # The tap went back to it: this is beside the line of before.
                self._write(by_id)
                by_id = {}
            by_id[unit_id] = unit, line
        self._write(by_id)

    def _write(self, by_id: dict[str, tuple[Unit, Line]]) -> None:
        if not by_id:
            return
        # What a line is added to is looked up once, though the transaction may be done twice.
        before = {
            unit_id: self._before.get(unit_id)
            for unit_id, (_, line) in by_id.items()
            if line.goes_on
        }
        written_at = self._now()
        self._ledger.transact(
            lambda connection: Writing(connection, self.project, self.run, written_at).write(
                by_id, before
            )
        )
        for unit_id, line_before in before.items():
            if line_before is None:
                self._before.pop(unit_id, None)
            else:
                self._before[unit_id] = line_before

    def amend(self, moves: Sequence[Move]) -> None:
        """Write what a replay made of rejected records into the lines that count them.

        Raises:
            RunAgain: the database failed.
        """
        written_at = self._now()
        self._ledger.transact(
            lambda connection: MoveWriting(connection, self.project, written_at).write(moves)
        )

    def _now(self) -> str:
        return f"{self._utc_now():%Y-%m-%dT%H:%M:%SZ}"

    def lines(self) -> list[WrittenLine]:
        """Return every line, by hour, app, stream and stretch."""
        return list(each_line(self._ledger))

    def kinds(self, scope: Scope = _ALL) -> Iterator[WrittenKind]:
        """Yield how many events of each kind each line has, by day and name.

        Args:
            scope: of which part of the book. Ten years of hours have millions of kinds.

        Raises:
            RunAgain: the database failed.
        """
        hours, events = HOURS.c, EVENTS.c
        is_same = sa.and_(hours.project == events.project, hours.unit == events.unit)
        query = (
            sa.select(
                *(hours.stream, hours.app, hours.hour, hours.stretch),
                *(events.day, events.event),
                *(events.exported, events.accepted, events.superseded),
            )
            .join(HOURS, is_same)
            .where(events.project == self.project, *_hours_of(scope))
            .order_by(events.day, events.event, hours.hour, hours.app)
        )
        for row in self._ledger.stream(query):
            kind = WrittenKind(Unit(*row[:4]), Kind(*row[4:6]), *row[6:])
            if scope.holds(kind.unit.hour, kind.kind.event):
                yield kind


def _hours_of(scope: Scope) -> Iterator[sa.ColumnElement[bool]]:
    """Yield conditions by which the database finds the hours of a part without the others."""
    hour = HOURS.c.hour
    if scope.first:
        yield hour >= scope.first
    if scope.end:
        yield hour < scope.end
