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

    from tests.fakes.amplitude_export_api import AmplitudeExportApi
    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.pipeline import Pipeline, Plugin
    from tools.sample_export import SampleExport


@pytest.fixture(name="batches")
def batches_(pipeline: Pipeline, tmp_path: Path) -> Path:
    """The root of the storage, set in the tap."""
    root = tmp_path / "batches"
    pipeline.tap |= {"max_window_hours": 2, **batch(root)}
    pipeline.target["max_batch_events"] = 40
    return root


def assert_arrived(posthog: PosthogCapture, export: SampleExport) -> None:
    """Fail unless every row is one whole event, and every person one person."""
    for row, event in matched(posthog, export.rows):
        assert differences(row, event, export.truth) == [], (row, event)
    assert_people_known(posthog, export.truth)


def left_in(root: Path) -> list[Path]:
    """All files below a folder."""
    return [path for path in root.rglob("*") if path.is_file()]


def test_files_arrive_as_records_do(
    batches: Path, pipeline: Pipeline, export: SampleExport, posthog: PosthogCapture
) -> None:
    """Every row is one event, the state stands behind the last hour, and no file is left."""
    pipeline.run_well()

    assert_arrived(posthog, export)
    assert pipeline.next_export_hour == f"{export.end:%Y-%m-%dT%H:%M:%SZ}"
    assert "files of" in pipeline.ends[-1].tap.stderr
    assert list(batches.iterdir()) == []


@pytest.mark.parametrize("victim", ["tap", "target"])
def test_killed_with_files_on_their_way_nothing_is_lost_doubled_or_left(
    victim: Plugin,
    batches: Path,
    pipeline: Pipeline,
    export: SampleExport,
    amplitude: AmplitudeExportApi,
    posthog: PosthogCapture,
) -> None:
    """Files wait for the target when one of the two is killed; the next run sweeps them."""
    if victim == "tap":
        amplitude.fail(amplitude_api.Fault.SLOW, 3, seconds=0)
        amplitude.fail(amplitude_api.Fault.SLOW, seconds=600, after_bytes=100)
    else:
        posthog.fail(posthog_api.Fault.SLOW, seconds=0)
        posthog.fail(posthog_api.Fault.SLOW, seconds=600)
    with pipeline.started() as pipe:
        pipe.wait_for(lambda: len(posthog.requests) >= 2 and left_in(batches))
        pipe.kill(victim)
    assert getattr(pipeline.ends[-1], victim).exit_code == -signal.SIGKILL
    if victim == "target":
        assert left_in(batches)

    pipeline.run_well()

    assert_arrived(posthog, export)
    assert left_in(batches) == []
