"""The schedule: it asks for the first hours that are ready and missing, whatever came before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from migration.on_dagster.assets import KEY
from migration.on_dagster.definitions import definitions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import World

_LATER = datetime(2024, 3, 1, 0, 10, tzinfo=timezone.utc)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster on the disk: a schedule is given the way to it, not the object."""
    with dg.instance_for_test() as made:
        yield made


def _tick(world: World, at: datetime = _LATER) -> tuple[str, str] | str:
    """Return the first and the last hour that a tick asks for, or why it asks for none."""
    context = dg.build_schedule_context(
        instance=world.instance,
        scheduled_execution_time=at,
        repository_def=world.defs.get_repository_def(),
    )
    data = world.defs.resolve_schedule_def("next_hours").evaluate_tick(context)
    if not data.run_requests:
        return str(data.skip_message)
    [request] = data.run_requests
    assert request.run_key is None
    asked = request.partition_key_range
    assert asked is not None
    return asked.start, asked.end


def test_the_first_tick_asks_for_the_first_range(world: World) -> None:
    """No hour is behind it, and none is left out."""
    assert _tick(world) == ("2024-02-28-00:00", "2024-02-28-03:00")


def test_a_tick_behind_a_backfill_goes_on_from_there(world: World) -> None:
    """So does one behind any number of ticks that were missed."""
    world.move("2024-02-28T00", "2024-02-28T03")
    world.move("2024-02-28T04", "2024-02-28T05")
    assert _tick(world) == ("2024-02-28-06:00", "2024-02-28-09:00")


def test_hours_that_failed_are_asked_for_again(world: World) -> None:
    """Before all later ones."""
    world.move("2024-02-28T00", "2024-02-28T03")
    world.runs('finish(); tell("fix"); sys.exit(1)')
    assert not world.move("2024-02-28T04", "2024-02-28T07").success
    assert _tick(world) == ("2024-02-28-04:00", "2024-02-28-07:00")


def test_no_hour_is_asked_for_before_it_is_ready(world: World) -> None:
    """Amplitude would answer 404, which means that an hour is empty."""
    at = datetime(2024, 2, 28, 4, 10, tzinfo=timezone.utc)
    assert _tick(world, at) == ("2024-02-28-00:00", "2024-02-28-01:00")
    early = datetime(2024, 2, 28, 2, 10, tzinfo=timezone.utc)
    assert _tick(world, early) == "Every hour that is ready is delivered."


def test_a_tick_without_missing_hours_asks_for_nothing(world: World) -> None:
    """And says so."""
    for first, last in (("00", "03"), ("04", "07"), ("08", "11")):
        world.move(f"2024-02-28T{first}", f"2024-02-28T{last}")
    assert _tick(world) == "Every hour that is ready is delivered."


def test_a_tick_waits_for_a_range_that_is_on_its_way(world: World) -> None:
    """The same hours twice at once would be doubled work."""
    job = world.defs.resolve_job_def("move_hours")
    world.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert _tick(world) == "A range is on its way already."


@pytest.mark.parametrize(
    ("status", "waits"),
    [(BulkActionStatus.REQUESTED, True), (BulkActionStatus.COMPLETED_SUCCESS, False)],
)
def test_a_tick_waits_for_a_backfill(status: BulkActionStatus, waits: bool, world: World) -> None:  # noqa: FBT001 - a column of the table
    """It asks for the same hours between its own ranges, too."""
    world.instance.add_backfill(
        PartitionBackfill(
            backfill_id="of-a-test",
            status=status,
            from_failure=False,
            tags={},
            backfill_timestamp=0.0,
            asset_selection=[KEY],
        )
    )
    assert (_tick(world) == ("2024-02-28-00:00", "2024-02-28-03:00")) == (not waits)


def test_without_an_end_the_partitions_end_with_the_last_ready_hour(world: World) -> None:
    """A person cannot ask for an hour that Amplitude does not have yet."""
    events = definitions_of(replace(world.settings, end=None)).resolve_assets_def(KEY)
    partitions = events.partitions_def
    assert isinstance(partitions, dg.HourlyPartitionsDefinition)
    now = datetime(2024, 2, 28, 6, 59, tzinfo=timezone.utc)
    assert partitions.get_partition_keys(now)[-1] == "2024-02-28-03:00"
