"""Tap and target: every person and every group of an archive ends with its newest row."""

from __future__ import annotations

import gzip
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.support.batch_messages import lines_of
from tests.support.batches import batch
from tests.support.lives import Lives, assert_well_told
from tests.support.pipeline import Pipeline
from tests.target.identity.test_newest_rows_of_runs import answer_late

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.pipeline import Json

HOURS = 4


@pytest.mark.parametrize("way", ["batch files", "records"])
def test_everybody_in_an_archive_ends_with_the_newest_row(
    tmp_path: Path, posthog: PosthogCapture, way: str
) -> None:
    """Each device with its first user, and every event, however requests end."""
    lives = Lives.of(7, hours=HOURS, rows=1500)
    archive = tmp_path / "archive"
    archive.mkdir()
    for hour, files in enumerate(lives.hours):
        for number, file in enumerate(files):
            path = archive / f"187520_2024-01-01_{hour}#{number}.json.gz"
            path.write_bytes(gzip.compress(lines_of(file), 1))
    tap: Json = {
        "archive_path": str(archive),
        "start_date": "2024-01-01T00:00:00Z",
        "end_date": f"2024-01-01T{HOURS:02}:00:00Z",
    }
    if way == "batch files":
        tap |= batch(tmp_path / "batches")
    target = {"api_key": posthog.api_key, "host": posthog.url, "max_batch_events": 120}
    answer_late(posthog, Random(4), troubles=True)
    Pipeline(tmp_path, tap, target).run_well()

    assert_well_told(posthog.events, lives)
    assert posthog.most_under_way > 1
