"""What a comparison came to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from target_posthog.books.whole import gaps_of, hours_between, overlaps_of, totals_of
from target_posthog.reconcile.remedies import command_for, command_for_all, stretches_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_posthog.books.reconciled import Scope
    from target_posthog.books.tables import WrittenLine
    from target_posthog.books.whole import Gap
    from target_posthog.reconcile.comparison import Compared, Comparison
    from target_posthog.reconcile.people import People
    from target_posthog.reconcile.remedies import Stretch


@dataclass(frozen=True)
class BookFindings:
    """What is to be said of the book itself.

    Attributes:
        first, last: its first and its last export hour; empty when it has none.
        hours: of how many hours it tells.
        streams: the streams whose records have no hour.
        open: records without a fate, which is 0 in a complete book.
        gaps: hours that no line is about.
        overlaps: hours of which both whole hours and another tap's stretches tell.
    """

    first: str
    last: str
    hours: int
    streams: Sequence[str]
    open: int
    gaps: Sequence[Gap]
    overlaps: Sequence[str]

    @classmethod
    def of(cls, lines: Sequence[WrittenLine]) -> BookFindings:
        """Return the findings of some lines."""
        units = [line.unit for line in lines]
        hours = sorted({unit.hour for unit in units if unit.hour})
        streams = {unit.stream for unit in units if not unit.hour}
        return cls(
            hours[0] if hours else "",
            hours[-1] if hours else "",
            len(hours),
            sorted(streams),
            totals_of(lines).open,
            gaps_of(units),
            overlaps_of(units),
        )


@dataclass(frozen=True)
class Result:
    """All that a comparison found.

    Attributes:
        host, project_id: who was asked.
        asked_at: when, RFC 3339.
        book: what is to be said of the book itself.
        people: what became of a sample of links; None when nobody asked.
        environment: the variables, for commands.
    """

    host: str
    project_id: str
    asked_at: str
    scope: Scope
    book: BookFindings
    comparison: Comparison
    people: People | None
    environment: Mapping[str, str]

    @property
    def agrees(self) -> bool:
        """Whether nothing is left to be looked at."""
        people = self.people
        are_joined = people is None or people.joined == people.sampled
        is_whole = not (self.book.gaps or self.book.open)
        return is_whole and are_joined and not self.comparison.differences

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The hours to send again."""
        hours = [
            difference.cell.hour
            for difference in self.comparison.differences
            if difference.cell.hour
        ]
        for gap in self.book.gaps:
            hours += [*hours_between(gap.first, gap.last), gap.last]
        return stretches_of(hours)

    @property
    def commands(self) -> list[str]:
        """The commands that send them."""
        made = [command_for(stretch, self.environment) for stretch in self.stretches]
        if any(not difference.cell.hour for difference in self.comparison.differences):
            made.append(command_for_all(self.environment))
        return made

    def command_for(self, compared: Compared) -> str:
        """Return the command that sends a cell's events again; "" where there is none."""
        if not compared.differs:
            return ""
        hour = compared.cell.hour
        if not hour:
            return command_for_all(self.environment)
        stretch = next((known for known in self.stretches if known.holds(hour)), None)
        return "" if stretch is None else command_for(stretch, self.environment)
