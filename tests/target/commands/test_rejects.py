"""`target-posthog-rejects` as a command: what it prints, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from target_posthog.rejects.codes import CODES
from tests.fakes.posthog_capture import PosthogCapture
from tests.support.rows import row
from tests.support.singer import record, schema

if TYPE_CHECKING:
    from tests.support.singer import Json
    from tests.support.target import Target

LONG = "n" * 201


def test_what_a_run_rejected_is_listed(target: Target) -> None:
    """By code, with an example's place and what to do, and without the record."""
    bad = row(1, event_type=LONG, user_id="hushhush")
    target.run([schema(), record(bad), record(row(2, event_type=None))], source_format="amplitude")
    (file,) = (target.folder / "rejects").iterdir()
    finished = target.command("rejects")
    assert finished.exit_code == 3
    text = finished.stdout
    assert text.startswith("2 rejects in 1 file.\n")
    assert f"line 1 of {file}, stream events, event" in " ".join(text.split())
    assert CODES["missing_event_type"].remedy in " ".join(text.split())
    assert "hushhush" not in text
    assert "hushhush" in target.command("rejects", "--show").stdout

    told = json.loads(target.command("rejects", "--json").stdout)
    assert [(one["code"], one["rejected"]) for one in told["codes"]] == [
        ("event_name_too_long", 1), ("missing_event_type", 1),
    ]  # fmt: skip
    assert told["codes"][0]["example"]["line"] == 1
    assert told["runs"] == [{"run": file.stem, "rejected": 2, "codes": dict.fromkeys(
        ("event_name_too_long", "missing_event_type"), 1)}]  # fmt: skip


def test_without_rejects_the_exit_code_is_0(target: Target) -> None:
    """No folder, an empty one, and files that were replayed."""
    for _ in range(2):
        finished = target.command("rejects").checked()
        assert finished.stdout == "There are no rejects.\n"
        (target.folder / "rejects").mkdir(exist_ok=True)
        (target.folder / "rejects/target-posthog-1.jsonl.replayed").write_text(
            '{"code": "bad_time"}\n'
        )
    assert json.loads(target.command("rejects", "--json").checked().stdout)["rejected"] == 0


def test_previews_and_other_projects_are_apart(target: Target) -> None:
    """They share a folder; who names a file has it listed all the same."""
    bad = [schema(), record(row(1, event_type=LONG))]
    target.config["rejects_path"] = "rejects"
    target.run(bad, preview_path="preview")
    with PosthogCapture(api_key="phc_scratch") as scratch:
        target.run(bad, api_key=scratch.api_key, host=scratch.url)
    finished = target.command("rejects").checked()
    assert finished.stdout.startswith("There are no rejects.")
    assert "2 rejects in 2 files of a preview or of another PostHog project" in finished.stdout
    told = json.loads(target.command("rejects", "--json").stdout)
    assert (told["rejected"], told["of_others"]["rejected"]) == (0, 2)
    files = [str(path) for path in (target.folder / "rejects").iterdir()]
    assert target.command("rejects", *files).exit_code == 3


def test_a_preview_lists_its_own(target: Target) -> None:
    """They lie in its folder, and need no project."""
    preview: Json = {"preview_path": "preview", "api_key": None}
    target.run([schema(), record(row(1, event_type=LONG))], **preview)
    assert target.command("rejects", **preview).exit_code == 3
    assert target.command("rejects").exit_code == 0


def test_a_path_that_is_not_there_is_a_matter_of_configuration(target: Target) -> None:
    """A typing mistake must not look like a run without rejects."""
    finished = target.command("rejects", "no-such-folder")
    assert finished.exit_code == 2
    assert "cannot be used: No such file or directory" in finished.stderr
