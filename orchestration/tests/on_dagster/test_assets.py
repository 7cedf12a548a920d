"""The asset: a range is run once for all its hours, in order, and its end is Dagster's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from migration.on_dagster.assets import KEY, POOL
from migration.on_dagster.keys import key_of
from migration.ranges import HOUR, hour_of

if TYPE_CHECKING:
    from .conftest import World


def test_a_range_is_one_run_of_all_its_hours(world: World) -> None:
    """Each hour is a partition of its own all the same."""
    assert world.move("2024-02-28T00", "2024-02-28T03").success
    assert world.states == ["hours-20240228T00-20240228T04"]
    assert world.done == [hour_of("2024-02-28") + number * HOUR for number in range(4)]


def test_an_hour_shows_what_its_range_came_to(world: World) -> None:
    """As the run's summary says it."""
    world.move("2024-02-28T00", "2024-02-28T03")
    shown = {
        "range": "2024-02-28T00Z to 2024-02-28T03Z",
        "hours": 4,
        "exported": 9,
        "skipped": 2,
        "skipped: duplicate": 2,
        "seconds": 2.5,
        "events_per_second": 4,
    }
    for hour in ("2024-02-28T00", "2024-02-28T03"):
        assert shown.items() <= world.shown(hour).items()


def test_after_a_retry_an_hour_shows_what_the_book_says(world: World) -> None:
    """It counts all runs of the range; a summary counts its own run."""
    world.runs('finish(hours={"from": "2024-02-28T02:00:00Z"}, exported=3, seconds=2.5)')
    world.move("2024-02-28T00", "2024-02-28T03")
    shown = {"exported": 10, "accepted": 8, "superseded": 1, "rejected": 0, "seconds": 2.5}
    assert shown.items() <= world.shown("2024-02-28T03").items()
    asked = ["--start", "2024-02-28T00", "--end", "2024-02-28T04", "--by-hour"]
    assert world.books_asked[0] == ["invoke", "target-posthog:whole-migration", "--json", *asked]


def test_each_hour_shows_its_own_sums_beside_those_of_its_range(world: World) -> None:
    """As the book has them; Dagster draws them as a line over the partitions."""
    sums = {"exported": 6, "accepted": 4, "superseded": 0, "skipped": 1, "rejected": 1, "links": 2}
    hours = {"2024-02-28T00": sums, "2024-02-28T02": {**sums, "exported": 7, "accepted": 5}}
    world.book({"by_hour": hours})
    world.move("2024-02-28T00", "2024-02-28T03")
    own = {f"{name} (this hour)": number for name, number in sums.items()}
    assert own.items() <= world.shown("2024-02-28T00").items()
    assert world.shown("2024-02-28T02")["exported (this hour)"] == 7
    assert world.shown("2024-02-28T02")["exported"] == 9
    assert "exported (this hour)" not in world.shown("2024-02-28T03")


def test_an_hour_is_delivered_though_the_book_does_not_answer(world: World) -> None:
    """Then it shows the run's own summary."""
    world.runs("finish(exported=9)")
    world.book({}, exit_code=1)
    assert world.move("2024-02-28T00", "2024-02-28T03").success
    assert world.shown("2024-02-28T00")["exported"] == 9


def test_a_range_that_was_stopped_is_run_again(world: World) -> None:
    """In the same run of Dagster, and with the same state."""
    world.runs('finish() if attempt > 2 else (tell("retry", error="down"), sys.exit(1))')
    assert world.move("2024-02-28T00", "2024-02-28T03").success
    assert world.states == ["hours-20240228T00-20240228T04"] * 3


@pytest.mark.parametrize("exit_class", ["fix", "look"])
def test_what_only_a_person_can_mend_is_not_run_again(exit_class: str, world: World) -> None:
    """It says what to do, and no hour counts as delivered."""
    world.runs(f'finish(); tell("{exit_class}", error="Set `api_key`.", exported=5); sys.exit(1)')
    result = world.move("2024-02-28T00", "2024-02-28T03")
    assert not result.success
    assert len(world.states) == 1
    assert world.done == []
    [failed] = result.get_step_failure_events()
    error = failed.step_failure_data.user_failure_data
    assert error is not None
    words = "2024-02-28T00Z to 2024-02-28T03Z: target-posthog: Set `api_key`."
    assert error.description == words
    assert error.metadata["exported"].value == 5


def test_hours_are_not_moved_before_those_before_them(world: World) -> None:
    """Whoever asks for them: PostHog applies properties in order of arrival."""
    result = world.move("2024-02-28T04", "2024-02-28T07")
    assert not result.success
    assert world.states == []
    [failed] = result.get_step_failure_events()
    error = failed.step_failure_data.user_failure_data
    assert error is not None
    assert "The hour before, 2024-02-28-03:00, is not delivered." in str(error.description)


def test_hours_that_are_delivered_may_be_moved_again(world: World) -> None:
    """To mend what a comparison with PostHog found."""
    world.move("2024-02-28T00", "2024-02-28T03")
    assert world.move("2024-02-28T02", "2024-02-28T02").success
    assert world.states[1] == "hours-20240228T02-20240228T03"


def test_the_partitions_are_the_hours_of_the_migration(world: World) -> None:
    """From its start to its end, in UTC."""
    partitions = _events(world).partitions_def
    assert partitions is not None
    keys = partitions.get_partition_keys()
    assert keys == [key_of(hour_of("2024-02-28") + number * HOUR) for number in range(12)]


def test_a_backfill_goes_range_by_range_one_at_a_time(world: World) -> None:
    """Each hour waits for the one before; a pool holds what the order does not."""
    events = _events(world)
    assert events.backfill_policy == dg.BackfillPolicy.multi_run(4)
    mapping = events.get_partition_mapping(KEY)
    assert mapping == dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    assert events.op.pool == POOL


def _events(world: World) -> dg.AssetsDefinition:
    return world.defs.resolve_assets_def(KEY)
