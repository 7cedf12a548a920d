"""The real `meltano run`: what a user types, with the state that Meltano keeps."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.export_files import file_name, packed, write_files
from tests.support.meltano_project import MeltanoProject
from tests.support.pipeline import hours_between, hours_of
from tests.support.rows import hour_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.pipeline import Day

_RUN = ("run", "tap-amplitude", "target-posthog")
_STATE_ID = "prod:tap-amplitude-to-target-posthog"


@pytest.fixture
def project(tmp_path: Path) -> MeltanoProject:
    """A project that has never run."""
    return MeltanoProject(tmp_path)


@pytest.mark.long
def test_the_state_is_kept_over_failed_and_good_runs(
    project: MeltanoProject, settings: dict[str, str], day: Day
) -> None:
    """A run that fails half way, one that mends it, and one for new hours: all arrives, once."""
    middle = day.export.hours[5]
    settings["TARGET_POSTHOG_MAX_BATCH_EVENTS"] = "100"
    settings["TAP_AMPLITUDE_END_DATE"] = f"{middle:%Y-%m-%dT%H:%M:%SZ}"
    day.posthog.fail(Fault.SLOW, 4, seconds=0)
    day.posthog.fail(Fault.STATUS, status=401, body="API key is not valid")
    failed = project.meltano(*_RUN, settings=settings)
    assert failed.exit_code == 1
    _assert_clear(failed.stderr, settings)
    assert "ERROR   target-posthog PostHog refused the project token" in failed.stderr
    assert "Loader failed" in failed.stderr
    assert day.posthog.held()

    mended = project.meltano(*_RUN, settings=settings).checked()
    _assert_clear(mended.stderr, settings)
    assert "ERROR" not in mended.stderr
    asked = len(day.amplitude.requests)
    assert f'"next_export_hour":"{middle:%Y-%m-%dT%H:%M:%SZ}"' in _state(project)

    settings["TAP_AMPLITUDE_END_DATE"] = f"{day.export.end:%Y-%m-%d}"
    later = project.meltano(*_RUN, settings=settings).checked()
    for level in ("ERROR", "[error", "WARNING", "[warning"):
        assert level not in later.stderr
    assert sorted(hours_of(day.amplitude.requests[asked:])) == hours_between(middle, day.export.end)
    assert f'"next_export_hour":"{day.export.end:%Y-%m-%dT%H:%M:%SZ}"' in _state(project)
    # The other streams are off until they are selected.
    assert day.amplitude.project.requests == []
    day.assert_whole()


@pytest.mark.parametrize(("form", "who"), [("records", "Extractor"), ("jsonl", "Loader")])
def test_a_run_that_rejected_too_much_keeps_its_state(
    project: MeltanoProject, posthog: PosthogCapture, form: str, who: str
) -> None:
    """Meltano tells of the failure, and goes on behind these hours, which are out."""
    text = packed(hour_rows(0))
    wrong = gzip.compress(b"no event\n")
    export = project.folder / "export"
    write_files(export, {file_name(0): text + wrong, file_name(1): packed([])})
    settings = {
        "TAP_AMPLITUDE_ARCHIVE_PATH": str(export),
        "TAP_AMPLITUDE_ON_BAD_LINE": "reject",
        "TAP_AMPLITUDE_BATCH_CONFIG": json.dumps({"encoding": {"format": form}}),
        "TARGET_POSTHOG_API_KEY": posthog.api_key,
        "TARGET_POSTHOG_HOST": posthog.url,
    }
    failed = project.meltano(*_RUN, settings=settings)
    assert failed.exit_code == 1
    assert "1 of 4 " in failed.stderr
    assert "more than `max_reject_ratio` (0.1) allows" in failed.stderr
    assert f"{who} failed" in failed.stderr
    _assert_clear(failed.stderr, settings)
    assert len({one["uuid"] for one in posthog.events if one["event"] == "viewed"}) == 3
    assert '"next_export_hour":"2024-01-01T02:00:00Z"' in _state(project)

    again = project.meltano(*_RUN, settings=settings).checked()
    assert "max_reject_ratio" not in again.stderr


def test_the_own_tests_of_meltano_move_nothing(
    project: MeltanoProject, settings: dict[str, str], day: Day
) -> None:
    """`meltano config test` finds both plugins sound, and its test record goes nowhere."""
    tap = project.meltano("config", "test", "tap-amplitude", settings=settings).checked()
    assert "Plugin configuration is valid" in tap.stdout
    assert day.amplitude.requests

    target = project.meltano("config", "test", "target-posthog", settings=settings)
    # What it says after a loader processed the records and ended well. Meltano 4.4 then stops the
    # ended process once more, and takes the failure of that for one of the loader.
    assert "Test data was written to your target system" in target.stderr
    assert target.exit_code == 0 or "ProcessLookupError" in target.stderr
    assert day.posthog.requests == []


def _state(project: MeltanoProject) -> str:
    """Give what Meltano's own database remembers of the job."""
    shown = project.meltano("state", "get", _STATE_ID).checked().stdout
    return json.dumps(json.loads(shown), separators=(",", ":"))


def _assert_clear(log: str, settings: dict[str, str]) -> None:
    """Fail on a traceback or a key in a log."""
    assert "Traceback" not in log, log
    for name, value in settings.items():
        assert not name.endswith("_KEY") or value not in log, name
