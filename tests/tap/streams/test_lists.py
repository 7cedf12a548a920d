"""The streams beside the events, as the tap gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tap_amplitude import schemas
from tap_amplitude.streams.lists import ProjectStream
from tests.fakes import amplitude_answers as answers
from tests.fakes.amplitude_export_api import API_KEY, SECRET_KEY, AmplitudeExportApi
from tests.fakes.amplitude_project import (
    ANNOTATIONS,
    AVERAGE,
    COHORTS,
    EVENTS_LIST,
    TAXONOMY,
    TAXONOMY_EVENTS,
    USERS,
)
from tests.support.amplitude_project import LISTS, a_project
from tests.support.batches import batch
from tests.support.export_files import hour_files
from tests.support.export_settings import files_settings
from tests.support.processes import run_tap
from tests.support.rows import hour_rows
from tests.support.selecting import TAP, catalog_of, config_for, records_of, run_with
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = [stream.name for stream in TAP.streams.values() if isinstance(stream, ProjectStream)]


@pytest.fixture
def service() -> Iterator[AmplitudeExportApi]:
    """A project with an entry in each list, and figures of 200 days."""
    project = a_project()
    # A field that no schema knows.
    project.lists[COHORTS] = [{**cohort, "new": 1} for cohort in LISTS[COHORTS]]
    with AmplitudeExportApi(hour_rows(0), project=project) as running:
        yield running


def test_only_events_are_read_unless_more_is_selected(service: AmplitudeExportApi) -> None:
    """Without a catalog nothing else is asked for."""
    run = run_here(config_for(service, end_date="2024-01-01T02:00:00Z"))

    assert run.exit_code == 0
    assert {m["stream"] for m in run.messages if m["type"] == "RECORD"} == {"events"}
    assert service.project.requests == []


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_gives_what_amplitude_has(service: AmplitudeExportApi, name: str) -> None:
    """Its records are the entries as they are, they fit the schema, and no key is null."""
    run = run_with(config_for(service), name)
    (schema_message,) = [m for m in run.messages if m["type"] == "SCHEMA"]
    found = records_of(run, name)

    assert run.exit_code == 0, run.stderr
    assert {m["stream"] for m in run.messages if m["type"] == "RECORD"} == {name}
    validator = jsonschema.Draft202012Validator(
        schema_message["schema"], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for record in found:
        validator.validate(record)
        assert None not in [record[key] for key in schema_message["key_properties"]]
    keys = [tuple(record[key] for key in schema_message["key_properties"]) for record in found]
    assert len(set(keys)) == len(keys) > 0
    documented = {field for record in found for field in record} - {"new"}
    assert documented == set(schema_message["schema"]["properties"])
    assert run.lines("WARNING") == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("cohorts", COHORTS),
        ("annotations", ANNOTATIONS),
        ("event_types", EVENTS_LIST),
        ("taxonomy_events", TAXONOMY_EVENTS),
        ("taxonomy_categories", TAXONOMY + "category"),
        ("taxonomy_user_properties", TAXONOMY + "user-property"),
        ("taxonomy_group_properties", TAXONOMY + "group-property"),
    ],
)
def test_a_list_comes_whole_and_unchanged(
    service: AmplitudeExportApi, name: str, path: str
) -> None:
    """Every field, known or not; in a second run once more, because a list has no bookmark."""
    first = run_with(config_for(service), name)
    second = run_with(config_for(service), name, state=first.last_state)

    assert records_of(first, name) == service.project.lists[path]
    assert records_of(second, name) == service.project.lists[path]


def test_event_properties_come_for_all_events(service: AmplitudeExportApi) -> None:
    """The shared ones first, with an empty event; then each event's own, whatever its name."""
    name = "taxonomy_event_properties"
    found = records_of(run_with(config_for(service), name), name)

    assert [(row["event_type"], row["event_property"]) for row in found] == [
        ("", "plan"),
        ("Onboard Start", "step"),
        ("A & B?", "step"),
    ]


def test_no_list_is_asked_for_twice(service: AmplitudeExportApi) -> None:
    """The planned events are both a stream and the way to their properties: one request."""
    names = ("taxonomy_events", "taxonomy_event_properties")
    run = run_with(config_for(service), *names)
    asked = [
        (request.path, request.parameters.get("event_type")) for request in service.project.requests
    ]

    assert len(records_of(run, "taxonomy_events")) == 2
    assert len(records_of(run, "taxonomy_event_properties")) == 3
    assert len(set(asked)) == len(asked) == 4


