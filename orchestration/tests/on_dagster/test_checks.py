"""The check: whether the book of all hours is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

    from .conftest import World


def test_the_book_is_asked_for_all_hours_behind_each_range(world: World) -> None:
    """From the start of the migration to the last hour that is delivered."""
    world.move("2024-02-28T00", "2024-02-28T03")
    check = _check_of(world.move("2024-02-28T04", "2024-02-28T07"))
    assert check.passed
    assert check.metadata["accepted"].value == 8
    assert check.metadata["skipped"].value == 1
    asked = ["--start", "2024-02-28T00", "--end", "2024-02-28T08"]
    assert world.books_asked[-1][-4:] == asked


def test_a_book_with_a_gap_fails_the_check_and_not_the_range(world: World) -> None:
    """It names the gap."""
    gap = {"first": "2024-02-28T01", "last": "2024-02-28T02"}
    world.book({"is_whole": False, "gaps": [gap]}, exit_code=3)
    result = world.move("2024-02-28T00", "2024-02-28T03")
    assert result.success
    check = _check_of(result)
    assert not check.passed
    assert check.metadata["gaps"].value == "2024-02-28T01Z to 2024-02-28T02Z"


def test_a_book_with_many_gaps_names_the_first(world: World) -> None:
    """A list is for reading."""
    gaps = [{"first": f"2024-02-28T{hour:02}", "last": "2024-02-29T00"} for hour in range(23)]
    world.book({"is_whole": False, "gaps": gaps}, exit_code=3)
    lines = str(_check_of(world.move("2024-02-28T00", "2024-02-28T03")).metadata["gaps"].value)
    assert len(lines.splitlines()) == 21
    assert lines.endswith("and 3 more")


def test_a_book_that_does_not_answer_fails_the_check(world: World) -> None:
    """What cannot be asked is not whole."""
    world.book({}, exit_code=1)
    result = world.move("2024-02-28T00", "2024-02-28T03")
    assert result.success
    check = _check_of(result)
    assert not check.passed
    assert "ended with 1" in str(check.description)


def _check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    [check] = result.get_asset_check_evaluations()
    return check
