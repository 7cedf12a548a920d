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


FIRST, END = "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("hours", "counts", "line"),
    [
        # Without the tap's hours there is no percentage and no time left.
        (
            (),
            Counts(exported=24_680, rejected=Counter(bad_time=3)),
            "24,680 events  1,234/s  rejected 3",
        ),
        # A quarter of the hours took 20 s, so three quarters take a minute.
        (
            (FIRST, "2024-01-01T06:00:00Z"),
            Counts(exported=4_680),
            "2024-01-01T06Z  25.0% of hours  4,680 events  234/s  rejected 0  about 0:01:00 left",
        ),
        # Before an hour is through there is nothing to guess the time from.
        ((FIRST,), Counts(), "2024-01-01T00Z  0.0% of hours  0 events  0/s  rejected 0"),
        # A tap may end past the hour that it named.
        (
            (FIRST, "2024-01-03T00:00:00Z"),
            Counts(),
            "2024-01-03T00Z  100.0% of hours  0 events  0/s  rejected 0  about 0:00:00 left",
        ),
        # Nothing by nothing is no percentage.
        ((END,), Counts(), "2024-01-02T00Z  0 events  0/s  rejected 0"),
    ],
    ids=["no hours", "a quarter", "no hour through", "past the end", "at the end"],
)
def test_the_line_tells_the_hour_the_share_and_the_time_left(
    hours: tuple[str, ...], counts: Counts, line: str
) -> None:
    """As far as they are known after 20 s; and whom the run waits for, if anybody."""
    progress = Progress(started=0.0)
    for hour in hours:
        progress.reached(state(hour))
    assert progress.text(20.0, counts) == line
    assert progress.text(20.0, counts, waits_for="the tap") == f"{line}  waits for the tap"


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
