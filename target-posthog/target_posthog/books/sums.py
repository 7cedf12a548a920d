"""The book's sums, added up by the database: of years of hours only the sums come here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from target_posthog.books.reconciled import FOUND
from target_posthog.books.tables import EVENTS, HOURS, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.books.tables import WrittenLine
    from target_posthog.identity.ledger import Ledger


@dataclass(frozen=True)
class KindSum:
    """How many events there are of one day, or of one name.

    Attributes:
        exported, accepted, superseded: records that became events, and what became of those.
    """

    name: str
    exported: int
    accepted: int
    superseded: int


@dataclass(frozen=True)
class Held:
    """What PostHog holds of the events of a day.

    Attributes:
        events: how many there are.
        compared: how many of the accepted events it was asked about.
        asked_at: when it was asked last.
    """

    events: int
    compared: int
    asked_at: str


def each_line(ledger: Ledger) -> Iterator[WrittenLine]:
    """Yield every line of the book, by hour and app.

    Raises:
        RunAgain: the database failed.
    """
    table = HOURS.c
    query = (
        sa.select(HOURS)
        .where(table.project == ledger.project)
        .order_by(table.hour, table.app, table.stream, table.written_at, table.stretch)
    )
    yield from map(line_of, ledger.stream(query))


def days_of(ledger: Ledger) -> Iterator[KindSum]:
    """Yield the sums of each UTC day, in order.

    Raises:
        RunAgain: the database failed.
    """
    day = EVENTS.c.day
    for row in ledger.stream(_sums_by(day, ledger).order_by(day)):
        yield KindSum(*row)


def names_of(ledger: Ledger) -> Iterator[KindSum]:
    """Yield the sums of each event name, the most frequent first.

    Raises:
        RunAgain: the database failed.
    """
    event, exported = EVENTS.c.event, sa.func.sum(EVENTS.c.exported)
    for row in ledger.stream(_sums_by(event, ledger).order_by(exported.desc(), event)):
        yield KindSum(*row)


def held_by_day(ledger: Ledger) -> dict[str, Held]:
    """Return what PostHog holds of each day; nothing when it was never asked.

    Raises:
        RunAgain: the database failed.
    """
    table = FOUND.c
    query = (
        sa.select(table.day, sa.func.sum(table.events), sa.func.max(table.asked_at))
        .where(table.project == ledger.project)
        .group_by(table.day)
    )
    compared = _compared_by_day(ledger)
    return {
        day: Held(int(events), compared.get(day, 0), asked_at)
        for day, events, asked_at in ledger.stream(query)
    }


def _compared_by_day(ledger: Ledger) -> dict[str, int]:
    """Return how many accepted events of each day PostHog was asked about: perhaps a part."""
    found, events, hours = FOUND.c, EVENTS.c, HOURS.c
    has_hours = sa.select(FOUND).where(found.project == ledger.project, found.hour != "").limit(1)
    is_same = [
        found.project == events.project,
        found.day == events.day,
        found.event == events.event,
    ]
    if list(ledger.stream(has_hours)):
        # Else the events do not tell their hour in PostHog.
        is_same.append(found.hour == hours.hour)
    query = (
        sa.select(events.day, sa.func.sum(events.accepted))
        .join(HOURS, sa.and_(hours.project == events.project, hours.unit == events.unit))
        .join(FOUND, sa.and_(*is_same))
        .where(events.project == ledger.project)
        .group_by(events.day)
    )
    return {day: int(accepted) for day, accepted in ledger.stream(query)}


def _sums_by(column: sa.Column[str], ledger: Ledger) -> sa.Select[tuple[str, int, int, int]]:
    table = EVENTS.c
    # PostgreSQL adds up big integers to decimals.
    sums = [
        sa.cast(sa.func.sum(one), sa.BigInteger)
        for one in (table.exported, table.accepted, table.superseded)
    ]
    return sa.select(column, *sums).where(table.project == ledger.project).group_by(column)
