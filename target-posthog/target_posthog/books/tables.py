"""The tables of the book in the ledger's database, and their rows."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from target_posthog.books.lines import Kind, Line, Unit
from target_posthog.books.samples import Samples
from target_posthog.identity.ledger import chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

METADATA = sa.MetaData()
#: What a line is found by. A digest of the unit is the key of its kinds: names may be long.
HOURS = sa.Table(
    "book_hours",
    METADATA,
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
    METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("unit", sa.String(32), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    # PostHog cuts names at 200 characters.
    sa.Column("event", sa.String(200), primary_key=True),
    sa.Column("exported", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("superseded", sa.BigInteger, nullable=False),
)

#: A few records of each line, by which those that come again are known; see `samples`.
SAMPLES = sa.Table(
    "book_samples",
    METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("unit", sa.String(32), primary_key=True),
    sa.Column("sample", sa.Text, nullable=False),
)

#: Of which runs, and which of their parts, a line counts the rejected records; see `BookPlace`.
PARTS = sa.Table(
    "book_parts",
    METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("unit", sa.String(32), primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True, index=True),
    sa.Column("part", sa.BigInteger, primary_key=True, autoincrement=False),
)
#: What a replay made of rejected records, each by its run and number.
REPLAYED = sa.Table(
    "book_replayed",
    METADATA,
    sa.Column("project", sa.String(32), primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("fate", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class WrittenLine:
    """A line as it stands in the book.

    Attributes:
        exported, accepted, superseded, skipped, rejected: records, by what became of them.
        skipped_by_rule, rejected_by_code: the same in parts.
        links, groups: events that were added.
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

    @property
    def open(self) -> int:
        """Return how many records have no fate, which is 0 in a complete book."""
        return self.exported - self.accepted - self.superseded - self.skipped - self.rejected


@dataclass(frozen=True)
class WrittenKind:
    """How many events of a kind one line has."""

    unit: Unit
    kind: Kind
    exported: int
    accepted: int
    superseded: int


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


def numbers_of(line: Line) -> dict[str, Any]:
    """Return what the row of a line says of its records."""
    return {
        "exported": line.exported,
        "accepted": line.accepted,
        "superseded": line.superseded.total(),
        "skipped": line.skipped.total(),
        "rejected": line.rejected.total(),
        "skipped_by_rule": json.dumps(line.skipped, sort_keys=True),
        "rejected_by_code": json.dumps(line.rejected, sort_keys=True),
        "links": line.links,
        "group_updates": line.groups,
    }


def rows_of_kinds(line: Line) -> list[dict[str, Any]]:
    """Return a row for each kind; of names that are one as PostHog stores them, one row."""
    rows: dict[Kind, dict[str, Any]] = {}
    for kind, exported in line.events.items():
        stored = stored_kind(kind)
        row = rows.setdefault(
            stored, {**stored._asdict(), "exported": 0, "accepted": 0, "superseded": 0}
        )
        row["exported"] += exported
        row["accepted"] += line.accepted_of(kind)
        row["superseded"] += line.superseded[kind]
    return list(rows.values())


def stored_kind(kind: Kind) -> Kind:
    """Return a kind as the book has it: with the name as PostHog stores it."""
    # PostgreSQL stores no NUL.
    return Kind(kind.day, kind.event.replace("\0", "\ufffd")[:200])


def is_of_units(table: sa.Table, project: str, units: Sequence[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a row is of some units."""
    return sa.and_(table.c.project == project, table.c.unit.in_(units))


def samples_in(connection: sa.Connection, project: str, units: Sequence[str]) -> dict[str, Samples]:
    """Return the samples of units."""
    found: dict[str, Samples] = {}
    for chunk in chunks(units):
        these = is_of_units(SAMPLES, project, chunk)
        query = sa.select(SAMPLES.c.unit, SAMPLES.c.sample).where(these)
        for unit, text in connection.execute(query):
            read = json.loads(text)
            # A list is of a version that had no others.
            both = (read, ()) if isinstance(read, list) else (read["events"], read["others"])
            found[unit] = Samples(*map(tuple, both))
    return found


def whole_line(connection: sa.Connection, project: str, unit: str) -> Line:
    """Return the line of a unit as it stands in the book."""
    row = connection.execute(sa.select(HOURS).where(is_of_units(HOURS, project, [unit]))).one()
    samples = samples_in(connection, project, [unit]).get(unit, Samples())
    line = Line(
        skipped=Counter(json.loads(row.skipped_by_rule)),
        rejected=Counter(json.loads(row.rejected_by_code)),
        links=row.links,
        groups=row.group_updates,
        sample=samples.events,
        others=samples.others,
    )
    for kept in connection.execute(sa.select(EVENTS).where(is_of_units(EVENTS, project, [unit]))):
        kind = Kind(kept.day, kept.event)
        line.events[kind] = kept.exported
        line.superseded[kind] = kept.superseded
        line.refused[kind] = kept.exported - kept.superseded - kept.accepted
    return line
