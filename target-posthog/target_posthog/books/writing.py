"""Lines of a run into the tables of the book: in place of those of before, or added to them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from target_posthog.books.lines import Kind, Line, Unit
from target_posthog.books.samples import relation_of
from target_posthog.books.tables import CHUNK, EVENTS, HOURS, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.books.samples import Sample


class Before(NamedTuple):
    """A line of the book beside which a run has more, or a part, of the same unit.

    Attributes:
        line: the line.
        is_of_this_run: this run has written it, and went back to the unit.
    """

    line: Line
    is_of_this_run: bool


class _Known(NamedTuple):
    """What the book has of a unit.

    Attributes:
        attempt: how many other runs have written it.
        exported: with how many records.
        is_of_this_run: whether this run has written it, too.
    """

    attempt: int
    exported: int
    is_of_this_run: bool


class Writing:
    """Writes within one transaction. One class, as all of it is of that transaction.

    Args:
        connection: of the transaction.
        project: see `Book`.
        run: see `Book`.
        written_at: the time, RFC 3339.
    """

    def __init__(self, connection: sa.Connection, project: str, run: str, written_at: str) -> None:
        self._connection = connection
        self._project = project
        self._run = run
        self._written_at = written_at

    def write(
        self,
        by_id: dict[str, tuple[Unit, Line]],
        before: dict[str, Before | None],
    ) -> None:
        """Write lines.

        Args:
            by_id: the lines.
            before: by unit the line of before, None where it gives way; completed here.
        """
        known = self._known(list(by_id))
        samples = self._samples(list(by_id))
        changed: dict[str, tuple[Unit, Line]] = {}
        for unit_id, (unit, line) in by_id.items():
            if unit_id not in before:
                before[unit_id] = self._before(
                    unit_id, unit, line, known.get(unit_id), samples.get(unit_id, ())
                )
            whole = _together(before[unit_id], line, unit)
            if whole is not None:
                changed[unit_id] = unit, whole
        self._replace(changed, known)

    def _replace(
        self,
        by_id: dict[str, tuple[Unit, Line]],
        known: dict[str, _Known],
    ) -> None:
        if not by_id:
            return
        self._take_out(list(by_id))
        hours = [
            self._row_of(unit_id, unit, line, known[unit_id].attempt + 1 if unit_id in known else 1)
            for unit_id, (unit, line) in by_id.items()
        ]
        self._connection.execute(sa.insert(HOURS), hours)
        events = [
            {"project": self._project, "unit": unit_id, **row}
            for unit_id, (_, line) in by_id.items()
            for row in _rows_of_kinds(line)
        ]
        for start in range(0, len(events), CHUNK):
            self._connection.execute(sa.insert(EVENTS), events[start : start + CHUNK])
        samples = [
            {"project": self._project, "unit": unit_id, "sample": json.dumps(line.sample)}
            for unit_id, (_, line) in by_id.items()
            if line.sample
        ]
        if samples:
            self._connection.execute(sa.insert(SAMPLES), samples)

    def _before(
        self, unit_id: str, unit: Unit, line: Line, known: _Known | None, sample: Sample
    ) -> Before | None:
        """Return the line that is in the book, unless it gives way to another."""
        if known is None:
            return None
        is_less = line.exported < known.exported
        # The end of a stretch alone: a tap begins with it next time.
        is_end = bool(unit.stretch) and is_less
        gives_way = relation_of(sample, line.sample, is_less=is_less) == "again" and not is_end
        if gives_way and not known.is_of_this_run:
            return None
        return Before(self._line(unit_id), is_of_this_run=known.is_of_this_run)

    def _samples(self, ids: Sequence[str]) -> dict[str, Sample]:
        """Return the samples of units."""
        found: dict[str, Sample] = {}
        for start in range(0, len(ids), CHUNK):
            these = self._are_these(SAMPLES, ids[start : start + CHUNK])
            query = sa.select(SAMPLES.c.unit, SAMPLES.c.sample).where(these)
            for unit_id, sample in self._connection.execute(query):
                found[unit_id] = tuple(json.loads(sample))
        return found

    def _line(self, unit_id: str) -> Line:
        """Return the line of a unit as it stands in the book."""
        row = self._connection.execute(
            sa.select(HOURS).where(self._are_these(HOURS, [unit_id]))
        ).one()
        line = Line(
            skipped=Counter(json.loads(row.skipped_by_rule)),
            rejected=Counter(json.loads(row.rejected_by_code)),
            links=row.links,
            groups=row.group_updates,
            sample=self._samples([unit_id]).get(unit_id, ()),
        )
        query = sa.select(EVENTS).where(self._are_these(EVENTS, [unit_id]))
        for one in self._connection.execute(query):
            kind = Kind(one.day, one.event)
            line.events[kind] = one.exported
            line.superseded[kind] = one.superseded
            line.refused[kind] = one.exported - one.superseded - one.accepted
        return line

    def _known(self, ids: Sequence[str]) -> dict[str, _Known]:
        """Return what the book has of units."""
        found: dict[str, _Known] = {}
        columns = (HOURS.c.unit, HOURS.c.attempt, HOURS.c.run, HOURS.c.exported)
        for start in range(0, len(ids), CHUNK):
            these = self._are_these(HOURS, ids[start : start + CHUNK])
            for unit_id, attempt, run, exported in self._connection.execute(
                sa.select(*columns).where(these)
            ):
                is_of_this_run = run == self._run
                others = attempt - 1 if is_of_this_run else attempt
                found[unit_id] = _Known(others, exported, is_of_this_run)
        return found

    def _take_out(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), CHUNK):
            for table in (SAMPLES, EVENTS, HOURS):
                these = self._are_these(table, ids[start : start + CHUNK])
                self._connection.execute(sa.delete(table).where(these))

    def _are_these(self, table: sa.Table, ids: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.and_(table.c.project == self._project, table.c.unit.in_(ids))

    def _row_of(self, unit_id: str, unit: Unit, line: Line, attempt: int) -> dict[str, Any]:
        return {
            "project": self._project,
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
            "run": self._run,
            "attempt": attempt,
            "written_at": self._written_at,
        }


def _together(before: Before | None, line: Line, unit: Unit) -> Line | None:
    """Return what stands in the book after a line; None when that stays as it was."""
    if before is None:
        return line
    is_less = line.exported < before.line.exported
    relation = relation_of(before.line.sample, line.sample, is_less=is_less)
    # What comes twice in one run is superseded, or a duplicate: the run has counted it so.
    if before.is_of_this_run or relation == "more":
        whole = Line()
        whole.add(before.line)
        whole.add(line)
        return whole
    return None if relation == "part" or (unit.stretch and is_less) else line


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


def id_of(unit: Unit) -> str:
    """Return what names a unit in the tables."""
    return hashlib.sha256(json.dumps(unit).encode()).hexdigest()[:32]
