"""Previews of one folder never mix: what lies flat is of the last one alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from target_posthog.capture.earlier_previews import set_aside
from tests.support.processes import run_target, start
from tests.support.rows import row
from tests.support.singer import record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {"preview_path": "preview", "max_reject_ratio": 1}
BAD = record(row(9, user_id="u" * 201))


def preview(folder: Path, number: int) -> str:
    """Preview a row, and one that is rejected; return the log."""
    return run_target(SETTINGS, [schema(), record(row(number)), BAD], folder).checked().stderr


def files_in(folder: Path) -> list[str]:
    """Return the files of a folder, without what differs from run to run."""
    return sorted(
        "/".join(part.partition("-2")[0] for part in path.relative_to(folder).parts)
        for path in folder.rglob("*")
        if path.is_file()
    )


ONE = ["preview", "rejects/target-posthog", "summary.json"]


def test_each_earlier_preview_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Bodies, rejects and summary, and a message that says where."""
    log = preview(tmp_path, 1)
    assert files_in(tmp_path / "preview") == ONE
    assert "The preview that was here before" not in log
    for number in (2, 3):
        (flat,) = (tmp_path / "preview").glob("*.jsonl")
        log = preview(tmp_path, number)
        assert f"The preview that was here before is now in preview/{flat.stem}." in log
        assert flat.stem not in {path.stem for path in (tmp_path / "preview").glob("*.jsonl")}
    assert files_in(tmp_path / "preview") == sorted([*ONE, *(f"preview/{one}" for one in ONE * 2)])
    for own in (tmp_path / "preview").glob("preview-*/"):
        (bodies,) = own.glob("*.jsonl")
        (body,) = bodies.read_text().splitlines()
        assert [event["event"] for event in json.loads(body)["batch"]] == ["viewed"]
        assert str(json.loads((own / "summary.json").read_text())["process"]) in bodies.stem


def test_a_preview_that_goes_on_is_left_where_it_is(tmp_path: Path) -> None:
    """And the other says that there are two."""
    with start("target-posthog", SETTINGS | {"max_batch_events": 1}, tmp_path) as first:
        first.write([schema(), record(row(1)), record(row(2)), state({"at": 1})])
        first.wait_for(lambda: list((tmp_path / "preview").glob("*.jsonl")) != [])
        log = preview(tmp_path, 3)
        assert "Files of other previews in this folder: 1, " in log
        assert len(list((tmp_path / "preview").glob("*.jsonl"))) == 2
        first.finish().checked()


def test_files_of_others_stay(tmp_path: Path) -> None:
    """Only what a preview has written is moved, and only with its own summary."""
    assert set_aside(tmp_path / "nowhere") == []
    names = ["mine.jsonl", "preview-1.jsonl", "preview.html", "summary.json", "rejects/a.jsonl"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    own = tmp_path / "preview-20240101T000000Z-7.jsonl"
    own.write_text("{}\n")
    assert set_aside(tmp_path) == [tmp_path / own.stem]
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        *names,
        f"{own.stem}/{own.name}",
    }
