"""The comparison from its beginning to its end: asked, waited for, asked again, kept."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from target_posthog.books.reconciled import Found, Reconciled
from target_posthog.books.sums import each_line
from target_posthog.identity.samples import owned_devices
from target_posthog.reconcile.cells import booked_cells, rejected_by_hour
from target_posthog.reconcile.comparison import compare
from target_posthog.reconcile.people import ids_of, people_among
from target_posthog.reconcile.questions import people_of
from target_posthog.reconcile.surveys import surveys_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from target_posthog.books.table import Book
    from target_posthog.books.tables import WrittenLine
    from target_posthog.identity.ledger import Ledger
    from target_posthog.reconcile.cells import Cell, Held
    from target_posthog.reconcile.comparison import Comparison
    from target_posthog.reconcile.people import People
    from target_posthog.reconcile.surveys import Asks
    from target_posthog.reconcile.wanted import Wanted

logger = logging.getLogger("target-posthog")

#: Between two questions for the same: growing, because ingestion that lags lags for long. Seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 60.0
#: Of one question: ids may be long, and a query of ClickHouse has 256 KiB.
_IDS = 500


class Reconciliation:
    """Compares the book with PostHog."""

    def __init__(
        self,
        ledger: Ledger,
        book: Book,
        api: Asks,
        wanted: Wanted,
        *,
        utc_now: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._api = api
        self._wanted = wanted
        self._utc_now = utc_now
        self._sleep = sleep
        have_hours = wanted.uploaded is not None
        self._booked = booked_cells(book.kinds(wanted.scope), have_hours=have_hours)
        lines = self.lines = [line for line in each_line(ledger) if self._is_wanted(line)]
        self._rejected = rejected_by_hour(lines, have_hours=have_hours)
        self._surveys = surveys_of(api, wanted, self._booked)
        self._links = owned_devices(ledger, wanted.people)
        self.asked_at = ""

    def run(self) -> tuple[Comparison, People]:
        """Return what was found, after waiting for what is missing; keep it beside the book.

        Raises:
            TargetPosthogError: PostHog could not be asked, or the database failed.
        """
        held, people = self._ask(), self._ask_for_people()
        comparison = compare(self._booked, held, self._rejected)
        pause, left = _FIRST_PAUSE, self._wanted.wait_seconds
        while left > 0 and (days := _days_of_missing(comparison) or people.unknown):
            pause = min(pause, left)
            self._say_that_it_waits(comparison, people, pause, left)
            self._sleep(pause)
            left, pause = left - pause, min(2 * pause, _LONGEST_PAUSE)
            if days := _days_of_missing(comparison):
                held = self._ask(days)
                comparison = compare(self._booked, held, self._rejected)
            if people.unknown:
                people = self._ask_for_people()
        self._keep(comparison)
        # What PostHog lost of an hour may have been its links, too: with the hour they go again.
        self._ledger.reopen([link.device_id for link in people.apart])
        return comparison, people

    def _is_wanted(self, line: WrittenLine) -> bool:
        scope = self._wanted.scope
        return not scope.has_hours or scope.holds(line.unit.hour, next(iter(scope.events), ""))

    def _ask(self, days: Sequence[str] | None = None) -> dict[Cell, Held]:
        held: dict[Cell, Held] = {}
        for survey in self._surveys:
            held |= survey.ask(days)
        self.asked_at = f"{self._utc_now():%Y-%m-%dT%H:%M:%SZ}"
        return held

    def _ask_for_people(self) -> People:
        if not self._links:
            return people_among((), {})
        ids = ids_of(self._links)
        person_of: dict[str, str] = {}
        for start in range(0, len(ids), _IDS):
            rows = self._api.rows(people_of(ids[start : start + _IDS]))
            person_of |= {known: person for known, person in rows}  # noqa: C416 - rows are lists
        return people_among(self._links, person_of)

    def _say_that_it_waits(
        self, comparison: Comparison, people: People, pause: float, left: float
    ) -> None:
        missing = f"{comparison.total('missing'):,} of {comparison.total('booked'):,} events"
        if people.unknown:
            missing += f" and {len(people.unknown)} of {people.sampled} people"
        logger.info(
            "%s are not in PostHog yet. Asking again in %.0f s, for up to %.0f s (--wait).",
            missing,
            pause,
            left,
        )

    def _keep(self, comparison: Comparison) -> None:
        Reconciled(self._ledger).replace(
            self._wanted.scope,
            [
                Found(
                    *compared.cell, compared.held, compared.held + compared.unmerged, self.asked_at
                )
                for compared in comparison.cells
            ],
        )


def _days_of_missing(comparison: Comparison) -> list[str]:
    return sorted({compared.cell.day for compared in comparison.cells if compared.missing})
