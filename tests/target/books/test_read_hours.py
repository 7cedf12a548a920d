"""What the states of `tap-amplitude` say is read, hour by hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.books.bookkeeper import Bookkeeper
from target_posthog.books.lines import Unit
from target_posthog.books.read_hours import ReadHours
from target_posthog.books.whole import hours_between

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY = "2024-01-31"


def moment(hour: int) -> str:
    """Return an hour of the day, as states have it."""
    return f"{DAY}T{hour:02}:00:00Z"


def state(next_hour: int, *apps: tuple[str, int, int], begin: int = 0) -> dict[str, Any]:
    """Return a state of `tap-amplitude`.

    Args:
        next_hour: the first hour that is not read.
        apps: an app, its first hour and the one behind its last.
        begin: the first hour of the range.
    """
    ranges = [f"{app} {moment(first)}/{moment(end)}, 3 files" for app, first, end in apps]
    return {
        "bookmarks": {
            "events": {
                "next_export_hour": moment(next_hour),
                "export_until": moment(23),
                "export_from": moment(begin),
                "project": "0123456789abcdef",
                "apps": "; ".join(ranges),
            }
        }
    }


def read(next_hour: int, *apps: tuple[str, int, int], begin: int = 0) -> ReadHours:
    """Return what such a state says."""
    return ReadHours.of_state(state(next_hour, *apps, begin=begin), f"{DAY}T{next_hour:02}")


def found(hours: Iterable[tuple[str, str]]) -> list[tuple[str, int]]:
    """Return apps and hours of the day."""
    return [(app, int(hour[-2:])) for app, hour in hours]


def test_the_first_state_of_a_range_tells_of_all_its_hours() -> None:
    """Else the quiet hours at its beginning would be a gap."""
    assert found(read(3, ("7", 0, 3)).since(None)) == [("7", 0), ("7", 1), ("7", 2)]
    assert found(read(3, begin=1).since(None)) == [("", 1), ("", 2)]
    assert found(read(3, ("api", 0, 3)).since(None)) == [("", 0), ("", 1), ("", 2)]
    assert found(read(4, ("7", 2, 4), begin=1).since(None)) == [("7", 2), ("7", 3), ("", 1)]


def test_a_later_state_tells_what_is_new_in_it() -> None:
    """Of an app that had no file for long, all hours up to its next one."""
    before = read(5, ("7", 0, 5), ("8", 1, 2))
    assert found(read(6, ("7", 0, 6), ("8", 1, 6)).since(before)) == [
        ("7", 5),
        *(("8", hour) for hour in (2, 3, 4, 5)),
    ]
    assert found(before.since(before)) == []


def test_hours_before_a_project_was_named_stay_nobodys() -> None:
    """They are told once."""
    before = read(2, ("api", 0, 2))
    assert found(read(4, ("7", 0, 4)).since(before)) == [("7", 2), ("7", 3)]


def test_a_state_that_says_less_is_read_as_far_as_it_goes() -> None:
    """Older states, and those that were set by hand."""
    bookmark = {"next_export_hour": moment(2), "export_from": None, "apps": 5}
    plain = ReadHours.of_state({"bookmarks": {"events": bookmark}}, f"{DAY}T02")
    assert found(plain.since(None)) == []
    assert found(read(4).since(plain)) == [("", 2), ("", 3)]


@given(st.lists(st.integers(0, 22), min_size=1, max_size=6), st.integers(0, 5))
def test_each_hour_of_a_range_is_told_once(ends: list[int], begin: int) -> None:
    """However many states there are on the way."""
    before, told = None, []
    for end in sorted(ends):
        if end > begin:
            now = read(end, ("7", begin, end), begin=begin)
            told += found(now.since(before))
            before = now
    last = max(*ends, begin)
    hours = hours_between(f"{DAY}T{begin:02}", f"{DAY}T{last:02}")
    assert told == [("7", int(hour[-2:])) for hour in hours]


def test_a_range_without_any_record_has_a_line_for_each_hour() -> None:
    """It was read: PostHog asked for nothing, and the book says so."""
    book = Bookkeeper()
    book.note(state(3, ("api", 0, 3)))
    lines = book.close()
    assert [(unit.hour, line.exported) for unit, line in lines] == [
        (f"{DAY}T{hour:02}", 0) for hour in range(3)
    ]


def test_an_app_without_a_record_in_an_hour_of_another_has_a_line() -> None:
    """So the hours of each app are known to be read, whatever the others have."""
    book = Bookkeeper()
    for hour, apps in ((0, ("7", "8")), (1, ("7",)), (2, ("8",))):
        for app in apps:
            book.take("events", [(f"{app}/{DAY}T{hour:02}".encode(), DAY, "viewed", 1)])
        ranges = [("7", 0, min(hour + 1, 2)), ("8", 0, 3 if hour == 2 else 1)]
        book.note(state(hour + 1, *ranges))
    written = dict(line for _ in range(3) for line in book.close())
    exported = {(unit.app, unit.hour[-2:]): line.exported for unit, line in written.items()}
    assert exported == {
        ("7", "00"): 1,
        ("8", "00"): 1,
        ("7", "01"): 1,
        ("8", "01"): 0,
        ("8", "02"): 1,
    }


def test_records_without_an_app_stand_for_any() -> None:
    """Their hour needs no second line."""
    book = Bookkeeper()
    book.take("events", [(f"/{DAY}T00".encode(), DAY, "viewed", 1)])
    book.note(state(2, ("7", 0, 2)))
    assert [(unit.app, unit.hour[-2:]) for unit, _ in book.close()] == [("7", "01"), ("", "00")]


def test_a_run_that_goes_on_tells_nothing_of_earlier_hours() -> None:
    """What the state knows from earlier runs, those have written."""
    book = Bookkeeper()
    book.go_on_from(state(5, ("7", 0, 5)))
    book.note(state(5, ("7", 0, 5)))
    book.note(state(7, ("7", 0, 7)))
    assert book.close() == []
    assert [unit for unit, _ in book.close()] == [
        Unit("events", "7", f"{DAY}T05"),
        Unit("events", "7", f"{DAY}T06"),
    ]


@pytest.mark.parametrize(
    ("app", "hour", "is_nobodys", "is_read"),
    [
        ("7", "03", False, True),
        ("7", "05", True, False),
        ("8", "03", True, False),
        ("", "03", True, True),
        ("", "03", False, False),
    ],
)
def test_an_hour_is_read_of_the_apps_that_the_state_names(
    app: str, hour: str, *, is_nobodys: bool, is_read: bool
) -> None:
    """And of records without an app, if nobody else has it."""
    read = ReadHours(f"{DAY}T02", f"{DAY}T06", {"7": [(f"{DAY}T02", f"{DAY}T05")]})
    assert read.has(app, f"{DAY}T{hour}", is_nobodys=is_nobodys) == is_read


@pytest.mark.parametrize(("hour", "is_read"), [("01", False), ("02", True), ("06", False)])
def test_a_state_of_the_api_names_no_app(hour: str, *, is_read: bool) -> None:
    """Its hours are those of any app that no other has."""
    read = ReadHours(f"{DAY}T02", f"{DAY}T06")
    assert read.has("7", f"{DAY}T{hour}", is_nobodys=True) == is_read
    assert not read.has("7", f"{DAY}T{hour}", is_nobodys=False)
    assert not ReadHours("", f"{DAY}T06").has("7", f"{DAY}T{hour}", is_nobodys=True)
