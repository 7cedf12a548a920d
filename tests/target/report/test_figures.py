"""The numbers of a report are the book's, and few however long the migration was."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.books.reconciled import Found, Reconciled, Scope
from target_posthog.books.sums import Held, KindSum, days_of, each_line, held_by_day, names_of
from target_posthog.books.table import Book
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.sums import PeopleSums, people_of
from target_posthog.report.figures import Day, LinesRead, days_with, paces_of
from tests.support.book_lines import book_line as line
from tests.support.reports import FIRST, USUAL, compare_book, write_book


@pytest.fixture
def ledger(ledger: Ledger, ledger_url: str) -> Ledger:
    """Return a ledger with the book of two days."""
    write_book(ledger_url, hours=48)
    return ledger


def test_the_sums_are_those_of_the_lines(ledger: Ledger) -> None:
    """By day and by name, added up by either database."""
    book = Book(ledger, "", lambda: FIRST)
    kinds = list(book.kinds())
    total = sum(one.exported for one in kinds)
    days, names = list(days_of(ledger)), list(names_of(ledger))
    assert [one.name for one in days] == ["2024-01-01", "2024-01-02"]
    assert sum(one.exported for one in days) == sum(one.exported for one in names) == total
    assert {one.name for one in names} == set(USUAL)
    assert [one.exported for one in names] == sorted((one.exported for one in names), reverse=True)
    assert list(each_line(ledger)) == book.lines()


def test_a_pass_over_the_lines_comes_to_totals_hours_and_speed(ledger: Ledger) -> None:
    """Each record has its fate."""
    read = LinesRead(each_line(ledger))
    assert read.totals.open == 0
    assert read.totals.rejected == {"bad_time": 48}
    assert (read.hours.first, read.hours.last, read.hours.lines) == (
        "2024-01-01T00", "2024-01-02T23", 48,
    )  # fmt: skip
    assert read.hours.gaps == []
    assert sum(one.exported for one in read.paces) == read.totals.exported


def test_what_posthog_holds_stands_beside_its_day(ledger: Ledger, ledger_url: str) -> None:
    """Also of a day that the book does not have."""
    Reconciled(ledger)
    assert held_by_day(ledger) == {}
    compare_book(ledger_url, lacking=5)
    first, second = days_with(days_of(ledger), held_by_day(ledger))
    assert (first.missing, first.extra, second.missing, second.extra) == (5, 0, 0, 0)
    assert (first.compared, second.compared) == (first.accepted, second.accepted)
    only = days_with([KindSum("2024-01-02", 3, 2, 1)], {"2024-01-01": Held(4, 0, 0, 4, "now")})
    assert only == [Day("2024-01-01", 0, 0, 0, 4, extra=4), Day("2024-01-02", 3, 2, 1, None)]


def test_what_is_more_of_one_event_makes_up_for_no_other(ledger: Ledger) -> None:
    """As in the comparison: a day with as many events as were accepted may differ all the same."""
    book = Book(ledger, "", lambda: FIRST)
    kinds = list(book.kinds())
    first = kinds[0]
    day, event = first.kind
    second = next(one for one in kinds if one.kind.day == day and one.kind.event != event)
    more = {first: 2, second: -2}
    Reconciled(ledger).replace(
        Scope(),
        [
            Found(
                *(kind.unit.hour, *kind.kind, kind.accepted + more.get(kind, 0)),
                *(1, "2024-06-02T10:00:00Z"),
            )
            for kind in kinds
        ],
    )
    days = days_with(days_of(ledger), held_by_day(ledger))
    assert [(day.missing, day.extra) for day in days] == [(2, 2), (0, 0)]


def test_what_was_not_asked_about_is_not_missing(ledger: Ledger, ledger_url: str) -> None:
    """A comparison may be of some hours only."""
    compare_book(ledger_url, before="2024-01-01T05")
    first, second = days_with(days_of(ledger), held_by_day(ledger))
    assert 0 < first.compared < first.accepted
    assert first.held == first.compared
    assert (first.missing, first.extra, second.held) == (0, 0, None)


def test_devices_and_users_are_counted(ledger: Ledger) -> None:
    """Joined, known, and shared with others."""
    assert people_of(ledger) == PeopleSums(joined=1, claimed=1, shared=1, further_users=2)


def test_an_empty_ledger_has_no_numbers(ledger_url: str) -> None:
    """Not one that fails."""
    with closing(Ledger(ledger_url, "phc_other")) as ledger:
        Book(ledger, "", lambda: FIRST)
        for found in (each_line(ledger), days_of(ledger), names_of(ledger)):
            assert list(found) == []
        assert people_of(ledger) == PeopleSums(0, 0, 0, 0)


def test_gaps_overlaps_and_attempts_are_told() -> None:
    """Lines of other taps have no hours."""
    lines = [
        line("2024-01-01T00"),
        line("2024-01-01T03", attempt=2),
        line("2024-01-01T03", stretch="digest"),
        line("", stretch="other"),
    ]
    hours = LinesRead(lines).hours
    assert [(gap.first, gap.last) for gap in hours.gaps] == [("2024-01-01T01", "2024-01-01T02")]
    assert hours.overlaps == ["2024-01-01T03"]
    assert (hours.lines, hours.stretches, hours.attempts) == (3, 1, {1: 3, 2: 1})


@given(st.dictionaries(st.integers(0, 40_000_000), st.integers(0, 10**9), max_size=50))
def test_the_speed_has_few_bars_and_all_records(written: dict[int, int]) -> None:
    """Whether a migration took a minute or years."""
    paces = paces_of(written)
    assert sum(one.exported for one in paces) == sum(written.values())
    assert len({one.seconds for one in paces}) <= 1
    assert len(paces) <= max(81, len(written) if paces and paces[0].seconds > 10**6 else 0)
    assert [one.start for one in paces] == sorted({one.start for one in paces})
