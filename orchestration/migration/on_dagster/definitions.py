"""What Dagster loads: the asset, its check, its job and its schedule.

`workspace.yaml` names this module. The settings are variables of the environment (`Settings`).
"""

from __future__ import annotations

import os
from datetime import datetime, timezone

import dagster as dg

from migration.on_dagster.assets import posthog_events
from migration.on_dagster.checks import book_is_whole
from migration.on_dagster.schedule import next_hours
from migration.settings import Settings


def definitions_of(settings: Settings) -> dg.Definitions:
    """Return the definitions of a migration."""
    events = posthog_events(settings)
    job = dg.define_asset_job("move_hours", selection=[events])
    return dg.Definitions(
        assets=[events],
        asset_checks=[book_is_whole(settings)],
        jobs=[job],
        schedules=[next_hours(settings, job)],
        # One process a run: it is the worker that the plugins end with.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the migration that the environment tells of."""
    return definitions_of(Settings.of(os.environ, datetime.now(timezone.utc)))
