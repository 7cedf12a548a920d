"""The asset: each export hour of the migration is a partition, and a run moves a range of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from migration.book import NoBook, whole_migration
from migration.on_dagster.keys import hourly_partitions, hours_of, key_of, range_of
from migration.partition import run_range
from migration.ranges import HOUR, HourRange, hour_of
from migration.settings import RETRIES, Order, Settings

KEY = dg.AssetKey("posthog_events")
#: The first round of free order sends nothing: its hours are no book of what is delivered.
PEOPLE_KEY = dg.AssetKey("people_pass")
#: Ranges that run at a time: one, or people end with old properties (docs/scale.md). In free order
#: it may be as many as its limit says.
POOL, FREE_POOL = "amplitude-to-posthog", "amplitude-to-posthog-free-order"
#: Counts of records, by reason where there is one, and the seconds and the speed of the last run.
_NUMBERS = (
    *("exported", "accepted", "superseded", "skipped", "rejected", "links"),
    *("seconds", "events_per_second"),
)
#: What the book has of each hour of a range.
_OF_AN_HOUR = ("exported", "accepted", "superseded", "skipped", "rejected", "links")


_AFTER_THE_ONE_BEFORE = dg.AssetDep(
    KEY, partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
)
_SENT = "Amplitude's events of each export hour, delivered to PostHog."
_DESCRIPTIONS = {
    Order.ASCENDING: _SENT,
    Order.COLLECT: "Who is who in Amplitude's events of each export hour, noted in the ledger.",
    Order.APPLY: _SENT,
}


def key_for(settings: Settings) -> dg.AssetKey:
    """Return the asset that the hours of a migration, or of a round of it, belong to."""
    return PEOPLE_KEY if settings.order is Order.COLLECT else KEY


def posthog_events(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset.

    Each hour depends on the one before, so a backfill asks for ranges in order, and the retry of a
    range comes before the next one. In free order none does.
    """
    is_free = settings.order is not Order.ASCENDING

    @dg.asset(
        key=key_for(settings),
        description=_DESCRIPTIONS[settings.order],
        kinds={"meltano"},
        partitions_def=hourly_partitions(settings),
        backfill_policy=dg.BackfillPolicy.multi_run(settings.range_hours),
        # For a range that was stopped; that of a worker which was killed is the instance's.
        retry_policy=dg.RetryPolicy(
            max_retries=RETRIES, delay=settings.retry_seconds, backoff=dg.Backoff.EXPONENTIAL
        ),
        pool=FREE_POOL if is_free else POOL,
        deps=[] if is_free else [_AFTER_THE_ONE_BEFORE],
    )
    def events(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        keys = context.partition_key_range
        hours = range_of(keys.start, keys.end)
        before = hours.first - HOUR
        is_first = is_free or before < settings.start
        if not is_first and before not in _done(context.instance):
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
        shown = dict(outcome.summary)
        # The first round of free order sends nothing that a book could count.
        book = {} if settings.order is Order.COLLECT else _in_the_book(hours, settings)
        for hour, sums in book.get("by_hour", {}).items():
            of_hour = {f"{name} (this hour)": sums[name] for name in _OF_AN_HOUR}
            context.add_asset_metadata(of_hour, partition_key=key_of(hour_of(hour)))
        if not outcome.is_of_all(hours):
            shown |= book
        return dg.MaterializeResult(metadata=metadata_of(hours, shown))

    return events


def _done(instance: dg.DagsterInstance) -> set[datetime]:
    """Return the hours that are delivered."""
    return hours_of(instance.get_materialized_partitions(KEY))


def _in_the_book(hours: HourRange, settings: Settings) -> Mapping[str, Any]:
    """Return what all runs of a range came to; nothing if the book does not answer."""
    try:
        return whole_migration(hours, settings, by_hour=True)
    except NoBook:
        # The hours are delivered, and the check says that the book did not answer.
        return {}


def metadata_of(hours: HourRange, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Dagster shows of a range, beside each of its hours.

    `shown` is the summary of its last run, or what the book says of all of them.
    """
    metadata: dict[str, Any] = {"range": str(hours), "hours": len(hours)}
    for name in _NUMBERS:
        value = shown.get(name)
        if isinstance(value, dict):
            metadata[name] = sum(value.values())
            metadata |= {f"{name}: {why}": number for why, number in value.items()}
        elif value is not None:
            metadata[name] = value
    return metadata
