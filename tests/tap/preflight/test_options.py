"""`--test` and `--estimate` of the command: what they print, and their exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.support.export_files import hour_files
from tests.support.export_settings import export_settings, files_settings
from tests.support.processes import run_tap
from tests.support.rows import HOUR, START, hour_rows
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path


def test_a_test_makes_one_small_request_and_shows_no_event(tmp_path: Path) -> None:
    """The findings are the output; nothing is written."""
    with AmplitudeExportApi(hour_rows(*range(24))) as api:
        run = run_tap(tmp_path, export_settings(api, hours=24), "--test").checked()
        asked = [(request.start_hour, request.end_hour) for request in api.requests]
    assert asked == [(START, START)]
    assert run.stdout.startswith("OK      settings   Given: `api_key`, `secret_key`")
    assert ": 3 events" in run.stdout
    assert "\x1b" not in run.stdout
    assert '"type"' not in run.stdout
    assert "user-" not in run.stdout + run.stderr
    assert "test-amplitude" not in run.stdout + run.stderr


def test_what_must_be_fixed_ends_with_2_and_what_is_not_known_with_1(tmp_path: Path) -> None:
    """As JSON, the same code stands in it."""
    with AmplitudeExportApi([]) as api:
        config = export_settings(api, hours=24)
        wrong = run_tap(tmp_path, {**config, "secret_key": "hush"}, "--test=json")
    told = json.loads(wrong.stdout)
    assert (wrong.exit_code, told["exit_code"]) == (2, 2)
    assert [one["area"] for one in told["findings"] if one["level"] == "FIX"] == ["keys"]
    assert "hush" not in wrong.stdout + wrong.stderr
    gone = {"api_url": "http://127.0.0.1:1", "max_retry_seconds": 0}
    away = run_tap(tmp_path, {**config, **gone}, "--test")
    assert away.exit_code == 1
    assert "1 not known" in away.stdout


@pytest.mark.parametrize("form", ["tap", "meltano"])
def test_a_state_is_read_as_the_tap_and_as_meltano_write_it(tmp_path: Path, form: str) -> None:
    """Before or behind `--test`; the next run begins where it says."""
    config = files_settings(tmp_path, hour_files(0, 1, 2))
    state = run_here(config).last_state
    own = state["bookmarks"]["events"]
    first, end = (f"{START + n * HOUR:%Y-%m-%dT%H}:00:00Z" for n in (0, 2))
    own |= {"next_export_hour": end, "apps": f"123 {first}/{end}, 2 files"}
    written = state if form == "tap" else {"singer_state": state}
    (tmp_path / "known.json").write_text(json.dumps(written))
    run = run_tap(tmp_path, config, "--test", "--state", str(tmp_path / "known.json")).checked()
    assert "Its next hour is 2024-01-01T02:00:00Z." in run.stdout
    assert "1 file of app 123 would be read" in run.stdout
    assert '"next_export_hour"' not in run.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"bookmarks": {"events": {"replication_key_value": "x"}}}', "written by another tap"),
        ("[1]", "is not a JSON object"),
        ('{"singer_state": 5}', "no valid `bookmarks`"),
    ],
    ids=["of another tap", "a list", "no state"],
)
def test_a_state_that_is_none_ends_with_2(tmp_path: Path, content: str, words: str) -> None:
    """As in a run."""
    (tmp_path / "known.json").write_text(content)
    run = run_tap(tmp_path, {}, "--test", "--state", str(tmp_path / "known.json"))
    assert run.exit_code == 2
    assert words in run.stderr
    assert "Traceback" not in run.stderr


def test_an_estimate_prints_json_alone(tmp_path: Path) -> None:
    """What it says meanwhile is the log's; no event, no key."""
    with AmplitudeExportApi(hour_rows(*range(24))) as api:
        run = run_tap(tmp_path, export_settings(api, hours=24), "--estimate").checked()
        few = run_tap(tmp_path, export_settings(api, hours=24), "--estimate=2").checked()
    assert len(json.loads(run.stdout)["samples"]) == 24
    assert "Hour 24 of 24" in run.stderr
    assert "user-" not in run.stdout + run.stderr
    assert api.secret_key not in run.stdout + run.stderr
    assert len(json.loads(few.stdout)["samples"]) == 2


@pytest.mark.parametrize(
    ("config", "option", "told"),
    [
        # The SDK would write an event of each stream.
        ({}, "--test=everything", ["json or schema"]),
        # One hour tells nothing of the others; hundreds are an export.
        *(({}, f"--estimate={number}", ["--estimate"]) for number in (1, 501, "many")),
        ({"api_key": "x"}, "--estimate", ["`secret_key` is missing", "`start_date` is missing"]),
    ],
)
def test_what_cannot_be_asked_ends_with_2(
    tmp_path: Path, config: dict[str, str], option: str, told: list[str]
) -> None:
    """Before anything is printed."""
    run = run_tap(tmp_path, config, option)
    assert (run.exit_code, run.stdout) == (2, "")
    assert all(words in run.stderr for words in told)
