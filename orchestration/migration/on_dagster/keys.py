"""The hours of the migration as Dagster's partitions."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import dagster as dg

from migration.ranges import HOUR, READY_AFTER, HourRange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migration.settings import Settings

_FORM = "%Y-%m-%d-%H:%M"
#: Dagster has an hour at its end; Amplitude exports it two hours later.
_LATER = -(READY_AFTER // HOUR - 1)


def hourly_partitions(settings: Settings) -> dg.HourlyPartitionsDefinition:
    """Return a partition for each hour that is ready, of all that the migration has."""
    return dg.HourlyPartitionsDefinition(
        start_date=settings.start,
        end_date=settings.end,
        timezone="UTC",
        fmt=_FORM,
        # With an end, all hours are ready (see `Settings`), and Dagster would leave out its last.
        end_offset=_LATER if settings.end is None else 0,
    )


def key_of(hour: datetime) -> str:
    """Return the partition of an hour."""
    return f"{hour:{_FORM}}"


def hours_of(keys: Iterable[str]) -> set[datetime]:
    """Return the hours of some partitions."""
    return {datetime.strptime(key, _FORM).replace(tzinfo=timezone.utc) for key in keys}


def range_of(first: str, last: str) -> HourRange:
    """Return the hours from one partition to another, which is part of it."""
    return HourRange(min(hours_of([first])), max(hours_of([last])) + HOUR)
