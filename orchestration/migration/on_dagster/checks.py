"""The check of the asset: whether the book of all hours is whole."""

from typing import Any

import dagster as dg

from migration.book import NoBook, whole_migration
from migration.on_dagster.assets import KEY
from migration.on_dagster.keys import hours_of
from migration.ranges import HOUR, HourRange
from migration.settings import Settings

_SUMS = ("exported", "accepted", "superseded", "skipped", "rejected", "links")
#: As many gaps as are worth reading in a list.
_MOST = 20


def book_is_whole(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the check.

    It is run behind each range, and by itself. It does not hold the next range up: a gap that is
    there already does not grow by it.
    """

    @dg.asset_check(
        asset=KEY,
        name="whole_migration",
        description="No hour is missing, none came twice, and each record has a fate: exported = "
        "accepted + superseded + skipped + rejected.",
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        done = hours_of(context.instance.get_materialized_partitions(KEY))
        if not done:
            return dg.AssetCheckResult(passed=True, description="No hour is delivered yet.")
        hours = HourRange(settings.start, max(done) + HOUR)
        try:
            found = whole_migration(hours, settings)
        except NoBook as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        return dg.AssetCheckResult(
            passed=bool(found["is_whole"]),
            description=f"{hours}: the book {'is' if found['is_whole'] else 'is not'} whole.",
            metadata=_metadata_of(found),
        )

    return check


def _metadata_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return what Dagster shows of the book."""
    gaps = [f"{gap['first']}Z to {gap['last']}Z" for gap in found["gaps"]]
    more = [f"and {len(gaps) - _MOST} more"] if len(gaps) > _MOST else []
    shown: dict[str, Any] = {name: _sum_of(found[name]) for name in _SUMS if name in found}
    return {**shown, "gaps": dg.MetadataValue.md("\n".join(gaps[:_MOST] + more) or "none")}


def _sum_of(value: int | dict[str, int]) -> int:
    return sum(value.values()) if isinstance(value, dict) else value
