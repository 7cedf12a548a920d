"""The SDK's standard tests for taps, over all streams; and what a user can select or map."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_amplitude.tap import TapAmplitude
from tests.fakes.amplitude_export_api import API_KEY, SECRET_KEY, AmplitudeExportApi
from tests.support.amplitude_project import a_project
from tests.support.export_files import file_name, hour_files, packed, write_files
from tests.support.export_settings import files_settings
from tests.support.processes import TAP_COMMAND, run_tap
from tests.support.rows import HOUR, MERGE, START, hour_row, hour_rows, typical_row
from tests.support.selecting import TAP, catalog_with
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Iterator

# The SDK's test class takes its configuration when it is made, before any fixture.
FILES = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FILES)
write_files(
    FILES,
    {
        file_name(n): packed([typical_row(START + n * HOUR, number) for number in range(50)])
        for n in range(4)
    }
    | {"-9_2024-01-01_2.json.gz": packed([MERGE])},
)


# Events come from the files, the other streams from the stand-in.
API = AmplitudeExportApi([], project=a_project())
API.__enter__()


@pytest.fixture(scope="module", autouse=True)
def api_() -> Iterator[None]:
    """Stop it after these tests: the interpreter's own end would wait for its connections."""
    yield
    API.__exit__(None, None, None)


TestTapAmplitude = get_tap_test_class(
    TapAmplitude,
    config={
        "archive_path": str(FILES),
        "api_key": API_KEY,
        "secret_key": SECRET_KEY,
        "api_url": API.url,
        "start_date": "2024-01-01",
        "end_date": "2024-03-01",
    },
    suite_config=SuiteConfig(max_records_limit=500),
    catalog=catalog_with(TAP.streams),
)


def archive_of(folder: Path, content: list[dict[str, Any]]) -> dict[str, Any]:
    """Settings that read rows of hour 0 from exported files."""
    return files_settings(folder, {file_name(0): packed(content)})


def test_the_typical_row_has_all_fields_of_the_schema() -> None:
    """So that the standard tests look at each of them."""
    schema = TapAmplitude(config={"archive_path": str(FILES)}).streams["events"].schema

    assert set(typical_row(START, 0)) == set(schema["properties"])


def test_the_stream_is_incremental_by_upload_time_with_key_uuid() -> None:
    """The catalog tells it the Singer way."""
    streams = TAP.catalog_dict["streams"]
    stream = next(entry for entry in streams if entry["tap_stream_id"] == "events")

    assert list(stream["key_properties"]) == ["uuid"]
    assert stream["replication_key"] == "server_upload_time"
    assert stream["replication_method"] == "INCREMENTAL"
    assert len(stream["schema"]["properties"]) == 55
    assert stream["schema"]["additionalProperties"] is True
    assert all(p["description"] for p in stream["schema"]["properties"].values())


def test_a_passed_catalog_changes_nothing(tmp_path: Path) -> None:
    """Meltano always passes one; fields that it does not know are not dropped."""
    config = archive_of(tmp_path, [hour_row(START, field_of_tomorrow={"a": 1})])
    run = run_here(config, catalog=catalog_with(["events"]))

    assert run.records[0]["field_of_tomorrow"] == {"a": 1}


def test_a_deselected_field_stays_out(tmp_path: Path) -> None:
    """Selection works, although records otherwise pass by the SDK's slow way."""
    config = archive_of(tmp_path, [hour_row(START, field_of_tomorrow=1)])
    run = run_here(config, catalog=catalog_with(["events"], without=["user_id"]))

    assert "user_id" not in run.records[0]
    assert run.records[0]["field_of_tomorrow"] == 1


def test_a_deselected_stream_is_not_read(tmp_path: Path) -> None:
    """No record and no state."""
    run = run_here(archive_of(tmp_path, hour_rows(0)), catalog=catalog_with([]))

    assert run.exit_code == 0
    assert run.messages == []


def test_full_table_in_the_catalog_starts_over(tmp_path: Path) -> None:
    """Who forces the full table does not want the bookmark."""
    state = {"bookmarks": {"events": {"next_export_hour": "2025-01-01T00:00:00Z"}}}
    catalog = catalog_with(["events"], full_table=True)
    run = run_here(archive_of(tmp_path, hour_rows(0)), catalog=catalog, state=state)

    assert len(run.records) == 3
    assert run.states[-1]["next_export_hour"] == "2024-01-01T01:00:00Z"


def test_stream_maps_and_flattening_are_applied(tmp_path: Path) -> None:
    """The SDK's own features work; `__filter__` leaves records out and the state still moves."""
    config = archive_of(tmp_path, hour_rows(0)) | {
        "stream_maps": {
            "events": {
                "__filter__": "bool(user_id != 'user-1')",
                "event_type": "event_type.upper()",
            }
        },
        "flattening_enabled": True,
        "flattening_max_depth": 1,
    }
    run = run_here(config)

    assert [r["user_id"] for r in run.records] == ["user-0", "user-2"]
    assert {r["event_type"] for r in run.records} == {"VIEWED"}
    assert run.states[-1]["next_export_hour"] == "2024-01-01T01:00:00Z"


def test_batch_is_offered_and_activate_version_is_not(tmp_path: Path) -> None:
    """What a tap declares it must do well: events are only ever added, none replaces another."""
    done = subprocess.run(
        [TAP_COMMAND, "--about", "--format=json"], capture_output=True, check=True, cwd=tmp_path
    )
    about = json.loads(done.stdout)

    assert {"batch", "activate-version"} & set(about["capabilities"]) == {"batch"}
    assert "target must remove" in about["settings"]["properties"]["batch_config"]["description"]


def test_every_setting_has_a_title_and_a_description() -> None:
    """They are the documentation: `--about`, the Hub and docs/settings.md show them."""
    settings = TapAmplitude.config_jsonschema["properties"]
    for name, setting in settings.items():
        assert setting["title"], name
        assert setting["description"].endswith("."), name
    secrets = {name for name, setting in settings.items() if setting.get("secret")}
    assert secrets == {"api_key", "secret_key"}


def test_test_schema_writes_the_schemas_only(tmp_path: Path) -> None:
    """`--test=schema` needs no data, and shows each stream."""
    run = run_tap(tmp_path, archive_of(tmp_path, hour_rows(0)), "--test=schema")

    assert {m["type"] for m in run.messages} == {"SCHEMA"}
    assert {m["stream"] for m in run.messages} > {"events", "cohorts", "active_users"}


def test_the_end_is_told_in_one_line(tmp_path: Path) -> None:
    """Hours, events, empty hours and where the state stands."""
    run = run_here(files_settings(tmp_path, hour_files(0, 2)))

    told = [line for line in run.stderr.splitlines() if "Exported" in line]
    assert len(told) == 1
    assert "6 events of 3 hours; 1 hour without events" in told[0]
    end = (START + 3 * HOUR).isoformat().replace("+00:00", "Z")
    assert f"the next hour is {end}" in told[0]
