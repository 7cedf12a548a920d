"""What Dagster loads: the asset, its check, its job and its schedule.

`workspace.yaml` names this module. The settings are variables of the environment (`Settings`).
"""

from __future__ import annotations

import os
import warnings
from datetime import datetime, timezone

import dagster as dg

from migration.on_dagster.assets import posthog_events
from migration.on_dagster.checks import book_is_whole
from migration.on_dagster.schedule import next_hours
from migration.settings import Order, Settings


def definitions_of(settings: Settings) -> dg.Definitions:
    """Return the definitions of a migration."""
    with warnings.catch_warnings():
        # Policies of backfills are; the pins hold them still.
        warnings.simplefilter("ignore", dg.BetaWarning)
        events = posthog_events(settings)
    job = dg.define_asset_job("move_hours", selection=[events])
    is_ordered = settings.order is Order.ASCENDING
    return dg.Definitions(
        assets=[events],
        # What a people pass reads is not in the book.
        asset_checks=[] if settings.order is Order.COLLECT else [book_is_whole(settings)],
        jobs=[job],
        # Free order is for a history; new hours go in order.
        schedules=[next_hours(settings, job)] if is_ordered else [],
        # One process a run: it is the worker that the plugins end with.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the migration that the environment tells of."""
    return definitions_of(Settings.of(os.environ, datetime.now(timezone.utc)))
