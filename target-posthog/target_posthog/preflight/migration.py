"""How a migration is flagged, and how fast it goes: what PostHog wants to know. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.common.findings import Finding, Level
from target_posthog.posthog.times import RECENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from target_posthog.settings import Settings


def migration_findings(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Say how events are marked, and how fast they go."""
    yield _historical(settings.historical_migration, now - RECENT)
    yield _speed(settings.max_events_per_second)


def _historical(wanted: str, limit: datetime) -> Finding:
    area = "billing"
    if wanted == "auto":
        return Finding(
            area,
            Level.OK,
            "Events older than 48 hours go as a historical migration, newer ones do not "
            "(`historical_migration: auto`).",
        )
    since = f"{limit:%Y-%m-%dT%H:%M}Z"
    if wanted == "true":
        return Finding(
            area,
            Level.NOTE,
            f"All events go as a historical migration. PostHog may bill those since {since} all "
            "the same: they are not 48 hours old.",
            f"End the tap's range before {since} (tap-amplitude: `end_date`), or set "
            "`historical_migration` to `auto`.",
        )
    return Finding(
        area,
        Level.NOTE,
        "`historical_migration` is false: PostHog bills every event.",
        "Set it to `true` for history, or to `auto` for a schedule that follows it.",
    )


def _speed(agreed: float | None) -> Finding:
    if agreed is None:
        return Finding(
            "speed",
            Level.NOTE,
            "`max_events_per_second` is not set: events go as fast as PostHog takes them.",
            "Set it to the speed that you agreed on with PostHog, which asks for a few thousand a "
            "second at most.",
        )
    return Finding("speed", Level.OK, f"At most {agreed:,.10g} events a second.")
