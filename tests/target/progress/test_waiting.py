"""Whom a run waited for, with a given clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from target_posthog.progress.waiting import AGREED_SPEED, CONVERSION, LEDGER, POSTHOG, TAP, Waits
from target_posthog.target import TargetPosthog

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("waited", "whom"),
    [
        pytest.param({}, CONVERSION, id="at work all the time"),
        pytest.param({TAP: 6.0}, TAP, id="tap"),
        pytest.param({TAP: 4.0}, CONVERSION, id="at work more than it waited"),
        pytest.param({TAP: 1.0, POSTHOG: 5.0}, POSTHOG, id="PostHog"),
        pytest.param({TAP: 1.0, LEDGER: 8.0}, LEDGER, id="ledger"),
        pytest.param({POSTHOG: 9.0, AGREED_SPEED: 9.5}, AGREED_SPEED, id="agreed speed"),
        pytest.param({POSTHOG: 9.0, AGREED_SPEED: 1.0}, POSTHOG, id="slower than was agreed"),
        pytest.param({TAP: 9.0, AGREED_SPEED: 9.0}, TAP, id="held back, and nobody waits for it"),
        pytest.param({CONVERSION: 6.0, TAP: 4.0}, CONVERSION, id="workers"),
    ],
)
def test_the_longest_wait_counts(waited: dict[str, float], whom: str) -> None:
    """Within ten seconds; what was not waited was work."""
    waits = Waits(started=100.0)
    for who, seconds in waited.items():
        waits.add(who, seconds)
    assert waits.longest(110.0) == whom


def test_each_answer_begins_anew() -> None:
    """A slow start says nothing of an hour later."""
    waits = Waits(started=0.0)
    waits.add(TAP, 9.0)
    assert waits.longest(10.0) == TAP
    waits.note(POSTHOG, 6.0)
    assert waits.longest(20.0) == POSTHOG
    waits.note(POSTHOG, 10.0)
    assert waits.longest(30.0) == CONVERSION


def test_a_run_says_that_it_waits_for_its_ledger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow or absent PostgreSQL is not the conversion's fault."""
    target = TargetPosthog(config={"api_key": "phc_test", "preview_path": str(tmp_path)})
    target.runtime.ledger.waited = 60.0
    with caplog.at_level("INFO"):
        target.monitor.look(time.monotonic() + 30.0, stalled=0.0)
    assert "waits for the ledger (`ledger_url`)" in caplog.text
