"""The project in PostHog's app: whether it can be asked, and whether it is live already."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from target_posthog.common.findings import Finding, Level
from target_posthog.common.quantities import count
from target_posthog.errors import FixConfiguration, NotAsked
from target_posthog.query.client import QueryApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from target_posthog.settings import Settings

_AREA = "project"
_NEEDED = ("project_id", "personal_api_key")
#: What a project got lately that no import brought. A time without a zone is in the project's.
_LIVE = (
    "SELECT count() FROM events "
    "WHERE timestamp >= '{since:%Y-%m-%d} 00:00:00' AND isNull(properties.analytics_source)"
)


def project_findings(
    settings: Settings, program: str, *, now: datetime, patience_seconds: float
) -> Iterator[Finding]:
    """Say whether the project can be asked what it holds."""
    missing = [name for name in _NEEDED if not getattr(settings, name)]
    if missing:
        yield Finding(
            _AREA,
            Level.NOTE,
            f"{' and '.join(f'`{name}`' for name in missing)} "
            f"{'are' if len(missing) > 1 else 'is'} not set: no command can compare what was sent "
            "with what PostHog holds.",
            "Set both to prove a migration afterwards; a run does not need them.",
        )
        return
    seconds = min(patience_seconds, settings.max_retry_seconds)
    try:
        api = QueryApi.of(replace(settings, max_retry_seconds=seconds), program)
        try:
            ((events,),) = api.rows(_LIVE.format(since=now - timedelta(days=1)))
        finally:
            api.close()
    except FixConfiguration as error:
        yield Finding(_AREA, Level.FIX, error.happened, error.remedy)
        return
    except NotAsked as error:
        yield Finding(_AREA, Level.UNKNOWN, error.happened, error.remedy)
        return
    yield Finding(_AREA, Level.OK, f"Project {settings.project_id} at {api.host} can be asked.")
    if events and settings.user_properties == "set":
        yield Finding(
            _AREA,
            Level.NOTE,
            f"It is live: {count(events, 'event')} of other sources since "
            "yesterday. PostHog applies user properties in order of arrival, so history would "
            "overwrite newer values.",
            "Set `user_properties` to `set_once`, if the live values are to stay.",
        )
