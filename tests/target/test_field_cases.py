"""What other people's taps send becomes what they mean, as records and by BATCH files."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("way", WAYS)
def test_objects_in_pythons_notation_are_rejected_with_the_reason(
    tmp_path: Path, config: Json, capture: PosthogCapture, way: str
) -> None:
    """Another tap of Amplitude's export prints them; no property may become one long text."""
    ended = run_case("f06-tap-amplitude-api", config, tmp_path, way)
    assert capture.events == []
    assert counts_in(ended.stderr)["rejected"] == 2
    (path,) = (tmp_path / "rejects").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["code"] for line in lines] == ["bad_object"] * 2
    assert "event_properties, user_properties" in lines[0]["reason"]


@pytest.mark.parametrize("way", WAYS)
def test_the_same_rows_in_json_become_their_events(
    tmp_path: Path, config: Json, capture: PosthogCapture, way: str
) -> None:
    """Floats where Amplitude has integers are those integers."""
    run_case("f06-tap-amplitude-api-json", config, tmp_path, way).checked()
    held = {event["event"]: event for event in capture.held().values()}
    assert held["viewed"]["properties"]["page"] == "home"
    paid = held["paid"]["properties"]
    assert (paid["price"], paid["none"], paid["data"]) == (9.99, None, {"path": "/x"})
    assert paid["$groups"] == {"org": "acme"}
    assert (paid["amplitude_id"], paid["session_id"]) == (5, 1704067200000)
    assert paid["$session_id"] == held["viewed"]["properties"]["$session_id"]
