"""PostHog asked for its counts, page after page, and those pages again that lacked something."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

from target_posthog.errors import QueryTooLarge
from target_posthog.reconcile.cells import Booked, Cell, Held
from target_posthog.reconcile.pages import halves_of, pages_of, pages_with
from target_posthog.reconcile.questions import daily_counts, hourly_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from target_posthog.reconcile.questions import Page
    from target_posthog.reconcile.wanted import Wanted

logger = logging.getLogger("target-posthog")

#: Of the counting, a line now and then. Seconds.
_LOG_SECONDS = 10.0
#: What the target adds to the records: in PostHog such events look like a record's own.
ADDED_NAMES = frozenset({"$create_alias", "$groupidentify", "$identify"})

_Rows = list[list[Any]]


class Asks(Protocol):
    """Answers HogQL; see `QueryApi.rows`."""

    def rows(self, query: str) -> _Rows:
        """Return all rows of a query."""


class Survey:
    """One kind of counts, page by page.

    Args:
        booked: what the book says of the cells that are compared.
        is_bounded: see `pages_of`.
        query: returns the query of a page.
        read: returns what the rows of one say.
    """

    def __init__(
        self,
        api: Asks,
        booked: Mapping[Cell, Booked],
        query: Callable[[Page], str],
        read: Callable[[_Rows], Mapping[Cell, Held]],
        *,
        is_bounded: bool = False,
    ) -> None:
        self._api = api
        self._query = query
        self._read = read
        names: defaultdict[str, set[str]] = defaultdict(set)
        for cell in booked:
            names[cell.day].add(cell.event)
        self._names_of = {day: sorted(of_day) for day, of_day in names.items()}
        self._found: dict[Page, Mapping[Cell, Held]] = {}
        self._pages = pages_of(booked, is_bounded=is_bounded)

    def ask(self, days: Collection[str] | None = None) -> dict[Cell, Held]:
        """Return what PostHog holds.

        With `days`, ask again for these alone: of all others PostHog said enough.

        Raises:
            TargetPosthogError: PostHog could not be asked.
        """
        last = time.monotonic()
        waiting = self._pages if days is None else pages_with(self._pages, days)
        waiting = list(reversed(waiting))
        while waiting:
            page = waiting.pop()
            if time.monotonic() > last + _LOG_SECONDS:
                last = time.monotonic()
                logger.info("Counting in PostHog from %s on …", page.start or "the first day")
            try:
                self._found[page] = self._read(self._api.rows(self._query(page)))
            except QueryTooLarge as error:
                waiting += reversed(self._instead_of(page, error))
        return {cell: held for page in self._pages for cell, held in self._found[page].items()}

    def _instead_of(self, page: Page, error: QueryTooLarge) -> list[Page]:
        """Return the parts to ask for in place of a page that was too much.

        Raises:
            QueryTooLarge: it cannot be less, and the book has events in it.
        """
        parts = list(halves_of(page, self._names_of))
        if not parts:
            if page.days:
                raise error
            logger.warning(
                "PostHog has too many events from %s to %s to be looked through. The book has none "
                "there, so nothing can be missing.",
                page.start,
                page.end,
            )
            self._found[page] = {}
            return []
        place = self._pages.index(page)
        self._pages[place : place + 1] = parts
        return parts


def surveys_of(api: Asks, wanted: Wanted, booked: Mapping[Cell, Booked]) -> list[Survey]:
    """Return what there is to ask."""
    scope, uploaded = wanted.scope, wanted.uploaded
    hourly = {cell: count for cell, count in booked.items() if cell.hour}
    daily = {cell: count for cell, count in booked.items() if not cell.hour}
    surveys = []
    if uploaded is not None:
        surveys.append(
            Survey(
                api,
                hourly,
                lambda page: hourly_counts(page, scope, uploaded),
                _of_hours,
                is_bounded=scope.has_hours,
            )
        )
    # Without such events in the book there are only the live ones of the project to find.
    if daily:
        surveys.append(
            Survey(
                api,
                daily,
                lambda page: daily_counts(page, scope, uploaded),
                lambda rows: dict(_of_days(rows, daily, name_us=wanted.name_us)),
            )
        )
    return surveys


def _of_hours(rows: _Rows) -> dict[Cell, Held]:
    return {Cell(hour, day, event): Held(events, count) for hour, day, event, events, count in rows}


def _of_days(
    rows: _Rows, booked: Mapping[Cell, Booked], *, name_us: bool
) -> Iterable[tuple[Cell, Held]]:
    """Yield what PostHog holds of events without an hour.

    Those that name another library cannot be distinguished from the project's live events, and
    those that the target adds not from records that ask for the same. Of them only as many count as
    the book has: what is missing shows, what is more does not.
    """
    for day, event, ours, our_rows, everybodys, _ in rows:
        cell = Cell("", day, event)
        expected = booked.get(cell, Booked()).accepted
        are_told_apart = ours >= expected or (name_us and ours)
        if event in ADDED_NAMES or not are_told_apart:
            at_least = min(everybodys, expected)
            if expected:
                yield cell, Held(at_least, at_least, is_least=True)
        elif ours:
            yield cell, Held(ours, our_rows)
