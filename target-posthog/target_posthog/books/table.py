"""The book's tables in the ledger's database.

A line is replaced when its hour is read again, and written before the state that stands behind it:
so the sums are true after any crash, and an hour that a run did not finish is not in the book.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from target_posthog.books.lines import Kind, Line, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from target_posthog.identity.ledger import Ledger

_METADATA = sa.MetaData()
#: What a line is found by. A digest of the unit is the key of its kinds: names may be long.
HOURS = sa.Table(
    "book_hours",
    _METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("unit", sa.String(32), primary_key=True),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("hour", sa.Text, nullable=False, index=True),
    sa.Column("stretch", sa.Text, nullable=False),
    sa.Column("exported", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("superseded", sa.BigInteger, nullable=False),
    sa.Column("skipped", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.Column("skipped_by_rule", sa.Text, nullable=False),
    sa.Column("rejected_by_code", sa.Text, nullable=False),
    sa.Column("links", sa.BigInteger, nullable=False),
    sa.Column("group_updates", sa.BigInteger, nullable=False),
    sa.Column("run", sa.String(32), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("written_at", sa.String(20), nullable=False),
)
EVENTS = sa.Table(
    "book_events",
    _METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("unit", sa.String(32), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    # PostHog cuts names at 200 characters.
    sa.Column("event", sa.String(200), primary_key=True),
    sa.Column("exported", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("superseded", sa.BigInteger, nullable=False),
)

#: Rows of one statement; see `identity/ledger`.
_CHUNK = 2000


@dataclass(frozen=True)
class WrittenLine:
    """A line as it stands in the book.

    Attributes:
        unit: what it is about.
        exported, accepted, superseded, skipped, rejected: records, by what became of them.
        skipped_by_rule, rejected_by_code: the same in parts.
        links, groups: events that were added.
        run: the run that wrote it.
        attempt: how many runs have written it.
        written_at: when, RFC 3339.
    """

    unit: Unit
    exported: int
    accepted: int
    superseded: int
    skipped: int
    rejected: int
    skipped_by_rule: Counter[str]
    rejected_by_code: Counter[str]
    links: int
    groups: int
    run: str
    attempt: int
    written_at: str


@dataclass(frozen=True)
class WrittenKind:
    """How many events of a kind one line has."""

    unit: Unit
    kind: Kind
    exported: int
    accepted: int
    superseded: int


class Book:
    """The book of one PostHog project.

    Args:
        ledger: the database, and the project.
        run: what names this run.
        utc_now: the clock.

    Attributes:
        project: what names the PostHog project, a digest of its token.
        run: see above.
    """

    def __init__(self, ledger: Ledger, run: str, utc_now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self.project = ledger.project
        self.run = run
        self._utc_now = utc_now
        ledger.make_tables(_METADATA)

    def write(self, lines: Iterable[tuple[Unit, Line]]) -> None:
        """Write lines, each in place of the one of its unit.

        Raises:
            RunAgain: the database failed.
        """
        by_id = {_id_of(unit): (unit, line) for unit, line in lines}
        if by_id:
            self._ledger.transact(lambda connection: self._replace(connection, by_id))

    def lines(self) -> list[WrittenLine]:
        """Return every line, by hour, app, stream and stretch."""
        table = HOURS.c
        query = (
            sa.select(HOURS)
            .where(table.project == self.project)
            .order_by(table.hour, table.app, table.stream, table.written_at, table.stretch)
        )
        rows = self._ledger.transact(lambda connection: connection.execute(query).all())
        return [line_of(row) for row in rows]

    def kinds(self) -> Iterator[WrittenKind]:
        """Yield how many events of each kind each line has, by day and name."""
        hours, events = HOURS.c, EVENTS.c
        is_same = sa.and_(hours.project == events.project, hours.unit == events.unit)
        query = (
            sa.select(
                *(hours.stream, hours.app, hours.hour, hours.stretch),
                *(events.day, events.event),
                *(events.exported, events.accepted, events.superseded),
            )
            .join(HOURS, is_same)
            .where(events.project == self.project)
            .order_by(events.day, events.event, hours.hour, hours.app)
        )
        for row in self._ledger.transact(lambda connection: connection.execute(query).all()):
            yield WrittenKind(Unit(*row[:4]), Kind(*row[4:6]), *row[6:])

    def _replace(self, connection: sa.Connection, by_id: dict[str, tuple[Unit, Line]]) -> None:
        known = self._known(connection, list(by_id))
        # The same stretch behind fewer records is its end, which a tap begins with next time.
        by_id = {
            unit_id: (unit, line)
            for unit_id, (unit, line) in by_id.items()
            if not (unit.stretch and unit_id in known and known[unit_id][1] > line.exported)
        }
        if not by_id:
            return
        self._take_out(connection, list(by_id))
        hours = [
            self._row_of(unit_id, unit, line, known.get(unit_id, (0, 0))[0] + 1)
            for unit_id, (unit, line) in by_id.items()
        ]
        connection.execute(sa.insert(HOURS), hours)
        events = [
            {"project": self.project, "unit": unit_id, **row}
            for unit_id, (_, line) in by_id.items()
            for row in _rows_of_kinds(line)
        ]
        for start in range(0, len(events), _CHUNK):
            connection.execute(sa.insert(EVENTS), events[start : start + _CHUNK])

    def _known(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Return how many other runs have written each unit, and with how many records."""
        found: dict[str, tuple[int, int]] = {}
        columns = (HOURS.c.unit, HOURS.c.attempt, HOURS.c.run, HOURS.c.exported)
        for start in range(0, len(ids), _CHUNK):
            these = self._are_these(HOURS, ids[start : start + _CHUNK])
            for unit_id, attempt, run, exported in connection.execute(
                sa.select(*columns).where(these)
            ):
                # A later state of the same run writes the sum anew.
                found[unit_id] = attempt - 1 if run == self.run else attempt, exported
        return found

    def _take_out(self, connection: sa.Connection, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), _CHUNK):
            for table in (EVENTS, HOURS):
                these = self._are_these(table, ids[start : start + _CHUNK])
                connection.execute(sa.delete(table).where(these))

    def _are_these(self, table: sa.Table, ids: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.and_(table.c.project == self.project, table.c.unit.in_(ids))

    def _row_of(self, unit_id: str, unit: Unit, line: Line, attempt: int) -> dict[str, Any]:
        return {
            "project": self.project,
            "unit": unit_id,
            **unit._asdict(),
            "exported": line.exported,
            "accepted": line.accepted,
            "superseded": line.superseded.total(),
            "skipped": line.skipped.total(),
            "rejected": line.rejected.total(),
            "skipped_by_rule": json.dumps(line.skipped, sort_keys=True),
            "rejected_by_code": json.dumps(line.rejected, sort_keys=True),
            "links": line.links,
            "group_updates": line.groups,
            "run": self.run,
            "attempt": attempt,
            "written_at": f"{self._utc_now():%Y-%m-%dT%H:%M:%SZ}",
        }


def _rows_of_kinds(line: Line) -> list[dict[str, Any]]:
    """Return a row for each kind; of names that are one as PostHog stores them, one row."""
    rows: dict[Kind, dict[str, Any]] = {}
    for kind, exported in line.events.items():
        # PostgreSQL stores no NUL.
        stored = Kind(kind.day, kind.event.replace("\0", "\ufffd")[:200])
        row = rows.setdefault(
            stored, {**stored._asdict(), "exported": 0, "accepted": 0, "superseded": 0}
        )
        row["exported"] += exported
        row["accepted"] += line.accepted_of(kind)
        row["superseded"] += line.superseded[kind]
    return list(rows.values())


def _id_of(unit: Unit) -> str:
    return hashlib.sha256(json.dumps(unit).encode()).hexdigest()[:32]


def line_of(row: Any) -> WrittenLine:
    """Return a line of the book, of its row."""
    return WrittenLine(
        Unit(row.stream, row.app, row.hour, row.stretch),
        row.exported,
        row.accepted,
        row.superseded,
        row.skipped,
        row.rejected,
        Counter(json.loads(row.skipped_by_rule)),
        Counter(json.loads(row.rejected_by_code)),
        row.links,
        row.group_updates,
        row.run,
        row.attempt,
        row.written_at,
    )
