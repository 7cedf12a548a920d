"""Few commands that send all hours again, and no more than they must."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.reconcile.remedies import (
    Stretch,
    command_for,
    command_for_all,
    stretches_of,
)

START = datetime(2024, 2, 28, tzinfo=timezone.utc)


def hour(number: int) -> str:
    """Return an hour by its number."""
    return f"{START + timedelta(hours=number):%Y-%m-%dT%H}"


def test_hours_that_follow_each_other_are_one_command() -> None:
    """Over days and months; the end is exclusive, as the tap's is."""
    assert stretches_of([]) == stretches_of(["9999-12-31T23", "2024-99-01T00"]) == []
    assert stretches_of(map(hour, [25, 3, 23, 24])) == [
        Stretch(hour(3), hour(4)),
        Stretch(hour(23), hour(26)),
    ]


@given(st.sets(st.integers(0, 400), min_size=1))
def test_all_hours_are_in_a_dozen_stretches(numbers: set[int]) -> None:
    """In order, apart from each other; the widest gaps between them stay out."""
    made = stretches_of(map(hour, numbers))
    assert 1 <= len(made) <= 12
    assert made == sorted(made, key=lambda one: one.first)
    assert all(any(one.holds(hour(number)) for one in made) for number in numbers)
    assert all(before.end < behind.first for before, behind in pairwise(made))
    assert (made[0].first, made[-1].end) == (hour(min(numbers)), hour(max(numbers) + 1))


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({}, "meltano run --no-state-update tap-amplitude target-posthog"),
        (
            {"MELTANO_ENVIRONMENT": "my env", "MELTANO_LOADER_NAME": "target-posthog--eu"},
            "meltano --environment='my env' run --no-state-update tap-amplitude target-posthog--eu",
        ),
    ],
    ids=["alone", "of Meltano"],
)
def test_a_command_is_that_of_the_users_project(environment: dict[str, str], command: str) -> None:
    """With both dates, and without the state."""
    dates = "TAP_AMPLITUDE_START_DATE={}:00:00Z TAP_AMPLITUDE_END_DATE={}:00:00Z"
    made = command_for(Stretch(hour(0), hour(1)), environment)
    assert made == f"{dates.format(hour(0), hour(1))} {command}"
    assert "run --full-refresh TAP " in command_for_all(environment)
