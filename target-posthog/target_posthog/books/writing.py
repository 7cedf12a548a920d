"""Lines of a run into the tables of the book: in place of those of before, or added to them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from target_posthog.books.lines import Line, Unit
from target_posthog.books.samples import Samples, relation_between
from target_posthog.books.tables import (
    EVENTS,
    HOURS,
    PARTS,
    SAMPLES,
    is_of_units,
    numbers_of,
    rows_of_kinds,
    samples_in,
    whole_line,
)
from target_posthog.identity.database import insert_new
from target_posthog.identity.ledger import chunks

if TYPE_CHECKING:
    from collections.abc import Sequence


class Before(NamedTuple):
    """A line of the book beside which a run has more, or a part, of the same unit.

    Attributes:
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
    """Writes within one transaction.

    Args:
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

        `before` has by unit the line of before, None where it gives way; it is completed here.
        """
        known = self._known(list(by_id))
        samples = samples_in(self._connection, self._project, list(by_id))
        changed: dict[str, tuple[Unit, Line]] = {}
        replaced: list[str] = []
        for unit_id, (unit, line) in by_id.items():
            if unit_id in known and known[unit_id].exported and not line.exported:
                continue  # that an hour has no record changes nothing of what came of it
            if unit_id not in before:
                before[unit_id] = self._before(
                    unit_id, unit, line, known.get(unit_id), samples.get(unit_id, Samples())
                )
            whole = _together(before[unit_id], line, unit)
            if whole is not None:
                changed[unit_id] = unit, whole
            if whole is line:
                replaced.append(unit_id)
        self._replace(changed, known)
        self._note_parts({unit_id: by_id[unit_id] for unit_id in changed}, replaced)

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
            for row in rows_of_kinds(line)
        ]
        for chunk in chunks(events):
            self._connection.execute(sa.insert(EVENTS), chunk)
        samples = [
            {
                "project": self._project,
                "unit": unit_id,
                "sample": json.dumps(line.samples._asdict()),
            }
            for unit_id, (_, line) in by_id.items()
            if any(line.samples)
        ]
        if samples:
            self._connection.execute(sa.insert(SAMPLES), samples)

    def _note_parts(self, by_id: dict[str, tuple[Unit, Line]], replaced: Sequence[str]) -> None:
        """Write which parts of this run lines count the rejects of.

        The lines in `replaced` are in place of earlier ones, and count no rejects of other runs.
        """
        for chunk in chunks(replaced):
            these = is_of_units(PARTS, self._project, chunk)
            self._connection.execute(sa.delete(PARTS).where(these))
        parts = [
            {"project": self._project, "unit": unit_id, "run": self._run, "part": part}
            for unit_id, (_, line) in by_id.items()
            for part in sorted(line.parts)
        ]
        if parts:
            # A line that goes on has those of before again.
            self._connection.execute(insert_new(self._connection.engine, PARTS), parts)

    def _before(
        self, unit_id: str, unit: Unit, line: Line, known: _Known | None, samples: Samples
    ) -> Before | None:
        """Return the line that is in the book, unless it gives way to another."""
        if known is None:
            return None
        is_less = line.exported < known.exported
        # The end of a stretch alone: a tap begins with it next time.
        is_end = bool(unit.stretch) and is_less
        relation = relation_between(samples, line.samples, is_less=is_less)
        gives_way = relation == "again" and not is_end
        if gives_way and not known.is_of_this_run:
            return None
        before = whole_line(self._connection, self._project, unit_id)
        return Before(before, is_of_this_run=known.is_of_this_run)

    def _known(self, ids: Sequence[str]) -> dict[str, _Known]:
        """Return what the book has of units."""
        found: dict[str, _Known] = {}
        columns = (HOURS.c.unit, HOURS.c.attempt, HOURS.c.run, HOURS.c.exported)
        for chunk in chunks(ids):
            query = sa.select(*columns).where(is_of_units(HOURS, self._project, chunk))
            for unit_id, attempt, run, exported in self._connection.execute(query):
                is_of_this_run = run == self._run
                others = attempt - 1 if is_of_this_run else attempt
                found[unit_id] = _Known(others, exported, is_of_this_run)
        return found

    def _take_out(self, ids: Sequence[str]) -> None:
        for chunk in chunks(ids):
            for table in (SAMPLES, EVENTS, HOURS):
                these = is_of_units(table, self._project, chunk)
                self._connection.execute(sa.delete(table).where(these))

    def _row_of(self, unit_id: str, unit: Unit, line: Line, attempt: int) -> dict[str, Any]:
        return {
            "project": self._project,
            "unit": unit_id,
            **unit._asdict(),
            **numbers_of(line),
            "run": self._run,
            "attempt": attempt,
            "written_at": self._written_at,
        }


def _together(before: Before | None, line: Line, unit: Unit) -> Line | None:
    """Return what stands in the book after a line; None when that stays as it was."""
    if before is None:
        return line
    is_less = line.exported < before.line.exported
    relation = relation_between(before.line.samples, line.samples, is_less=is_less)
    # What comes twice in one run is superseded, or a duplicate: the run has counted it so.
    if before.is_of_this_run or relation == "more":
        whole = Line()
        whole.add(before.line)
        whole.add(line)
        return whole
    return None if relation == "part" or (unit.stretch and is_less) else line


def id_of(unit: Unit) -> str:
    """Return what names a unit in the tables."""
    return hashlib.sha256(json.dumps(unit).encode()).hexdigest()[:32]
