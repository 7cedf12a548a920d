"""A line of the book is replaced when its hour is read again; SQLite and a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from target_posthog.books.lines import Kind, Line, Unit
from target_posthog.books.reconciled import Scope
from target_posthog.books.samples import sample_of
from target_posthog.books.table import Book
from target_posthog.identity.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

DAY = "2024-01-31"
HOUR = Unit("events", "7", f"{DAY}T05")


def book_of(ledger: Ledger, run: str = "one") -> Book:
    """Return the book as a run has it."""
    return Book(ledger, run, lambda: datetime(2024, 2, 1, 12, 0, 3, tzinfo=timezone.utc))


def line_of(**events: int) -> Line:
    """Return a line of so many events of each name."""
    return Line(events=Counter({Kind(DAY, name): count for name, count in events.items()}))


def test_a_line_is_read_as_it_was_written(ledger: Ledger) -> None:
    """With the sums that its parts make."""
    line = line_of(viewed=8, paid=2)
    line.superseded[Kind(DAY, "viewed")] = 1
    line.refused[Kind(DAY, "viewed")] = 2
    line.rejected.update({"refused_by_posthog": 2, "bad_time": 3})
    line.skipped["skip_events"] = 4
    line.links, line.groups = 5, 6
    book = book_of(ledger)
    book.write([(HOUR, line)])
    (found,) = book.lines()
    assert (found.unit, found.exported, found.accepted) == (HOUR, 17, 7)
    assert (found.superseded, found.skipped, found.rejected) == (1, 4, 5)
    assert found.skipped_by_rule == {"skip_events": 4}
    assert found.rejected_by_code == {"refused_by_posthog": 2, "bad_time": 3}
    assert (found.links, found.groups, found.run, found.attempt) == (5, 6, "one", 1)
    assert found.written_at == "2024-02-01T12:00:03Z"
    kinds = {one.kind.event: (one.exported, one.accepted, one.superseded) for one in book.kinds()}
    assert kinds == {"viewed": (8, 5, 1), "paid": (2, 2, 0)}


def test_an_hour_that_is_read_again_replaces_its_line(ledger: Ledger) -> None:
    """So sums are true after a crash; a later state of the same run is no further attempt."""
    book_of(ledger).write([(HOUR, line_of(viewed=8, paid=2))])
    sum_of_both = line_of(viewed=9)
    sum_of_both.goes_on = True
    book_of(ledger).write([(HOUR, sum_of_both)])
    other = HOUR._replace(hour=f"{DAY}T06")
    second = book_of(ledger, "two")
    second.write([(HOUR, line_of(viewed=7)), (other, line_of())])
    lines = [(one.unit, one.exported, one.attempt) for one in second.lines()]
    assert lines == [(HOUR, 7, 2), (other, 0, 1)]
    assert [(one.kind.event, one.exported) for one in second.kinds()] == [("viewed", 7)]


def test_projects_have_books_of_their_own(ledger: Ledger, ledger_url: str) -> None:
    """One ledger may serve several."""
    book_of(ledger).write([(HOUR, line_of(viewed=1))])
    other = Ledger(ledger_url, "phc_other")
    assert book_of(other).lines() == []
    book_of(other).write([(HOUR, line_of(viewed=2))])
    assert [one.exported for one in book_of(ledger).lines()] == [1]
    assert [one.exported for one in book_of(ledger).kinds()] == [1]
    other.close()


def test_names_that_posthog_stores_as_one_are_one(ledger: Ledger) -> None:
    """It cuts them at 200 characters; PostgreSQL cannot store a NUL."""
    line = line_of(**{"n" * 200 + "a": 1, "n" * 200 + "b": 2, "a\0b": 3})
    book = book_of(ledger)
    book.write([(HOUR, line)])
    found = {one.kind.event: one.exported for one in book.kinds()}
    assert found == {"n" * 200: 3, "a\ufffdb": 3}


def test_many_lines_are_written_at_once(ledger: Ledger) -> None:
    """A year of hours that had no events, and an hour of many names."""
    lines = [(Unit("events", hour=f"2024-{n:09}"), Line()) for n in range(5_000)]
    names = line_of(**{f"event {n}": 1 for n in range(4_500)})
    for run in ("one", "two"):
        book = book_of(ledger, run)
        book.write([*lines, (HOUR, names)])
    assert len(book.lines()) == 5_001
    assert sum(one.exported for one in book.kinds()) == 4_500


def test_of_a_part_of_the_book_no_more_is_read(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day of a migration of ten years is compared as fast as that of one of a week."""
    book = book_of(ledger)
    hours = [Unit("events", "7", f"{DAY}T{hour:02}") for hour in range(24)]
    book.write([(unit, line_of(viewed=8, paid=2)) for unit in (*hours, Unit("orders"))])
    read: list[Any] = []
    stream = ledger.stream

    def watched(query: Any) -> Iterator[Any]:
        for row in stream(query):
            read.append(row)
            yield row

    monkeypatch.setattr(ledger, "stream", watched)
    part = list(book.kinds(Scope(f"{DAY}T05", f"{DAY}T06", {"paid"})))
    assert [(kind.unit, kind.kind.event) for kind in part] == [(HOUR, "paid")]
    assert len(read) == 2
    assert {kind.unit for kind in book.kinds(Scope(end=f"{DAY}T01"))} == {hours[0]}


