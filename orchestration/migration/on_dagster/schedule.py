"""The schedule: each hour it asks for the first hours that are ready and missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from migration.on_dagster.assets import KEY
from migration.on_dagster.keys import hours_of, key_of
from migration.ranges import HOUR, next_range, ready_hours

if TYPE_CHECKING:
    from migration.ranges import HourRange
    from migration.settings import Settings

#: Amplitude has an hour some minutes after the whole hour.
_CRON = "10 * * * *"
_RANGE_START, _RANGE_END = (f"dagster/asset_partition_range_{end}" for end in ("start", "end"))
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def next_hours(settings: Settings, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule.

    What is missing is read from the partitions, never counted from the last tick: so a tick that
    was missed, an hour that failed and the end of a backfill are one case.
    """

    @dg.schedule(cron_schedule=_CRON, job=job, name="next_hours", execution_timezone="UTC")
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        busy = _busy_with(context.instance, job.name)
        if busy:
            return dg.SkipReason(busy)
        ready = ready_hours(settings.start, context.scheduled_execution_time, settings.end)
        done = hours_of(context.instance.get_materialized_partitions(KEY))
        hours = next_range(ready, done, settings.range_hours)
        if hours is None:
            return dg.SkipReason("Every hour that is ready is delivered.")
        return _request(hours)

    return schedule


def _request(hours: HourRange) -> dg.RunRequest:
    tags = {_RANGE_START: key_of(hours.first), _RANGE_END: key_of(hours.end - HOUR)}
    # Without a key of its own: the hours of a run that failed are asked for again.
    return dg.RunRequest(tags=tags)


def _busy_with(instance: dg.DagsterInstance, job: str) -> str:
    """Return what moves hours already; empty if nothing does."""
    asked = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING])
    backfills = instance.get_backfills(filters=asked)
    if any(backfill.asset_selection and KEY in backfill.asset_selection for backfill in backfills):
        return "A backfill moves the hours. The first tick after it goes on from there."
    if instance.get_runs(dg.RunsFilter(job_name=job, statuses=_UNFINISHED), limit=1):
        return "A range is on its way already."
    return ""
