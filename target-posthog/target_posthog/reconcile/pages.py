"""How the events of a whole project are asked for in parts that PostHog answers. Pure.

A response has 50,000 rows and a query 10 s. The parts lie side by side on the time axis, the first
and the last without an end, so that no event of any time is left out. A part that is too much is
halved: by days first, and the names of one day then, which is the order in which PostHog keeps
events. Where the book has nothing, there may be years of a live project's events.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from target_posthog.reconcile.questions import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from target_posthog.reconcile.cells import Cell

#: Of a page, by the book: PostHog may have more, and gives 50,000 rows at most.
_CELLS, _DAYS = 40_000, 62
#: Unix time has room for these (ClickHouse's DateTime).
_FIRST_DAY, _LAST_DAY = "1970-01-02", "2106-01-01"


def pages_of(cells: Iterable[Cell], *, is_bounded: bool) -> list[Page]:
    """Return pages that cover all times, in their order; one page of all when there is no cell.

    With `is_bounded` only days from the first to the last of the cells are wanted.
    """
    counts = Counter(cell.day for cell in cells if _FIRST_DAY <= cell.day <= _LAST_DAY)
    groups: list[list[str]] = []
    room = 0
    for day in sorted(counts):
        room -= counts[day]
        if room < 0 or len(groups[-1]) >= _DAYS:
            groups.append([])
            room = _CELLS - counts[day]
        groups[-1].append(day)
    if not groups:
        return [Page()]
    starts = [groups[0][0] if is_bounded else "", *(group[0] for group in groups[1:])]
    ends = [*starts[1:], _next(groups[-1][-1]) if is_bounded else ""]
    return [
        Page(start, end, days=tuple(known))
        for start, end, known in zip(starts, ends, groups, strict=True)
    ]


def pages_with(pages: Sequence[Page], days: Iterable[str]) -> list[Page]:
    """Return those pages that hold one of these days."""
    wanted = set(days)
    return [
        page
        for page in pages
        if any(
            (not page.start or page.start <= day) and (not page.end or day < page.end)
            for day in wanted
        )
    ]


def halves_of(page: Page, names_of: Mapping[str, Sequence[str]]) -> Iterator[Page]:
    """Yield the parts of a page that was too much; nothing when it cannot be less.

    `names_of` has the names of each day that the book knows, in order.
    """
    if len(page.days) > 1:
        middle = len(page.days) // 2
        day = page.days[middle]
        yield replace(page, end=day, days=page.days[:middle])
        yield replace(page, start=day, days=page.days[middle:])
        return
    if not page.days:
        yield from _halves_of_time(page)
        return
    (day,) = page.days
    behind = _next(day)
    if page.start != day or page.end != behind:
        if page.start != day:
            yield replace(page, end=day, days=())
        yield replace(page, start=day, end=behind)
        if page.end != behind:
            yield replace(page, start=behind, days=())
        return
    names = names_of.get(day, ())
    names = names[bisect_left(names, page.first) : _end_of(names, page.last)]
    if len(names) > 1:
        middle_name = names[len(names) // 2]
        yield replace(page, last=middle_name)
        yield replace(page, first=middle_name)


def _halves_of_time(page: Page) -> Iterator[Page]:
    """Yield both halves of a page of which the book knows no day; nothing of one day."""
    first = date.fromisoformat(page.start or _FIRST_DAY)
    end = date.fromisoformat(page.end or _LAST_DAY)
    middle = (first + (end - first) // 2).isoformat()
    if end - first > timedelta(days=1):
        yield replace(page, end=middle)
        yield replace(page, start=middle)


def _end_of(names: Sequence[str], last: str) -> int:
    return bisect_left(names, last) if last else len(names)


def _next(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
