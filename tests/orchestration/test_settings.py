"""What an engine is told of a migration."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from migration.settings import Order, Settings, WrongSettings

_NOW = datetime(2024, 3, 10, 12, 30, tzinfo=timezone.utc)


def test_the_start_is_all_that_is_needed() -> None:
    """Ranges of a day, Meltano on the path, the project in the working folder."""
    settings = Settings.of({"MIGRATION_START": "2024-02-28", "MIGRATION_END": " "}, _NOW)
    assert settings == Settings(
        start=datetime(2024, 2, 28, tzinfo=timezone.utc),
        end=None,
        range_hours=24,
        project=Path.cwd(),
        meltano="meltano",
        work=Path.cwd() / ".meltano/ranges",
        retry_seconds=60,
        order=Order.ASCENDING,
    )


def test_each_variable_acts() -> None:
    """All of them, with values of their own."""
    settings = Settings.of(
        {
            "MIGRATION_START": "2024-02-28T05",
            "MIGRATION_END": "2024-03-01",
            "MIGRATION_RANGE_HOURS": "6",
            "MIGRATION_PROJECT": "/project",
            "MIGRATION_MELTANO": "/venv/bin/meltano",
            "MIGRATION_WORK": "/volume/ranges",
            "MIGRATION_RETRY_SECONDS": "5",
            "TARGET_POSTHOG_FREE_ORDER": "collect",
        },
        _NOW,
    )
    assert settings == Settings(
        start=datetime(2024, 2, 28, 5, tzinfo=timezone.utc),
        end=datetime(2024, 3, 1, tzinfo=timezone.utc),
        range_hours=6,
        project=Path("/project"),
        meltano="/venv/bin/meltano",
        work=Path("/volume/ranges"),
        retry_seconds=5,
        order=Order.COLLECT,
    )


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "`MIGRATION_START` is not set"),
        ({"MIGRATION_START": "soon"}, "`MIGRATION_START`: `soon` is not an hour"),
        ({"MIGRATION_START": "2024-02-28", "MIGRATION_END": "2024-02-28"}, "must lie behind"),
        ({"MIGRATION_START": "2024-02-28", "MIGRATION_END": "2024-03-10T11"}, "Leave it out"),
        ({"MIGRATION_START": "2024-02-28", "MIGRATION_RANGE_HOURS": "0"}, "at least 1"),
        ({"MIGRATION_START": "2024-02-28", "MIGRATION_RANGE_HOURS": "a day"}, "whole number"),
        ({"MIGRATION_START": "2024-02-28", "TARGET_POSTHOG_FREE_ORDER": "any"}, "`collect`"),
    ],
)
def test_what_cannot_be_meant_is_refused(variables: dict[str, str], words: str) -> None:
    """With the variable's name."""
    with pytest.raises(WrongSettings, match=words):
        Settings.of(variables, _NOW)


def test_the_last_hour_that_is_ready_may_be_the_last_of_a_migration() -> None:
    """At half past twelve that is the hour of nine: ten is the end."""
    variables = {"MIGRATION_START": "2024-02-28", "MIGRATION_END": "2024-03-10T10"}
    assert Settings.of(variables, _NOW).end == datetime(2024, 3, 10, 10, tzinfo=timezone.utc)
