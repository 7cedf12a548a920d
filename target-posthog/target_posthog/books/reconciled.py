"""What PostHog was found to hold, beside the book: by export hour, day and event.

Only `target-posthog-reconcile` writes it. A comparison replaces what an earlier one found of the
same hours and events, so each row tells what PostHog said last, and when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from target_posthog.identity.ledger import chunks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from target_posthog.identity.ledger import Ledger

_METADATA = sa.MetaData()
FOUND = sa.Table(
    "book_found",
    _METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    # Empty for events of other taps, which have no export hour.
    sa.Column("hour", sa.String(13), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("event", sa.String(200), primary_key=True),
    sa.Column("events", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("asked_at", sa.String(20), nullable=False),
)


@dataclass(frozen=True)
class Scope:
    """Which part of the book is compared.

    Attributes:
        first: the first export hour, `2024-01-31T05`; empty for all from the beginning on.
        end: the hour behind the last one; empty for all to the end.
        events: the names of the events; none for all.
    """

    first: str = ""
    end: str = ""
    events: Collection[str] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole book."""
        return not (self.has_hours or self.events)

    @property
    def has_hours(self) -> bool:
        """Whether it is a stretch of hours, in which events without an hour have no place."""
        return bool(self.first or self.end)

    def holds(self, hour: str, event: str) -> bool:
        """Return True if events of this hour and name are a part of it."""
        if self.events and event not in self.events:
            return False
        if not self.has_hours:
            return True
        return bool(hour) and hour >= self.first and (not self.end or hour < self.end)


@dataclass(frozen=True)
class Found:
    """What PostHog holds of the events of one export hour, day and name.

    Attributes:
        hour: the export hour, `2024-01-31T05`; empty for events that have none.
        day: the UTC day of their time, `2024-01-31`.
        event: their name.
        events: how many there are; 0 where the book has some and PostHog has none.
        rows: in how many rows; more than events where PostHog has not merged repeats yet.
        asked_at: when PostHog said so, RFC 3339.
    """

    hour: str
    day: str
    event: str
    events: int
    rows: int
    asked_at: str


class Reconciled:
    """What PostHog holds of one project's events."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        ledger.make_tables(_METADATA)

    def replace(self, scope: Scope, found: Iterable[Found]) -> None:
        """Write what was found, in place of what was found before of the same part.

        Raises:
            RunAgain: the database failed.
        """
        rows = [{"project": self._ledger.project, **vars(cell)} for cell in found]

        def replace(connection: sa.Connection) -> None:
            for condition in self._conditions(scope):
                connection.execute(sa.delete(FOUND).where(condition))
            for chunk in chunks(rows):
                connection.execute(sa.insert(FOUND), chunk)

        self._ledger.transact(replace)

    def found(self) -> Iterator[Found]:
        """Yield what PostHog holds, by hour, day and name; nothing when it was never asked."""
        table = FOUND.c
        query = (
            sa.select(
                *(table.hour, table.day, table.event, table.events, table.rows, table.asked_at)
            )
            .where(table.project == self._ledger.project)
            .order_by(table.hour, table.day, table.event)
        )
        for row in self._ledger.transact(lambda connection: connection.execute(query).all()):
            yield Found(*row)

    def _conditions(self, scope: Scope) -> Iterator[sa.ColumnElement[bool]]:
        """Yield conditions that together are true of the rows of a part of the book."""
        table = FOUND.c
        parts = [table.project == self._ledger.project]
        if scope.has_hours:
            parts.append(table.hour >= (scope.first or "0"))
        if scope.end:
            parts.append(table.hour < scope.end)
        if not scope.events:
            yield sa.and_(*parts)
            return
        for names in chunks(sorted(scope.events)):
            yield sa.and_(*parts, table.event.in_(names))
