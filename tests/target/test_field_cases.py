"""What other people's taps send becomes what they mean, as records and by BATCH files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.target.field_cases import run_case
from tests.target.singer import counts_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.target.singer import Json

WAYS = ["records", "batch"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", ["one-batch", "small-batches"])
def test_a_key_that_is_not_unique_loses_nothing(
    tmp_path: Path, config: Json, capture: PosthogCapture, size: str, way: str
) -> None:
    """Five purchases of one buyer, of a stream whose key is said to be the buyer."""
    ended = run_case(f"f01-wrong-primary-key-{size}", config, tmp_path, way).checked()
    counts = counts_in(ended.stderr)
    assert (counts["exported"], counts["accepted"], counts["superseded"]) == (5, 5, 0)
    amounts = {event["properties"]["amount"] for event in capture.held().values()}
    assert amounts == {10, 11, 12, 13, 14}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("max_batch_events", [1, 1000])
@pytest.mark.parametrize("uuid", [None, "id", {"fields": ["id", "user_id"]}])
def test_a_later_version_of_a_row_replaces_the_earlier_when_the_mapping_says_so(
    tmp_path: Path,
    config: Json,
    capture: PosthogCapture,
    way: str,
    max_batch_events: int,
    uuid: str | Json | None,
) -> None:
    """Else both are there."""
    streams: Json = {"orders": {} if uuid is None else {"uuid": uuid}}
    settings: Json = {"streams": streams, "max_batch_events": max_batch_events}
    ended = run_case("f07-newer-row-one-batch", config, tmp_path, way, **settings).checked()
    counts = counts_in(ended.stderr)
    held = [event["properties"]["status"] for event in capture.held().values()]
    assert held == (["pending", "paid"] if uuid is None else ["paid"])
    superseded = 0 if uuid is None else 1
    assert (counts["accepted"], counts["superseded"]) == (2 - superseded, superseded)
