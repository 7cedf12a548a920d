"""The asset: each export hour of the migration is a partition, and a run moves a range of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from migration.book import NotTold, whole_migration
from migration.on_dagster.keys import hourly_partitions, hours_of, key_of, range_of
from migration.partition import run_range
from migration.ranges import HOUR, HourRange
from migration.settings import RETRIES, Settings

KEY = dg.AssetKey("posthog_events")
#: Ranges that run at a time: one, or people end with old properties (docs/scale.md).
POOL = "amplitude-to-posthog"
#: Counts of records, by reason where there is one, and the seconds and the speed of the last run.
_NUMBERS = (
    *("exported", "accepted", "superseded", "skipped", "rejected", "links"),
    *("seconds", "events_per_second"),
)


def posthog_events(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset.

    Each hour depends on the one before, so a backfill asks for ranges in order, and the retry of a
    range comes before the next one.

    Args:
        settings: of the migration.
    """

    @dg.asset(
        key=KEY,
        description="Amplitude's events of each export hour, delivered to PostHog.",
        kinds={"meltano"},
        partitions_def=hourly_partitions(settings),
        backfill_policy=dg.BackfillPolicy.multi_run(settings.range_hours),
        # For a range that was stopped; that of a worker which was killed is the instance's.
        retry_policy=dg.RetryPolicy(
            max_retries=RETRIES, delay=settings.retry_seconds, backoff=dg.Backoff.EXPONENTIAL
        ),
        pool=POOL,
        deps=[
            dg.AssetDep(
                KEY,
                partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1),
            )
        ],
    )
    def events(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        keys = context.partition_key_range
        hours = range_of(keys.start, keys.end)
        before = hours.first - HOUR
        if before >= settings.start and before not in _done(context.instance):
            raise dg.Failure(
                f"The hour before, {key_of(before)}, is not delivered. Nothing was begun: hours go "
                "in order. Start a backfill that begins with the first missing hour.",
                allow_retries=False,
            )
        outcome = run_range(hours, settings)
        if not outcome.is_done:
            raise dg.Failure(
                f"{hours}: {outcome.message}",
                metadata=metadata_of(hours, outcome.summary),
                allow_retries=outcome.is_temporary,
            )
        told = dict(outcome.summary)
        if not outcome.is_of_all(hours):
            told |= _in_the_book(hours, settings)
        return dg.MaterializeResult(metadata=metadata_of(hours, told))

    return events


def _done(instance: dg.DagsterInstance) -> set[datetime]:
    """Return the hours that are delivered."""
    return hours_of(instance.get_materialized_partitions(KEY))


def _in_the_book(hours: HourRange, settings: Settings) -> Mapping[str, Any]:
    """Return what all runs of a range came to; nothing if the book does not answer."""
    try:
        return whole_migration(hours, settings)
    except NotTold:
        # The hours are delivered, and the check says that the book did not answer.
        return {}


def metadata_of(hours: HourRange, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Dagster shows of a range, beside each of its hours.

    Args:
        hours: the range.
        told: the summary of its last run, or what the book says of all of them.
    """
    shown: dict[str, Any] = {"range": str(hours), "hours": len(hours)}
    for name in _NUMBERS:
        value = told.get(name)
        if isinstance(value, dict):
            shown[name] = sum(value.values())
            shown |= {f"{name}: {why}": number for why, number in value.items()}
        elif value is not None:
            shown[name] = value
    return shown
