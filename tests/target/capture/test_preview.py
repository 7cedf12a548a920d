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
from tests.support.singer import json_lines, record, records, schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.singer import Json
    from tests.support.target import Target

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)


def test_a_body_is_one_line_as_it_would_be_sent(tmp_path: Path) -> None:
    """Byte by byte, so that what is previewed is what is sent."""
    preview = PreviewFile(tmp_path / "preview", NOW)
    batches = [batch_of(item(1), item(2)), batch_of(item(3))]
    assert [preview.send(batch) for batch in batches] == [SendResult(), SendResult()]
    preview.close()
    bodies = [gzip.decompress(batch.packed) for batch in batches]
    assert preview.path.read_bytes() == b"%b\n%b\n" % tuple(bodies)


def test_a_preview_of_nothing_is_only_a_summary(target: Target) -> None:
    """No events, no request."""
    target.send([], preview_path="preview").checked()
    assert [path.name for path in (target.folder / "preview").iterdir()] == ["summary.json"]


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


def test_the_preview_and_the_requests_are_the_same(target: Target) -> None:
    """Events, identities and groups, packed alike; only the key differs."""
    told = [
        row(
            number, device_id=f"device-{number % 3}", group_properties={"org": {"a": {"n": number}}}
        )
        for number in range(20)
    ]
    messages = [schema(), *records(told)]
    target.config["max_batch_events"] = 7
    target.run(messages).checked()
    target.run(messages, preview_path="preview", api_key=None).checked()

    bodies = json_lines(target.folder, "preview/**/preview-*.jsonl")
    assert [body.pop("api_key") for body in bodies] == ["phc_preview"] * len(bodies)
    sent = [request.body for request in target.capture.requests]
    assert [body.pop("api_key") for body in sent] == ["phc_test"] * len(bodies)
    assert bodies == sent
    assert len(sent) > 5


def test_a_preview_needs_no_key_sends_nothing_and_leaves_the_ledger_alone(target: Target) -> None:
    """Looking must not change what the real run does; each preview shows every link."""
    messages = [schema(), *records(rows(range(3), device_id="shared"))]
    for _ in range(2):
        target.run(messages, preview_path="preview", api_key=None).checked()
    summary = json.loads((target.folder / "preview" / "summary.json").read_text())
    assert target.capture.requests == []
    assert not (target.folder / "target-posthog.db").exists()
    names = [
        event["event"]
        for body in json_lines(target.folder, "preview/**/preview-*.jsonl")
        for event in body["batch"]
    ]
    assert names == ["$create_alias", "viewed", "viewed", "viewed"] * 2
    assert summary["links"] == 1
    assert summary["shared_devices"] == 2


def test_the_summary_adds_up(target: Target) -> None:
    """It is what the run came to, as numbers."""
    bad = row(9, event_time="never", server_upload_time="never")
    sent = records([row(1), row(1), row(2, event_type="left out"), bad, row(3)])
    settings: Json = {"preview_path": "preview", "skip_events": ["left*"]}
    finished = target.run([schema(), *sent], **settings).checked()
    summary = json.loads((target.folder / "preview" / "summary.json").read_text())
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


def test_a_preview_moves_no_state(target: Target) -> None:
    """PostHog accepted nothing: a run that sends must begin where the preview began."""
    finished = target.send([row(1)], preview_path="preview").checked()
    assert finished.stdout == ""
    assert "The preview left the state as it was." in finished.stderr


@pytest.mark.parametrize(
    ("settings", "folder"), [({}, "preview/rejects"), ({"rejects_path": "kept"}, "kept")]
)
def test_the_rejects_of_a_preview_stay_in_it(
    target: Target, settings: dict[str, str], folder: str
) -> None:
    """A replay would send them, though the run that sends has not come yet; unless told where."""
    bad = record(row(1, event_time="never", server_upload_time="never"))
    target.run([schema(), bad], None, preview_path="preview", **settings).checked()
    assert not (target.folder / "rejects").exists()
    assert len(list((target.folder / folder).glob("*.jsonl"))) == 1
