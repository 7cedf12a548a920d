"""Whether a migration is whole, for a person to read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.books.whole_migration import HOURS_OF
from target_posthog.common.peer_words import escaped
from target_posthog.common.quantities import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.books.whole import Gap
    from target_posthog.books.whole_migration import Part, WholeMigration

#: Of each list: what a screen holds; --json has all.
_SHOWN = 20


def as_text(found: WholeMigration, commands: Sequence[str]) -> str:
    """Return the whole result, with the commands that read what is missing."""
    lines = [line for part in found.parts for line in _part(part)]
    lines += [f"Read by no run: {_hours(gap)}." for gap in found.ends[:_SHOWN]]
    lines += _rest(len(found.ends))
    if commands:
        lines += ["", "To read what is missing; PostHog keeps once what it has already:", ""]
        lines += [f"  {command}" for command in commands[:_SHOWN]]
        lines += _rest(len(commands))
    return "\n".join([*lines, "", _verdict(found)])


def _part(part: Part) -> Iterator[str]:
    app = f", app {escaped(part.app)}" if part.app else ""
    yield f"{escaped(part.source)}{app}:"
    if part.first:
        yield f"  hours     {part.hours:>14,}  {part.first}Z to {part.last}Z"
    sums = part.totals
    for name, number in (
        ("exported", sums.exported),
        ("accepted", sums.accepted),
        ("superseded", sums.superseded),
        ("skipped", sums.skipped.total()),
        ("rejected", sums.rejected.total()),
    ):
        yield f"  {name:<10}{number:>14,}"
    if part.unsettled:
        yield f"  open      {sums.open:>14,}  records without a fate"
    for gap in part.gaps[:_SHOWN]:
        yield f"  gap       {gap.hours:>14,}  {_hours(gap)}"
    yield from _rest(len(part.gaps))
    for hour in part.overlaps[:_SHOWN]:
        yield f"  twice     {1:>14,}  {hour}Z came from another tap, too, and is counted twice"
    yield from _rest(len(part.overlaps))


def _verdict(found: WholeMigration) -> str:
    if found.is_whole:
        return "The migration is whole."
    missing = sum(gap.hours for gap in found.gaps)
    double = sum(len(part.overlaps) for part in found.parts)
    unsettled = sum(len(part.unsettled) for part in found.parts)
    named = (
        (missing, f"of {HOURS_OF} that no run has read"),
        (double, "that came in two ways"),
        (unsettled, "with records without a fate"),
    )
    found_out = "; ".join(f"{count(hours, 'hour')} {what}" for hours, what in named if hours)
    return f"The migration is not whole: {found_out}."


def _hours(gap: Gap) -> str:
    return f"{gap.first}Z" if gap.first == gap.last else f"{gap.first}Z to {gap.last}Z"


def _rest(count: int) -> list[str]:
    more = count - _SHOWN
    return [f"  … and {more:,} more"] if more > 0 else []
