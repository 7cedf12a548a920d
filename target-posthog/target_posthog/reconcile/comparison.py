"""The book beside what PostHog holds: what is missing, what is more, and what only seems so. Pure.

Two things only seem to be differences:

- An event that came in two export hours is kept once, with the hour of its later version. So it is
  missing in one hour and more in another of the same day and name, and the book knows of it as
  `superseded`.
- A rejected record that was fixed and replayed is in PostHog. The book knows of it as accepted,
  unless its rejects file does not say where it is counted, or its hour was read again since: then
  the book has it as rejected.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

from target_posthog.reconcile.cells import Booked, Cell, Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Compared:
    """One cell, with what both sides say of it.

    Attributes:
        cell: which.
        booked: events that PostHog accepted, by the book.
        held: events that PostHog holds.
        missing: of the booked ones, those that PostHog does not hold.
        extra: those that PostHog holds, and the book does not have.
        moved: events counted in another hour than in the book; neither missing nor extra.
        replayed: events of the rejects that a replay has sent; not extra.
        unmerged: rows that repeat an event, and that PostHog has not merged yet.
        one_sided: of the booked ones, those of which only what is missing can be seen: PostHog's
            cannot be distinguished from the events of other senders.
    """

    cell: Cell
    booked: int
    held: int
    missing: int = 0
    extra: int = 0
    moved: int = 0
    replayed: int = 0
    unmerged: int = 0
    one_sided: int = 0

    @property
    def differs(self) -> bool:
        """Whether both sides disagree."""
        return bool(self.missing or self.extra)


@dataclass(frozen=True)
class Comparison:
    """All cells of the part that was compared, by hour, day and name."""

    cells: Sequence[Compared] = ()

    @cached_property
    def differences(self) -> Sequence[Compared]:
        """The cells in which both sides disagree."""
        return [compared for compared in self.cells if compared.differs]

    def total(self, name: str) -> int:
        """Return the sum of one of the numbers of `Compared`."""
        return sum(getattr(compared, name) for compared in self.cells)


def compare(
    booked: Mapping[Cell, Booked], held: Mapping[Cell, Held], rejected: Mapping[str, int]
) -> Comparison:
    """Compare both sides.

    `rejected` is how many records of each hour are in the rejects.
    """
    of_one_kind: defaultdict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in sorted({*booked, *held}):
        of_one_kind[cell.day, cell.event].append(cell)
    found: list[Compared] = []
    for cells in of_one_kind.values():
        pairs = [(booked.get(cell, Booked()), held.get(cell, Held())) for cell in cells]
        compared = [_compared(cell, *pair) for cell, pair in zip(cells, pairs, strict=True)]
        found += _with_moved(compared, sum(both.superseded for both, _ in pairs))
    unsent = Counter(rejected)
    return Comparison(
        [_with_replayed(cell, unsent) for cell in sorted(found, key=attrgetter("cell"))]
    )


def _compared(cell: Cell, booked: Booked, held: Held) -> Compared:
    return Compared(
        cell,
        booked.accepted,
        held.events,
        missing=max(0, booked.accepted - held.events),
        extra=max(0, held.events - booked.accepted),
        unmerged=max(0, held.rows - held.events),
        one_sided=booked.accepted if held.is_least else 0,
    )


def _with_moved(compared: Sequence[Compared], superseded: int) -> Iterable[Compared]:
    """Yield the cells of one day and name, with what only changed its hour counted apart.

    `superseded` is of how many of these events the book has an older version.
    """
    lacking = leaving = min(
        superseded, sum(row.missing for row in compared), sum(row.extra for row in compared)
    )
    for row in compared:
        came, went = min(row.extra, leaving), min(row.missing, lacking)
        leaving, lacking = leaving - came, lacking - went
        yield replace(row, missing=row.missing - went, extra=row.extra - came, moved=came + went)


def _with_replayed(compared: Compared, unsent: Counter[str]) -> Compared:
    """Return a cell, with what a replay may have sent counted apart.

    `unsent` has the rejects of each hour that explain nothing yet; it is changed.
    """
    sent = min(compared.extra, unsent[compared.cell.hour])
    unsent[compared.cell.hour] -= sent
    return replace(compared, extra=compared.extra - sent, replayed=sent) if sent else compared