def test_batch_files_are_for_events_only(tmp_path: Path, service: AmplitudeExportApi) -> None:
    """With `batch_config`, lists and figures still come as records, and days move the state."""
    config = config_for(service, **batch(tmp_path))
    run = run_with(config, "cohorts", "active_users")

    assert len(records_of(run, "cohorts")) == 1
    assert len(records_of(run, "active_users")) == 200
    bookmark = run.last_state["bookmarks"]["active_users"]
    assert bookmark["replication_key_value"] == "2024-07-18"


def test_a_failed_list_says_that_the_next_run_reads_it_again(service: AmplitudeExportApi) -> None:
    """And events that came before it stay in the state."""
    service.project.enterprise = False
    config = config_for(service, end_date="2024-01-01T02:00:00Z")
    run = run_with(config, "events", "taxonomy_events")
    (error,) = run.lines("ERROR")

    assert run.exit_code == 2
    assert "Enterprise plan" in error
    assert "`taxonomy_events` is incomplete in this run; the next one reads it as a whole" in error
    assert run.states[-1]["next_export_hour"] == "2024-01-01T02:00:00Z"


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("cohorts", "`api_key` and `secret_key`"),
        ("active_users", "`api_key` and `secret_key` and `start_date`"),
    ],
)
def test_with_an_archive_alone_it_says_what_the_stream_needs(
    tmp_path: Path, name: str, missing: str
) -> None:
    """Before any hour is exported, with exit code 2."""
    run = run_with(files_settings(tmp_path, hour_files(0)), "events", name)
    (error,) = run.lines("ERROR")

    assert run.exit_code == 2
    assert run.records == []
    assert f"The stream `{name}` is read from Amplitude's API" in error
    assert missing in error


def test_events_of_an_archive_and_lists_of_the_api_go_together(
    tmp_path: Path, service: AmplitudeExportApi
) -> None:
    """With keys beside `archive_path`, the lists are read from the API and the events are not."""
    files = files_settings(tmp_path, hour_files(0))
    run = run_with(config_for(service, **files), "events", "cohorts")

    assert len(records_of(run, "events")) == 3
    assert len(records_of(run, "cohorts")) == 1
    assert service.requests == []


def test_no_key_is_logged(tmp_path: Path, service: AmplitudeExportApi) -> None:
    """Not at the level debug, and not in an error that quotes Amplitude."""
    echo = answers.envelope(400, "invalid", "no", f"bad credentials {API_KEY}:{SECRET_KEY}")
    service.project.instead.append(echo)
    catalog = str(catalog_of(tmp_path, "cohorts"))
    debug = {"TAP_AMPLITUDE_LOGLEVEL": "debug"}
    run = run_tap(tmp_path, config_for(service), "--catalog", catalog, environment=debug)

    assert run.exit_code == 2
    assert "bad credentials ***:***" in run.stderr
    assert API_KEY not in run.stderr
    assert SECRET_KEY not in run.stderr


def test_a_test_asks_for_selected_streams_only(tmp_path: Path, service: AmplitudeExportApi) -> None:
    """`--test` without a catalog must not fail for a plan that nobody needs."""
    service.project.enterprise = False
    run = run_tap(tmp_path, config_for(service), "--test")

    assert run.exit_code == 0
    assert service.project.requests == []


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_described(name: str) -> None:
    """The schema is the documentation of the stream."""
    schema = json.loads(Path(schemas.__file__).with_name(f"{name}.json").read_text("utf-8"))

    assert schema["description"].endswith(".")
    assert schema["additionalProperties"] is True
    for field, content in schema["properties"].items():
        assert content["description"].endswith("."), field
        assert "null" in content["type"], field


def test_the_paths_of_all_streams_are_those_of_the_stand_in(service: AmplitudeExportApi) -> None:
    """All at once: each stream after the other, each path asked for."""
    run = run_with(config_for(service, start_date="2024-07-01"), *NAMES)

    assert run.exit_code == 0, run.stderr
    assert {request.status for request in service.project.requests} == {200}
    assert {request.path for request in service.project.requests} >= {USERS, AVERAGE, *LISTS} - {
        path for path in LISTS if "?" in path
    }
