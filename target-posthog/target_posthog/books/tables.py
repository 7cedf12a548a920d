"""The tables of the book in the ledger's database, and their rows."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from target_posthog.books.lines import Kind, Unit

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

#: Rows of one statement; see `identity/ledger`.
CHUNK = 2000


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
