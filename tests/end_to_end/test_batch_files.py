"""With BATCH files the pipe moves the same events, and leaves no file behind, killed or not."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.fakes import amplitude_export_api as amplitude_api
from tests.fakes import posthog_capture as posthog_api
from tests.support.batches import batch
from tests.support.faithful import assert_people_known, differences, matched

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pipeline import Day, Plugin


@pytest.fixture(name="batches")
def batches_(day: Day, tmp_path: Path) -> Path:
    """The root of the storage, set in the tap."""
    root = tmp_path / "batches"
    day.tap |= {"max_window_hours": 2, **batch(root)}
    day.target["max_batch_events"] = 40
    return root


def assert_arrived(day: Day) -> None:
    """Fail unless every row is one whole event, and every person one person."""
    for row, event in matched(day.posthog, day.export.rows):
        assert differences(row, event, day.export.truth) == [], (row, event)
    assert_people_known(day.posthog, day.export.truth)


def left_in(root: Path) -> list[Path]:
    """All files below a folder."""
    return [path for path in root.rglob("*") if path.is_file()]


def test_files_arrive_as_records_do(batches: Path, day: Day) -> None:
    """Every row is one event, the state stands behind the last hour, and no file is left."""
    day.run_well()

    assert_arrived(day)
    assert day.next_export_hour == f"{day.export.end:%Y-%m-%dT%H:%M:%SZ}"
    assert "files of" in day.ends[-1].tap.stderr
    assert list(batches.iterdir()) == []


@pytest.mark.parametrize("victim", ["tap", "target"])
def test_killed_with_files_on_their_way_nothing_is_lost_doubled_or_left(
    victim: Plugin, batches: Path, day: Day
) -> None:
    """Files wait for the target when one of the two is killed; the next run sweeps them."""
    if victim == "tap":
        day.amplitude.fail(amplitude_api.Fault.SLOW, 3, seconds=0)
        day.amplitude.fail(amplitude_api.Fault.SLOW, seconds=600, after_bytes=100)
    else:
        day.posthog.fail(posthog_api.Fault.SLOW, seconds=0)
        day.posthog.fail(posthog_api.Fault.SLOW, seconds=600)
    with day.started() as pipe:
        pipe.wait_for(lambda: len(day.posthog.requests) >= 2 and left_in(batches))
        pipe.kill(victim)
    assert getattr(day.ends[-1], victim).exit_code == -signal.SIGKILL
    if victim == "target":
        assert left_in(batches)

    day.run_well()

    assert_arrived(day)
    assert left_in(batches) == []
