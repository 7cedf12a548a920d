"""What the book says of each hour, whatever comes between two states."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.books.bookkeeper import Bookkeeper
from target_posthog.books.lines import Kind, Line, Unit
from tests.support.singer import hours_state

DAY = "2024-01-31"
VIEWED = Kind(DAY, "viewed")


def origin(hour: int, app: str = "7") -> bytes:
    """Return the origin of a row of an app and hour."""
    return f"{app}/2024-01-31T{hour:02}".encode()


def unit(hour: int, app: str = "7", stretch: str = "") -> Unit:
    """Return the unit of an app and hour."""
    return Unit("events", app, f"2024-01-31T{hour:02}", stretch)


def before(hour: int) -> Any:
    """Return a state of `tap-amplitude`: every hour before this one is out."""
    return hours_state(hour, day=DAY)["value"]


def test_a_line_tells_what_became_of_each_record_of_an_hour() -> None:
    """Exported = accepted + superseded + skipped + rejected."""
    book = Bookkeeper()
    book.take("events", [(origin(5), DAY, "viewed", 10), (origin(5), DAY, "paid", 1)])
    book.skip(unit(5), "skip_events", 1)
    book.reject(unit(5), "bad_time", 2)
    book.refuse(unit(5), VIEWED, "refused_by_posthog")
    book.supersede(unit(5), VIEWED)
    book.add_link(unit(5))
    book.note(before(6))
    ((found, line),) = book.close()
    assert found == unit(5)
    assert (line.exported, line.accepted, line.superseded.total()) == (13, 9, 1)
    assert line.accepted_of(VIEWED) == 8
    assert line.skipped == {"skip_events": 1}
    assert line.rejected == {"bad_time": 1, "refused_by_posthog": 1}
    assert (line.links, line.groups) == (1, 0)


def test_a_reject_says_where_it_is_counted() -> None:
    """In which part of which run, also where PostHog answers behind the next state."""
    book = Bookkeeper("run")
    book.take("events", [(origin(5), DAY, "viewed", 2)])
    first = book.reject(unit(5), "bad_time", 1)
    book.note(before(6))
    second = book.reject(unit(6), "bad_time", 2)
    late = book.refuse(unit(5), VIEWED, "refused_by_posthog")
    assert [place and (place.number, place.part, place.hour[-2:]) for place in (first, second)] == [
        (1, 0, "05"),
        (2, 1, "06"),
    ]
    assert late is not None
    assert (late.number, late.part, late.day, late.event) == (3, 0, *VIEWED)
    ((_, line),) = book.close()
    assert line.parts == {0}
    assert dict(book.finish())[unit(6)].parts == {1}
    assert Bookkeeper().reject(unit(5), "bad_time", 1) is None


def test_what_came_behind_a_state_is_not_in_its_lines() -> None:
    """It is not settled yet; the fate of an event counts where the event stands."""
    book = Bookkeeper()
    book.take("events", [(origin(5), DAY, "viewed", 2)])
    book.note(before(6))
    book.take("events", [(origin(6), DAY, "viewed", 3)])
    book.refuse(unit(6), VIEWED, "refused_by_posthog")
    book.note(before(7))
    assert [(found.hour[-2:], line.exported, line.accepted) for found, line in book.close()] == [
        ("05", 2, 2)
    ]
    assert [(found.hour[-2:], line.exported, line.accepted) for found, line in book.close()] == [
        ("06", 3, 2)
    ]


def test_an_hour_that_goes_on_behind_a_state_is_told_whole_again() -> None:
    """Two apps whose files come one after the other, and a part that came late."""
    book = Bookkeeper()
    book.take("events", [(origin(5), DAY, "viewed", 2)])
    book.note(before(6))
    book.take("events", [(origin(5), DAY, "viewed", 3), (origin(5, "8"), DAY, "viewed", 1)])
    book.note(before(6))
    assert [line.exported for _, line in book.close()] == [2]
    again = dict(book.close())
    assert again[unit(5)].exported == 5
    assert again[unit(5, "8")].exported == 1


def test_an_hour_without_records_has_a_line() -> None:
    """It was read, so it is no gap."""
    book = Bookkeeper()
    book.note(before(3))
    book.take("events", [(origin(4), DAY, "viewed", 2)])
    book.note(before(7))
    assert book.close() == []
    found = {unit.hour[-2:]: line.exported for unit, line in book.close()}
    assert found == {"03": 0, "04": 2, "05": 0, "06": 0}


def test_the_unit_of_another_tap_is_what_lies_between_two_states() -> None:
    """The same records, read again, end in the same state, so they are one line."""
    lines = []
    for _ in range(2):
        book = Bookkeeper()
        book.take("orders", [(b"", DAY, "paid", 4)])
        book.note({"bookmarks": {"orders": {"at": 4}}})
        book.take("orders", [(b"", DAY, "paid", 6)])
        book.note({"bookmarks": {"orders": {"at": 10}}})
        lines.append([*book.close(), *book.close()])
    assert lines[0] == lines[1]
    (first, _), (second, _) = lines[0]
    assert first.stream == second.stream == "orders"
    assert first.stretch != second.stretch


FATES = st.sampled_from(["refuse", "supersede", "skip", "reject", "keep"])


@given(st.lists(st.tuples(st.integers(0, 3), FATES, st.booleans())))
def test_every_record_has_one_fate_in_one_line(records: list[tuple[int, str, bool]]) -> None:
    """However hours, states and fates follow each other."""
    book = Bookkeeper()
    written: dict[Unit, Line] = {}
    expected: Counter[str] = Counter()
    for index, (hour, fate, ends) in enumerate(records):
        expected[fate] += 1
        if fate in {"skip", "reject"}:
            getattr(book, fate)(unit(hour), "code", index)
        else:
            book.take("events", [(origin(hour), DAY, "viewed", 1)])
            if fate == "refuse":
                book.refuse(unit(hour), VIEWED, "code")
            elif fate == "supersede":
                book.supersede(unit(hour), VIEWED)
        if ends or index == len(records) - 1:
            book.note({"at": index})
            written.update(book.close())
    sums = Line()
    for line in written.values():
        assert line.accepted >= 0
        sums.add(line)
    assert sums.exported == len(records)
    assert sums.accepted == expected["keep"]
    assert sums.superseded.total() == expected["supersede"]
    assert sums.rejected.total() == expected["reject"] + expected["refuse"]
    assert sums.skipped.total() == expected["skip"]


def test_a_tap_that_repeats_its_state_loses_no_record_of_the_book() -> None:
    """Some write the same after each thousand records: together they are one stretch."""
    book = Bookkeeper()
    written: dict[Unit, Line] = {}
    for count in (4, 6, 2):
        book.take("orders", [(b"", DAY, "paid", count)])
        book.note({"bookmarks": {}})
        written.update(book.close())
    assert [line.exported for line in written.values()] == [12]
