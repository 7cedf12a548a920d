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
        missing: of those, how many it lacks; what is more of one name makes up for no other.
        extra: how many it holds beyond those.
        asked_at: when it was asked last.
    """

    events: int
    compared: int
    missing: int
    extra: int
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
    # An event may have changed its hour (see `reconcile.comparison`), but neither day nor name.
    held = (
        sa.select(
            table.day,
            table.event,
            sa.func.sum(table.events).label("events"),
            sa.func.max(table.asked_at).label("asked_at"),
        )
        .where(table.project == ledger.project)
        .group_by(table.day, table.event)
        .subquery()
    )
    booked = _compared(ledger)
    events, compared = held.c.events, sa.func.coalesce(booked.c.accepted, 0)
    numbers = (
        events,
        compared,
        sa.case((compared > events, compared - events), else_=0),
        sa.case((events > compared, events - compared), else_=0),
    )
    sums = (sa.cast(sa.func.sum(number), sa.BigInteger) for number in numbers)
    is_same = sa.and_(held.c.day == booked.c.day, held.c.event == booked.c.event)
    query = (
        sa.select(held.c.day, *sums, sa.func.max(held.c.asked_at))
        .select_from(held.outerjoin(booked, is_same))
        .group_by(held.c.day)
    )
    return {day: Held(*numbers_of_day) for day, *numbers_of_day in ledger.stream(query)}


def _compared(ledger: Ledger) -> sa.Subquery:
    """Return how many accepted events of each day and name PostHog was asked about."""
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
    return (
        sa.select(events.day, events.event, sa.func.sum(events.accepted).label("accepted"))
        .join(HOURS, sa.and_(hours.project == events.project, hours.unit == events.unit))
        .join(FOUND, sa.and_(*is_same))
        .where(events.project == ledger.project)
        .group_by(events.day, events.event)
        .subquery()
    )


def _sums_by(column: sa.Column[str], ledger: Ledger) -> sa.Select[tuple[str, int, int, int]]:
    table = EVENTS.c
    # PostgreSQL adds up big integers to decimals.
    sums = [
        sa.cast(sa.func.sum(count), sa.BigInteger)
        for count in (table.exported, table.accepted, table.superseded)
    ]
    return sa.select(column, *sums).where(table.project == ledger.project).group_by(column)
