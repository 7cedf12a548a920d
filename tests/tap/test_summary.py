"""The tap's summary: how a run ended, for whoever sees only that Meltano ended with 1."""

from __future__ import annotations

import json
import signal
import stat
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.export_files import hour_files
from tests.support.export_settings import export_settings, files_settings
from tests.support.processes import run_tap, start
from tests.support.rows import hour_rows

if TYPE_CHECKING:
    from pathlib import Path

PLACE = "how/it-ended.json"


def summary_in(folder: Path) -> dict[str, Any]:
    """Return the summary, after seeing that nothing else was left beside it."""
    (path,) = (folder / "how").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def files_in(folder: Path) -> dict[str, Any]:
    """Return the settings of a run over two hours of files."""
    return files_settings(folder, hour_files(0, 1), summary_path=PLACE)


def _has_reached(amplitude: AmplitudeExportApi, requests: int) -> bool:
    return len(amplitude.requests) >= requests


def test_a_good_run_is_done(tmp_path: Path) -> None:
    """In place of what an earlier run had said."""
    config = files_in(tmp_path)
    (tmp_path / "how").mkdir()
    (tmp_path / PLACE).write_text("of before")
    run_tap(tmp_path, config).checked()
    found = summary_in(tmp_path)
    assert (found["exit_code"], found["exit_class"], found["error"]) == (0, "done", None)
    assert found["started_at"] <= found["ended_at"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"archive_path": "nowhere"}, "nowhere"),
        ({"max_window_hours": 0}, "`max_window_hours`"),
        ({"fliter": 1}, "fliter"),
    ],
)
def test_a_run_that_failed_says_how_and_what_to_do(
    tmp_path: Path, wrong: dict[str, Any], words: str
) -> None:
    """As its log does; also where the settings themselves are wrong."""
    run = run_tap(tmp_path, files_in(tmp_path) | wrong)
    found = summary_in(tmp_path)
    assert (run.exit_code, found["exit_code"], found["exit_class"]) == (2, 2, "fix")
    assert words in found["error"]
    assert found["error"] in run.stderr
    assert found["next"]


def test_a_run_that_was_stopped_or_killed_is_to_be_tried_again(tmp_path: Path) -> None:
    """A killed one says nothing: the file still says that it goes on."""
    with AmplitudeExportApi(hour_rows(0)) as amplitude:
        config = export_settings(amplitude, summary_path=PLACE)
        for signum, code, kind in ((signal.SIGTERM, 1, "retry"), (signal.SIGKILL, None, "running")):
            amplitude.fail(Fault.SLOW, seconds=600, after_bytes=10)
            goal = len(amplitude.requests) + 1
            with start("tap-amplitude", config, tmp_path) as tap:
                tap.wait_for(partial(_has_reached, amplitude, goal))
                tap.stop(signum)
            found = summary_in(tmp_path)
            assert (found["exit_code"], found["exit_class"]) == (code, kind)


def test_what_only_asks_is_no_run(tmp_path: Path) -> None:
    """Meltano asks for the catalog before a run, with the same settings."""
    config = files_in(tmp_path)
    for option in ("--discover", "--test", "--about"):
        run_tap(tmp_path, config, option).checked()
    assert not (tmp_path / "how").exists()


def test_a_place_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    """Before it reads anything."""
    (tmp_path / "how").write_text("a file is in the way")
    run = run_tap(tmp_path, files_in(tmp_path))
    assert run.exit_code == 2
    assert "The summary cannot be written: how/it-ended.json (" in run.stderr
    assert run.messages == []


def test_a_run_ends_with_a_state_also_where_there_is_nothing_to_read(tmp_path: Path) -> None:
    """So its reader knows that nothing is missing, and an engine does not try for ever."""
    config = files_in(tmp_path) | {"start_date": "2030-01-01", "end_date": "2030-01-02"}
    run = run_tap(tmp_path, config).checked()
    assert [message["type"] for message in run.messages] == ["SCHEMA", "STATE"]
    assert run.last_state in ({}, {"bookmarks": {"events": {}}})
