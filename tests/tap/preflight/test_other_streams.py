"""Selected streams beside the events are checked, each by a request of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.common.checked_settings import read_given
from tap_amplitude.common.findings import Finding, Level, exit_code_of
from tap_amplitude.preflight.check import check
from tap_amplitude.preflight.selection import SELECT_VARIABLE, selected_streams
from tap_amplitude.validation import problems
from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.support.amplitude_project import a_project
from tests.support.export_files import hour_files, packed
from tests.support.export_settings import files_settings
from tests.support.process_state import process_state_kept
from tests.support.processes import run_tap
from tests.support.rows import hour_rows
from tests.support.selecting import catalog_of, catalog_with, config_for
from tests.tap.preflight.test_check import NOW, schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = {
    "cohorts": "1 entry",
    "annotations": "1 entry",
    "event_types": "1 entry",
    "taxonomy_events": "2 entries",
    "taxonomy_categories": "1 entry",
    "taxonomy_event_properties": "1 entry",
    "taxonomy_user_properties": "1 entry",
    "taxonomy_group_properties": "1 entry",
    "active_users": "its figures of 2024-01-01 can be read",
    "average_session_length": "its figures of 2024-01-01 can be read",
}


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """Amplitude with a project that has lists and figures."""
    with AmplitudeExportApi(hour_rows(*range(24)), now=NOW) as running:
        running.project = a_project()
        yield running


def found(config: dict[str, Any], *selected: str) -> list[Finding]:
    """Return what a check says of the streams."""
    given = read_given(config, schema(), problems)
    with process_state_kept():
        findings = list(check(given, None, NOW, "test/1", has_state=False, selected=selected))
    return [one for one in findings if one.area == "streams"]


def test_each_selected_stream_is_asked_for_once(api: AmplitudeExportApi) -> None:
    """And none that is not selected; what they hold is counted and not shown."""
    assert found(config_for(api), "events") == []
    assert api.project.requests == []
    findings = found(config_for(api), "events", *ALL)
    assert {one.text: one.level for one in findings} == {
        f"`{name}`: {words}.": Level.OK for name, words in ALL.items()
    }
    # Two figures are one stream.
    assert len(api.project.requests) == len(ALL) + 1


def test_a_list_that_the_plan_lacks_must_be_deselected(api: AmplitudeExportApi) -> None:
    """The others are asked all the same."""
    api.project.enterprise = False
    findings = found(config_for(api), "events", "taxonomy_events", "cohorts")
    assert [one.level for one in findings] == [Level.OK, Level.FIX]
    assert "needs an Enterprise plan" in findings[1].remedy
    assert exit_code_of(findings) == 2


def test_what_a_stream_needs_beside_exported_files_is_named(tmp_path: Path) -> None:
    """Keys, and a first day; nothing is asked."""
    archive = files_settings(tmp_path, hour_files(0))
    findings = found(archive, "events", "cohorts", "active_users")
    assert [one.level for one in findings] == [Level.FIX, Level.FIX]
    assert "needs `api_key` and `secret_key`." in findings[0].text
    assert "`secret_key` and `start_date`." in findings[1].text


def test_lists_of_merged_users_are_looked_for(tmp_path: Path, api: AmplitudeExportApi) -> None:
    """In an archive; through the API there are none."""
    (through_api,) = found(config_for(api), "events", "merged_ids")
    assert (through_api.level, "bucket export only" in through_api.text) == (Level.NOTE, True)
    archive = files_settings(tmp_path, hour_files(0))
    (none,) = found(archive, "events", "merged_ids")
    assert (none.level, "holds no list" in none.text) == (Level.NOTE, True)
    files_settings(tmp_path, {"-123_2024-01-01_0.json.gz": packed([{"amplitude_id": 1}])})
    (one,) = found(archive, "events", "merged_ids")
    assert one.level is Level.OK
    assert one.text == "`merged_ids`: 1 list of merged users would be read."


def test_a_run_without_events_is_said(api: AmplitudeExportApi) -> None:
    """No hour is asked for."""
    findings = found(config_for(api), "cohorts")
    assert [one.level for one in findings] == [Level.NOTE, Level.OK]
    assert "`events` is not selected" in findings[0].text
    assert api.requests == []


NAMES = {"events": True, "cohorts": False, "taxonomy_events": False}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("", {"events"}),
        ("nonsense", {"events"}),
        ("[]", {"events"}),
        ('["events.*"]', {"events"}),
        ('["*.*"]', {"events", "cohorts", "taxonomy_events"}),
        ('["events.*", "tax*.event_type"]', {"events", "taxonomy_events"}),
        ('["*.*", "!cohorts.*", "!events.user_id"]', {"events", "taxonomy_events"}),
        ('["cohorts.*"]', {"cohorts"}),
    ],
)
def test_meltanos_choice_is_read(patterns: str, expected: set[str]) -> None:
    """As `meltano run` would make a catalog of it."""
    assert selected_streams(NAMES, None, {SELECT_VARIABLE: patterns}) == expected


def test_a_catalog_wins() -> None:
    """It is what a run reads."""
    catalog = catalog_with({"cohorts"})
    assert selected_streams(NAMES, catalog, {SELECT_VARIABLE: '["events.*"]'}) == {"cohorts"}


def test_the_command_takes_a_catalog(tmp_path: Path, api: AmplitudeExportApi) -> None:
    """Beside `--test`."""
    catalog = str(catalog_of(tmp_path, "events", "annotations"))
    run = run_tap(tmp_path, config_for(api), "--test=json", "--catalog", catalog).checked()
    told = [one for one in json.loads(run.stdout)["findings"] if one["area"] == "streams"]
    assert [one["text"] for one in told] == ["`annotations`: 1 entry."]
