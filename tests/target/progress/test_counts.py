"""What the run tells, with a given clock."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest

from target_posthog.progress.counts import Counts, Hours, Progress


def state(next_hour: object, until: object = "2024-01-02T00:00:00Z") -> dict[str, Any]:
    """Return a state of `tap-amplitude`."""
    return {"bookmarks": {"events": {"next_export_hour": next_hour, "export_until": until}}}


def test_there_is_one_line_per_ten_seconds() -> None:
    """More would bury what matters."""
    progress = Progress(started=100.0)
    shown = [progress.is_due(100.0 + second) for second in range(31)]
    assert [second for second, was in enumerate(shown) if was] == [10, 20, 30]


def test_the_line_counts_events_and_their_speed() -> None:
    """Without the tap's hours there is no percentage and no time left."""
    counts = Counts(exported=12_345, rejected=Counter(bad_time=3))
    assert Progress(started=0.0).text(10.0, counts) == "12,345 events  1,234/s  rejected 3"


def test_the_line_tells_whom_the_run_waits_for() -> None:
    """So that the user knows what to make faster."""
    text = Progress(started=0.0).text(10.0, Counts(exported=10), waits_for="the tap")
    assert text == "10 events  1/s  rejected 0  waits for the tap"


def test_the_line_tells_the_hour_the_share_and_the_time_left() -> None:
    """A quarter of the hours took 20 s, so three quarters take a minute."""
    progress = Progress(started=0.0)
    progress.reached(state("2024-01-01T00:00:00Z"))
    progress.reached(state("2024-01-01T06:00:00Z"))
    assert progress.text(20.0, Counts(exported=100)) == (
        "2024-01-01T06Z  25.0% of hours  100 events  5/s  rejected 0  about 0:01:00 left"
    )


def test_the_time_left_is_not_guessed_before_an_hour_is_through() -> None:
    """There is nothing to guess it from."""
    progress = Progress(started=0.0)
    progress.reached(state("2024-01-01T00:00:00Z"))
    assert progress.text(20.0, Counts()) == (
        "2024-01-01T00Z  0.0% of hours  0 events  0/s  rejected 0"
    )


def test_the_share_is_never_more_than_all() -> None:
    """A tap may end past the hour that it named."""
    progress = Progress(started=0.0)
    progress.reached(state("2024-01-01T00:00:00Z"))
    progress.reached(state("2024-01-03T00:00:00Z"))
    line = progress.text(20.0, Counts())
    assert "100.0% of hours" in line
    assert "about 0:00:00 left" in line


@pytest.mark.parametrize(
    "foreign",
    [
        None,
        [],
        {},
        {"bookmarks": None},
        {"bookmarks": {"events": None}},
        {"bookmarks": {"events": {"replication_key_value": "2024-01-01"}}},
        state(None),
        state(5),
        state("soon"),
        state("2024-01-01T00:00:00Z", until=["x"]),
    ],
)
def test_the_state_of_another_tap_tells_no_hours(foreign: object) -> None:
    """It is passed on all the same, so it must not stop the run."""
    assert Hours.of_state(foreign) is None


def test_hours_without_a_zone_can_be_compared_with_hours_that_have_one() -> None:
    """Another tap may use the same names."""
    hours = Hours.of_state(state("2024-01-01T00:00:00", until="2024-01-02T00:00:00Z"))
    assert hours is not None
    assert hours.until == datetime(2024, 1, 2, tzinfo=timezone.utc)
    assert hours.next_hour < hours.until


def test_a_run_that_starts_at_its_end_tells_no_share() -> None:
    """Nothing by nothing is no percentage."""
    progress = Progress(started=0.0)
    progress.reached(state("2024-01-02T00:00:00Z"))
    assert progress.text(20.0, Counts()) == "2024-01-02T00Z  0 events  0/s  rejected 0"


def test_what_is_on_its_way_is_what_has_no_fate_yet() -> None:
    """Else a record could be lost and every count look right."""
    counts = Counts(
        exported=10,
        accepted=5,
        superseded=1,
        skipped=Counter(duplicate=2),
        rejected=Counter(bad_time=1),
    )
    assert counts.open == 1


def test_the_summary_file_adds_up() -> None:
    """It has one number per fate of a record."""
    counts = Counts(
        exported=5,
        accepted=2,
        superseded=1,
        skipped=Counter(duplicate=1),
        rejected=Counter(bad_time=1),
    )
    written = counts.as_json()
    left_out = sum(written["skipped"].values()) + sum(written["rejected"].values())
    assert written["exported"] == written["accepted"] + written["superseded"] + left_out
