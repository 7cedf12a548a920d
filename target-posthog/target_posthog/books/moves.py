"""What a replay made of rejected records, into the lines of the book that count them.

A record that a run rejected stands in the line of its hour. When a replay has it accepted, skipped
or rejected by another code, the line says so from then on. What became of each is written down with
it: so a replay that is stopped and run again, or run on a file of before, counts nothing twice.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import sqlalchemy as sa

from target_posthog.books.lines import Kind, Line
from target_posthog.books.tables import (
    EVENTS,
    HOURS,
    PARTS,
    REPLAYED,
    is_of_units,
    numbers_of,
    rows_of_kinds,
    stored_kind,
    whole_line,
)
from target_posthog.identity.ledger import chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_posthog.rejects.book_places import BookPlace

#: What PostHog has stays what it is, whatever a later replay makes of the same record.
_FINAL = frozenset({"accepted", "superseded", "link", "group"})
_FORGET = sa.delete(REPLAYED).where(
    *(REPLAYED.c[name] == sa.bindparam(name) for name in ("project", "run", "number"))
)


class Fate(NamedTuple):
    """What became of a record.

    Attributes:
        what: in a word; `refused` is rejected, but by PostHog. Of an event that was added to a
            record: `link` or `group` once PostHog took it, `untold` before.
        name: the rule by which it was skipped, or the code by which it was rejected.
        day, event: the kind of its event, when it became one.
    """

    what: Literal[
        "accepted", "superseded", "refused", "rejected", "skipped", "link", "group", "untold"
    ]
    name: str = ""
    day: str = ""
    event: str = ""


@dataclass(slots=True)
class Move:
    """A rejected record, or a refused event of ours, of which a replay made something.

    Attributes:
        place: where the book counts it.
        was: what the rejects file says became of it.
        fate: what became of it now; None when nothing did.
        twin: a record of an earlier line whose event is the very same, and was sent in its place.
        heir: of a twin that the book does not count, the record that its fate is counted for.
        links, groups: events that were added to it.
        if_told: of an event of ours what becomes of it once PostHog takes it.
    """

    place: BookPlace
    was: Fate
    fate: Fate | None = None
    twin: Move | None = None
    heir: BookPlace | None = None
    links: int = 0
    groups: int = 0
    if_told: Fate | None = None


class MoveWriting:
    """Writes within one transaction.

    Args:
        written_at: the time, RFC 3339.
    """

    def __init__(self, connection: sa.Connection, project: str, written_at: str) -> None:
        self._connection = connection
        self._project = project
        self._written_at = written_at

    def write(self, moves: Sequence[Move]) -> None:
        """Write what became of some records, as far as the book counts them."""
        twins = [move.twin for move in moves if move.twin is not None]
        units = self._units_of({move.place for move in (*moves, *twins)})
        known = self._known(moves)
        changes: defaultdict[str, Line] = defaultdict(Line)
        fates: dict[tuple[str, int], Fate] = {}
        for move in moves:
            unit = units.get(move.place)
            if unit is None:
                continue
            if move.links or move.groups:
                changes[unit].add(Line(links=move.links, groups=move.groups))
            key = move.place.run, move.place.number
            before, now = fates.get(key) or known.get(key) or move.was, _fate_of(move, units)
            if now is not None and before != now and before.what not in _FINAL:
                _count(changes[unit], before, -1)
                _count(changes[unit], now, 1)
                fates[key] = now
        for unit, change in changes.items():
            self._change(unit, change)
        self._remember(fates)

    def _units_of(self, places: Iterable[BookPlace]) -> dict[BookPlace, str]:
        """Return the unit of each place that the book has."""
        wanted: defaultdict[tuple[str, int, str, str, str], list[BookPlace]] = defaultdict(list)
        for place in places:
            wanted[place.run, place.part, place.stream, place.app, place.hour].append(place)
        runs = sorted({place.run for same in wanted.values() for place in same})
        found: dict[BookPlace, str] = {}
        parts, hours = PARTS.c, HOURS.c
        is_same = sa.and_(hours.project == parts.project, hours.unit == parts.unit)
        columns = (parts.run, parts.part, hours.stream, hours.app, hours.hour, hours.unit)
        for chunk in chunks(runs):
            query = (
                sa.select(*columns)
                .join(HOURS, is_same)
                .where(parts.project == self._project, parts.run.in_(chunk))
            )
            for *of, unit in self._connection.execute(query):
                for place in wanted.get((of[0], of[1], of[2], of[3], of[4]), ()):
                    found[place] = unit
        return found

    def _known(self, moves: Sequence[Move]) -> dict[tuple[str, int], Fate]:
        """Return what earlier replays made of these records."""
        numbers: defaultdict[str, list[int]] = defaultdict(list)
        for move in moves:
            numbers[move.place.run].append(move.place.number)
        found: dict[tuple[str, int], Fate] = {}
        table = REPLAYED.c
        for run, those in numbers.items():
            for chunk in chunks(those):
                query = sa.select(table.number, table.fate).where(
                    table.project == self._project,
                    table.run == run,
                    table.number.in_(chunk),
                )
                for number, fate in self._connection.execute(query):
                    found[run, number] = Fate(*json.loads(fate))
        return found

    def _change(self, unit: str, change: Line) -> None:
        """Add a change to a line."""
        line = whole_line(self._connection, self._project, unit)
        line.add(change)
        # What is none any more has no row.
        line.events, line.skipped, line.rejected = +line.events, +line.skipped, +line.rejected
        self._connection.execute(
            sa.update(HOURS)
            .where(is_of_units(HOURS, self._project, [unit]))
            .values(**numbers_of(line), written_at=self._written_at)
        )
        self._connection.execute(
            sa.delete(EVENTS).where(is_of_units(EVENTS, self._project, [unit]))
        )
        rows = [{"project": self._project, "unit": unit, **row} for row in rows_of_kinds(line)]
        for chunk in chunks(rows):
            self._connection.execute(sa.insert(EVENTS), chunk)

    def _remember(self, fates: dict[tuple[str, int], Fate]) -> None:
        rows = [
            {"project": self._project, "run": run, "number": number, "fate": json.dumps(fate)}
            for (run, number), fate in sorted(fates.items())
        ]
        if rows:
            self._connection.execute(_FORGET, rows)
            self._connection.execute(sa.insert(REPLAYED), rows)


def _fate_of(move: Move, units: dict[BookPlace, str]) -> Fate | None:
    """Return what the book says of a record: also that its event was sent for another line.

    Of the same record, rejected by two runs, the book may count only the second: the first run
    was stopped before its state. Then what became of the event is what became of that one.
    """
    twin = move.twin
    if twin is None or twin.place in units:
        return move.fate
    twin.heir = twin.heir or move.place
    return twin.fate if twin.heir == move.place else move.fate


def _count(line: Line, fate: Fate, count: int) -> None:
    """Add so many records of a fate to a line."""
    kind = stored_kind(Kind(fate.day, fate.event))
    if fate.what in {"accepted", "superseded", "refused"}:
        line.events[kind] += count
    if fate.what == "superseded":
        line.superseded[kind] += count
    if fate.what == "refused":
        line.refused[kind] += count
    if fate.what in {"refused", "rejected"}:
        line.rejected[fate.name] += count
    if fate.what == "skipped":
        line.skipped[fate.name] += count
    if fate.what == "link":
        line.links += count
    if fate.what == "group":
        line.groups += count
