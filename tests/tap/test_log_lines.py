"""The log is what the user needs: the SDK's small talk stays at level DEBUG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.export_files import hour_files
from tests.support.export_settings import files_settings
from tests.support.log_config import metrics_to_a_file
from tests.support.processes import run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Finished

SMALL_TALK = ("Skipping parse", "Beginning sync", "Skipping deselected", "METRIC")


def run(folder: Path, **environment: str) -> Finished:
    """Run the tap over one hour."""
    return run_tap(folder, files_settings(folder, hour_files(0)), environment=environment)


def test_a_run_says_what_it_reads_and_what_it_did(tmp_path: Path) -> None:
    """Three lines, the first with the versions."""
    said = [line.split(" | ")[-1] for line in run(tmp_path).lines("INFO")]

    assert [line.split()[0] for line in said] == ["tap-amplitude", "Exporting", "Exported"]


def test_settings_from_the_environment_are_no_news(tmp_path: Path) -> None:
    """Neither are they, nor that there are none."""
    place = files_settings(tmp_path, hour_files(0))["archive_path"]
    environment = {"TAP_AMPLITUDE_ARCHIVE_PATH": place}
    done = run_tap(tmp_path, {}, "--config", "ENV", environment=environment)

    assert (done.exit_code, len(done.lines("INFO"))) == (0, 3)


def test_level_debug_shows_everything(tmp_path: Path) -> None:
    """Whoever looks for a cause wants all that the SDK says."""
    log = run(tmp_path, TAP_AMPLITUDE_LOGLEVEL="DEBUG").stderr

    assert all(words in log for words in SMALL_TALK)


@pytest.mark.parametrize("variable", ["LOGLEVEL", "TAP_AMPLITUDE_LOGLEVEL"])
@pytest.mark.parametrize("level", ["", "7", "trace"])
def test_a_level_that_there_is_not_is_left_out(tmp_path: Path, variable: str, level: str) -> None:
    """The SDK fails at it, with a traceback; some set the variable for another program."""
    done = run(tmp_path, **{variable: level})

    assert (done.exit_code, len(done.lines("INFO"))) == (0, 3)
    said = f"The environment variable {variable} is ignored: {level!r} is not a valid log level"
    assert said in done.stderr


def test_metrics_that_somebody_has_set_up_are_theirs(tmp_path: Path) -> None:
    """They arrive where `SINGER_SDK_LOG_CONFIG` sends them, in the log as well."""
    log = run(tmp_path, **metrics_to_a_file(tmp_path, in_the_log_too=True)).stderr

    assert "record_count" in (tmp_path / "metrics.log").read_text()
    assert "METRIC" in log
    assert "Skipping parse" not in log
