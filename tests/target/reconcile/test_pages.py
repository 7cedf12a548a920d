"""Pages lie side by side over all times and names, whatever the book has and PostHog refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.errors import QueryTooLarge
from target_posthog.reconcile import pages as pages_module
from target_posthog.reconcile.cells import Booked, Cell, Held
from target_posthog.reconcile.pages import halves_of, pages_of, pages_with
from target_posthog.reconcile.questions import Page
from target_posthog.reconcile.surveys import Survey

if TYPE_CHECKING:
    from typing import Any

DAYS = st.dates().map(lambda day: day.isoformat())
CELLS = st.sets(st.builds(Cell, st.just(""), DAYS, st.sampled_from("abcd")), max_size=30)


def holds(page: Page, day: str, name: str) -> bool:
    """Return True if a page asks for events of a day and a name."""
    return (
        (not page.start or page.start <= day)
        and (not page.end or day < page.end)
        and (not page.first or page.first <= name)
        and (not page.last or name < page.last)
    )


@given(CELLS, DAYS, st.integers(1, 4), st.integers(1, 4))
def test_every_day_is_on_one_page(cells: set[Cell], day: str, most_cells: int, most: int) -> None:
    """Those that the book does not know, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages_module, "_CELLS", most_cells)
        patch.setattr(pages_module, "_DAYS", most)
        made = pages_of(cells, is_bounded=False)
        bounded = pages_of(cells, is_bounded=True)
    assert [holds(page, day, "x") for page in made].count(True) == 1
    assert all(len(page.days) <= most for page in made)
    known = {cell.day for cell in cells if "1970-01-02" <= cell.day <= "2106-01-01"}
    is_between = not known or min(known) <= day <= max(known)
    assert [holds(page, day, "x") for page in bounded].count(True) == is_between
    for cell in cells:
        assert [page for page in made if holds(page, cell.day, "x")] == pages_with(made, [cell.day])


class TooStrict:
    """A PostHog that answers for few cells at a time, of events that a list names."""

    def __init__(self, events: list[Cell], most: int) -> None:
        self._events = events
        self._most = most
        self.asked = 0

    def rows(self, query: str) -> list[list[Any]]:
        """Return the cells of the page that a query is the number of."""
        self.asked += 1
        page = PAGES[int(query)]
        found = [one for one in self._events if holds(page, one.day, one.event)]
        if len(found) > self._most:
            raise QueryTooLarge("Too much.", "Ask for less.")
        return [[one.day, one.event] for one in found]


PAGES: list[Page] = []


def number_of(page: Page) -> str:
    """Return a query that stands for a page."""
    PAGES.append(page)
    return str(len(PAGES) - 1)


def read(rows: list[list[Any]]) -> dict[Cell, Held]:
    """Return what rows say."""
    return {Cell("", day, event): Held(1, 1) for day, event in rows}


@given(CELLS, st.integers(1, 3))
def test_what_is_too_much_is_asked_for_in_parts(cells: set[Cell], most: int) -> None:
    """Days first, and the names of a day then; again only where something was missing."""
    known = {cell for cell in cells if "1970-01-02" <= cell.day <= "2106-01-01"}
    PAGES.clear()
    posthog = TooStrict(sorted(known), most)
    survey = Survey(posthog, dict.fromkeys(known, Booked(1)), number_of, read)
    assert survey.ask().keys() == known
    asked = posthog.asked
    assert survey.ask([]).keys() == known
    assert posthog.asked == asked
    if known:
        day = min(known).day
        assert survey.ask([day]).keys() == known
        assert posthog.asked - asked <= len({cell for cell in known if cell.day == day})


def test_years_of_others_are_looked_through_day_by_day(caplog: pytest.LogCaptureFixture) -> None:
    """And a day that is too much holds nothing that could be missing."""
    booked = Cell("", "2020-01-01", "viewed")
    extra = [Cell("", f"20{year}-06-01", "viewed") for year in range(21, 30)]
    crowd = [Cell("", "2031-01-01", name) for name in "abc"]
    PAGES.clear()
    posthog = TooStrict([booked, *extra, *crowd], 2)
    survey = Survey(posthog, {booked: Booked(1)}, number_of, read)
    assert survey.ask().keys() == {booked, *extra}
    assert posthog.asked < 200
    (warning,) = caplog.records
    assert "too many events from 2031-01-01 to 2031-01-02" in warning.getMessage()


def test_one_name_of_one_day_cannot_be_less() -> None:
    """Then PostHog's refusal stands."""
    page = Page("2024-01-01", "2024-01-02", days=("2024-01-01",))
    assert list(halves_of(page, {"2024-01-01": ["viewed"]})) == []
    assert list(halves_of(Page("2024-01-01", "2024-01-02"), {})) == []
    cell = Cell("", "2024-01-01", "viewed")
    survey = Survey(TooStrict([cell, cell], 1), {cell: Booked(2)}, number_of, read)
    with pytest.raises(QueryTooLarge):
        survey.ask()
