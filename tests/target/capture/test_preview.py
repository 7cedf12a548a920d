"""The preview holds the very bodies that would be sent."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from target_posthog.capture.preview import PreviewFile
from target_posthog.capture.results import SendResult
from target_posthog.errors import RunAgain
from tests.support.deliveries import batch_of, item
from tests.support.rows import row, rows
from tests.support.singer import record, records, schema, state
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)


def bodies_in(folder: Path) -> list[Json]:
    """Return every body of the previews in a folder, those of earlier ones included."""
    return [
        json.loads(line)
        for path in sorted(folder.rglob("preview-*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_a_body_is_one_line_as_it_would_be_sent(tmp_path: Path) -> None:
    """Byte by byte, so that what is previewed is what is sent."""
    preview = PreviewFile(tmp_path / "preview", NOW)
    batches = [batch_of(item(1), item(2)), batch_of(item(3))]
    assert [preview.send(batch) for batch in batches] == [SendResult(), SendResult()]
    preview.close()
    bodies = [gzip.decompress(batch.packed) for batch in batches]
    assert preview.path.read_bytes() == b"%b\n%b\n" % tuple(bodies)


def test_a_preview_of_nothing_is_only_a_summary(tmp_path: Path) -> None:
    """No events, no request."""
    run_here({"preview_path": "preview"}, [schema(), state({})], tmp_path).checked()
    assert [path.name for path in (tmp_path / "preview").iterdir()] == ["summary.json"]


def test_a_folder_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    """The message says what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunAgain, match="preview_path"):
        PreviewFile(tmp_path / "file", NOW).send(batch_of(item(1)))


def test_a_full_disk_stops_the_run(tmp_path: Path) -> None:
    """A body that is not written was not previewed."""
    preview = PreviewFile(tmp_path, NOW)
    preview.path.symlink_to("/dev/full")
    with pytest.raises(RunAgain, match=r"No space left on device.*Make room"):
        preview.send(batch_of(item(1)))
    preview.close()


def test_the_preview_and_the_requests_are_the_same(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """Events, identities and groups, packed alike; only the key differs."""
    told = [
        row(
            number, device_id=f"device-{number % 3}", group_properties={"org": {"a": {"n": number}}}
        )
        for number in range(20)
    ]
    messages = [schema(), *records(told)]
    config["max_batch_events"] = 7
    run_here(config, messages, tmp_path).checked()
    preview = {"preview_path": "preview", "max_batch_events": 7}
    run_here(preview, messages, tmp_path).checked()

    bodies = bodies_in(tmp_path / "preview")
    assert [body.pop("api_key") for body in bodies] == ["phc_preview"] * len(bodies)
    sent = [request.body for request in capture.requests]
    assert [body.pop("api_key") for body in sent] == ["phc_test"] * len(bodies)
    assert bodies == sent
    assert len(sent) > 5


def test_a_preview_needs_no_key_sends_nothing_and_leaves_the_ledger_alone(
    tmp_path: Path, capture: PosthogCapture
) -> None:
    """Looking must not change what the real run does; each preview shows every link."""
    settings = {"preview_path": "preview", "host": capture.url}
    messages = [schema(), *records(rows(range(3), device_id="shared"))]
    for _ in range(2):
        run_here(settings, messages, tmp_path).checked()
    summary = json.loads((tmp_path / "preview" / "summary.json").read_text())
    assert capture.requests == []
    assert not (tmp_path / "target-posthog.db").exists()
    names = [event["event"] for body in bodies_in(tmp_path / "preview") for event in body["batch"]]
    assert names == ["$create_alias", "viewed", "viewed", "viewed"] * 2
    assert summary["links"] == 1
    assert summary["shared_devices"] == 2


def test_the_summary_adds_up(tmp_path: Path) -> None:
    """It is what the run came to, as numbers."""
    bad = row(9, event_time="never", server_upload_time="never")
    settings = {"preview_path": "preview", "skip_events": ["left*"], "max_reject_ratio": 1}
    messages = [
        schema(),
        *records([row(1), row(1), row(2, event_type="left out"), bad, row(3)]),
    ]
    finished = run_here(settings, messages, tmp_path).checked()
    summary = json.loads((tmp_path / "preview" / "summary.json").read_text())
    counts = {
        "exported": 5,
        "accepted": 2,
        "superseded": 0,
        "skipped": {"duplicate": 1, "skip_events": 1},
        "rejected": {"bad_time": 1},
        "links": 0,
        "group_updates": 0,
        "shared_devices": 0,
        "refused_links_and_group_updates": {},
        "warnings": {},
    }
    assert {name: summary[name] for name in counts} == counts
    assert summary["is_preview"]
    assert summary["destination"] == "preview"
    assert "previewed in preview, nothing was sent" in finished.stderr


def test_a_preview_moves_no_state(tmp_path: Path) -> None:
    """PostHog accepted nothing: a run that sends must begin where the preview began."""
    finished = run_here(
        {"preview_path": "preview"}, [schema(), record(row(1)), state({"hour": 1})], tmp_path
    ).checked()
    assert finished.stdout == ""
    assert "The preview left the state as it was." in finished.stderr


@pytest.mark.parametrize(
    ("settings", "folder"), [({}, "preview/rejects"), ({"rejects_path": "kept"}, "kept")]
)
def test_the_rejects_of_a_preview_stay_in_it(
    tmp_path: Path, settings: dict[str, str], folder: str
) -> None:
    """A replay would send them, though the run that sends has not come yet; unless told where."""
    bad = record(row(1, event_time="never", server_upload_time="never"))
    given = {"preview_path": "preview", "max_reject_ratio": 1, **settings}
    run_here(given, [schema(), bad], tmp_path).checked()
    assert not (tmp_path / "rejects").exists()
    assert len(list((tmp_path / folder).glob("*.jsonl"))) == 1
