"""What is compared: the events of one export hour, one UTC day and one name. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_posthog.books.tables import WrittenKind, WrittenLine

#: ClickHouse's DateTime64 holds no other years (clickhouse.com, DateTime64); PostHog stores such
#: times at the nearest day that there is.
_FIRST_DAY, _LAST_DAY = "1900-01-01", "2299-12-31"


class Cell(NamedTuple):
    """Events that are counted together.

    Attributes:
        hour: the export hour, `2024-01-31T05`; empty where they have none.
        day: the UTC day of their time, `2024-01-31`.
        event: their name.
    """

    hour: str
    day: str
    event: str


@dataclass(frozen=True)
class Booked:
    """What the book says of a cell: the events of which PostHog keeps one, and older versions."""

    accepted: int = 0
    superseded: int = 0


@dataclass(frozen=True)
class Held:
    """What PostHog says of a cell.

    Attributes:
        events: how many there are.
        rows: in how many rows, of which repeats are merged some time.
        is_least: there may be more, which cannot be distinguished from the events of other senders.
    """

    events: int = 0
    rows: int = 0
    is_least: bool = False


def booked_cells(kinds: Iterable[WrittenKind], *, have_hours: bool) -> dict[Cell, Booked]:
    """Return what the book says of a part of it.

    Where events do not tell their hour in PostHog (`have_hours`), they are compared by day.
    """
    sums: defaultdict[Cell, list[int]] = defaultdict(lambda: [0, 0])
    for kind in kinds:
        hour, (day, event) = kind.unit.hour, kind.kind
        day = min(max(day, _FIRST_DAY), _LAST_DAY)
        both = sums[Cell(hour if have_hours else "", day, event)]
        both[0] += kind.accepted
        both[1] += kind.superseded
    return {cell: Booked(*both) for cell, both in sums.items()}


def rejected_by_hour(lines: Iterable[WrittenLine], *, have_hours: bool) -> Mapping[str, int]:
    """Return how many records of each hour are in the rejects; a replay may send them."""
    sums: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        sums[line.unit.hour if have_hours else ""] += line.rejected
    return sums
