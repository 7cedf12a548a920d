"""`target-posthog-rejects` as a command: what it prints, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from target_posthog.rejects.codes import CODES
from tests.fakes.posthog_capture import PosthogCapture
from tests.support.processes import start
from tests.support.rows import row
from tests.support.singer import record, schema
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Finished
    from tests.support.singer import Json

LONG = "n" * 201


def rejects(config: Json, folder: Path, *arguments: str) -> Finished:
    """Run the command."""
    with start("target-posthog-rejects", config, folder, *arguments) as command:
        finished = command.finish()
    assert "Traceback" not in finished.stderr, finished.stderr
    return finished


def test_what_a_run_rejected_is_listed(tmp_path: Path, config: Json) -> None:
    """By code, with an example's place and what to do, and without the record."""
    bad = row(1, event_type=LONG, user_id="hushhush")
    config |= {"source_format": "amplitude"}
    run_here(config, [schema(), record(bad), record(row(2, event_type=None))], tmp_path)
    (file,) = (tmp_path / "rejects").iterdir()
    finished = rejects(config, tmp_path)
    assert finished.exit_code == 3
    text = finished.stdout
    assert text.startswith("2 rejects in 1 file.\n")
    assert f"line 1 of {file}, stream events, event" in " ".join(text.split())
    assert CODES["missing_event_type"].remedy in " ".join(text.split())
    assert "hushhush" not in text
    assert "hushhush" in rejects(config, tmp_path, "--show").stdout

    told = json.loads(rejects(config, tmp_path, "--json").stdout)
    assert [(one["code"], one["rejected"]) for one in told["codes"]] == [
        ("event_name_too_long", 1), ("missing_event_type", 1),
    ]  # fmt: skip
    assert told["codes"][0]["example"]["line"] == 1
    assert told["runs"] == [{"run": file.stem, "rejected": 2, "codes": dict.fromkeys(
        ("event_name_too_long", "missing_event_type"), 1)}]  # fmt: skip


def test_without_rejects_the_exit_code_is_0(tmp_path: Path, config: Json) -> None:
    """No folder, an empty one, and files that were replayed."""
    for _ in range(2):
        finished = rejects(config, tmp_path).checked()
        assert finished.stdout == "There are no rejects.\n"
        (tmp_path / "rejects").mkdir(exist_ok=True)
        (tmp_path / "rejects/target-posthog-1.jsonl.replayed").write_text('{"code": "bad_time"}\n')
    assert json.loads(rejects(config, tmp_path, "--json").checked().stdout)["rejected"] == 0


def test_previews_and_other_projects_are_apart(tmp_path: Path, config: Json) -> None:
    """They share a folder; who names a file has it listed all the same."""
    bad = [schema(), record(row(1, event_type=LONG))]
    shared = config | {"rejects_path": "rejects"}
    run_here(shared | {"preview_path": "preview"}, bad, tmp_path)
    with PosthogCapture(api_key="phc_scratch") as scratch:
        other = shared | {"api_key": scratch.api_key, "host": scratch.url}
        run_here(other, bad, tmp_path)
    finished = rejects(shared, tmp_path).checked()
    assert finished.stdout.startswith("There are no rejects.")
    assert "2 rejects in 2 files of a preview or of another PostHog project" in finished.stdout
    told = json.loads(rejects(shared, tmp_path, "--json").stdout)
    assert (told["rejected"], told["of_others"]["rejected"]) == (0, 2)
    files = [str(path) for path in (tmp_path / "rejects").iterdir()]
    assert rejects(shared, tmp_path, *files).exit_code == 3


def test_a_preview_lists_its_own(tmp_path: Path, config: Json) -> None:
    """They lie in its folder, and need no project."""
    preview = {"preview_path": "preview", "max_reject_ratio": 1}
    run_here(preview, [schema(), record(row(1, event_type=LONG))], tmp_path)
    assert rejects(preview, tmp_path).exit_code == 3
    assert rejects(config, tmp_path).exit_code == 0


def test_a_path_that_is_not_there_is_a_matter_of_configuration(
    tmp_path: Path, config: Json
) -> None:
    """A typing mistake must not look like a run without rejects."""
    finished = rejects(config, tmp_path, "no-such-folder")
    assert finished.exit_code == 2
    assert "cannot be used: No such file or directory" in finished.stderr