def test_a_tap_that_begins_with_its_last_record_leaves_the_stretch_as_it_was(
    ledger: Ledger,
) -> None:
    """It ends in the same state, behind fewer records; PostHog keeps that record once."""
    stretch = Unit("orders", stretch="a-state")
    book_of(ledger).write([(stretch, line_of(paid=8))])
    book_of(ledger, "two").write([(stretch, line_of(paid=1)), (HOUR, line_of(viewed=2))])
    assert [(one.unit, one.exported) for one in book_of(ledger).lines()] == [
        (stretch, 8),
        (HOUR, 2),
    ]
    book_of(ledger, "three").write([(stretch, line_of(paid=9))])
    assert [one.exported for one in book_of(ledger).kinds()] == [9, 2]


def sampled(*numbers: int) -> Line:
    """Return a line of these records."""
    line = line_of(viewed=len(numbers))
    line.sample = sample_of(str(number) for number in numbers)
    return line


def test_records_of_an_hour_that_were_not_there_are_added(ledger: Ledger) -> None:
    """A part that came late; its repeat changes nothing, and the whole hour takes its place."""
    late, whole = sampled(*range(100, 120)), sampled(*range(120))
    for number, (line, exported) in enumerate(
        [(sampled(*range(100)), 100), (late, 120), (late, 120), (whole, 120)]
    ):
        book = book_of(ledger, f"{number}")
        book.write([(HOUR, line)])
        (found,) = book.lines()
        assert (found.exported, found.accepted) == (exported, exported), number
    assert [one.exported for one in book.kinds()] == [120]


def test_a_line_that_goes_on_is_added_once_to_that_of_an_earlier_run(ledger: Ledger) -> None:
    """What a state closed and what came behind it are one part, told as a sum."""
    book_of(ledger, "one").write([(HOUR, sampled(*range(100)))])
    book = book_of(ledger, "two")
    book.write([(HOUR, sampled(*range(100, 110)))])
    more = sampled(*range(100, 130))
    more.goes_on = True
    for _ in range(2):
        book.write([(HOUR, more)])
    assert [one.exported for one in book.lines()] == [130]


def test_an_hour_of_which_records_are_gone_keeps_them(ledger: Ledger) -> None:
    """PostHog has them."""
    book_of(ledger, "one").write([(HOUR, sampled(*range(100)))])
    book_of(ledger, "two").write([(HOUR, sampled(*range(90)))])
    assert [one.exported for one in book_of(ledger).lines()] == [100]
