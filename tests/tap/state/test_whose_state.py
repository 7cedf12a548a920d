"""A state knows whose hours it holds: other keys, other ranges, files and API on one state."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.support.batches import batch, kinds, the_error
from tests.support.buckets import s3_bucket
from tests.support.export_files import file_name, hour_files, packed, write_files, write_zip
from tests.support.export_settings import export_settings, files_settings
from tests.support.processes import Finished, run_tap
from tests.support.rows import HOUR, START, hour_rows, ids
from tests.support.tap_in_process import batch_ids, run_here

if TYPE_CHECKING:
    from collections.abc import Mapping


def bookmark(run: Finished) -> Mapping[str, Any]:
    """The bookmark of the last STATE."""
    return run.states[-1]


def state_of(**mine: Any) -> dict[str, Any]:
    """A state with a bookmark of events."""
    return {"bookmarks": {"events": mine}}


@pytest.mark.parametrize("handed_over", [False, True])
def test_the_state_of_another_project_stops_the_run(tmp_path: Path, *, handed_over: bool) -> None:
    """Keys of a second project with the first one's state: exit code 2 and the two ways out."""
    more = batch(tmp_path / "out") if handed_over else {}
    with AmplitudeExportApi(hour_rows(0, 1, 2), api_key="first") as api:
        first = run_here(export_settings(api, **more))
        api.api_key, api.secret_key = "second", "second-secret"
        asked = len(api.requests)
        second = run_here(export_settings(api, hours=6, **more), state=first.last_state)

        assert len(api.requests) == asked
    assert first.exit_code == 0
    assert second.exit_code == 2
    assert "RECORD" not in kinds(second)
    assert "BATCH" not in kinds(second)
    assert "--state-id-suffix" in the_error(second)
    assert "meltano state merge" in the_error(second)
    assert "first" not in str(first.last_state)
    assert not {"first", "second-secret"} & set(the_error(second).replace("`", " ").split())


def test_a_new_secret_key_is_the_same_project() -> None:
    """Whoever renews the secret goes on where the state is."""
    with AmplitudeExportApi(hour_rows(0, 1, 2, 3)) as api:
        first = run_here(export_settings(api))
        api.secret_key = "renewed"
        second = run_here(export_settings(api, hours=4), state=first.last_state)

    assert second.exit_code == 0
    assert second.ids == ids(hour_rows(3))
    assert len(bookmark(second)["project"].split()[0]) == 16
    assert bookmark(second)["project"] == bookmark(first)["project"]


def test_a_project_that_changed_its_key_goes_on_once_told_to() -> None:
    """`meltano state merge` with an empty project is the way that the message names."""
    with AmplitudeExportApi(hour_rows(0, 1, 2, 3)) as api:
        first = run_here(export_settings(api))
        api.api_key = "changed"
        state = state_of(**{**bookmark(first), "project": ""})
        second = run_here(export_settings(api, hours=4), state=state)

    assert second.exit_code == 0
    assert second.ids == ids(hour_rows(3))
    assert bookmark(second)["project"] not in {"", bookmark(first)["project"]}
    assert "exported files" not in second.stderr


def test_a_state_that_does_not_say_whose_it_is_is_taken_over_and_told() -> None:
    """Older states and those of `meltano state set` go on, with one line."""
    with AmplitudeExportApi(hour_rows(0, 1, 2)) as api:
        first = run_here(
            export_settings(api), state=state_of(next_export_hour="2024-01-01T01:00:00Z")
        )
        second = run_here(export_settings(api, hours=4), state=first.last_state)

    assert first.ids == ids(hour_rows(1, 2))
    assert first.stderr.count("does not say whose hours it holds") == 1
    assert "does not say whose" not in second.stderr
    assert bookmark(first)["apps"] == "123 2024-01-01T01:00:00Z/2024-01-01T03:00:00Z"


def test_the_state_of_another_range_stops_the_run() -> None:
    """Two runs in one folder can read each other's state: nothing exported is no success."""
    with AmplitudeExportApi(hour_rows(0, 1, 2, 10, 11)) as api:
        later = export_settings(
            api, start_date=(START + 10 * HOUR).isoformat(), end_date="2024-01-02"
        )
        other = run_here(later)
        wrong = run_here(export_settings(api), state=other.last_state)
        again = run_here(later, state=other.last_state)

    assert wrong.exit_code == 2
    assert wrong.records == []
    assert "is that of another range" in the_error(wrong)
    assert "meltano el --state-id" in the_error(wrong)
    assert "--state-id-suffix" in the_error(wrong)
    assert (again.exit_code, again.records) == (0, [])
    assert "there is nothing to do" in again.stderr


@pytest.mark.parametrize(
    ("of_files", "app", "read", "told"),
    [
        (["123", "123"], 123, [2, 3], "Amplitude's API is asked"),
        # The first file that comes tells the app; nothing of it goes out.
        (["123", "123"], 456, [], "hours of app 123, and the keys are those of app 456"),
        # Nobody can tell where the app of a key is to go on in an organisation's state.
        (["1", "2"], 123, [], "exported files of 2 apps (1, 2)"),
    ],
    ids=["its own app", "another app", "several apps"],
)
def test_the_api_goes_on_where_exported_files_of_its_app_end(
    tmp_path: Path, of_files: list[str], app: int, read: list[int], told: str
) -> None:
    """History from an archive, then the API, on one state: no hour twice, and it is told."""
    exported = {of(one, hour): packed(hour_rows(hour)) for hour, one in enumerate(of_files)}
    files = run_here(files_settings(tmp_path, exported))
    with AmplitudeExportApi([row | {"app": app} for row in hour_rows(0, 1, 2, 3)]) as api:
        done = run_here(export_settings(api, hours=4), state=files.last_state)

        assert bool(api.requests) is (len(set(of_files)) == 1)
    assert done.exit_code == (0 if read else 2)
    assert done.ids == ids(hour_rows(*read))
    assert told in done.stderr


def test_files_go_on_where_the_api_was_read(tmp_path: Path) -> None:
    """Of the API's own app only other hours are read, of another app all; and it is told."""
    with AmplitudeExportApi(hour_rows(1, 2)) as api:
        first = run_here(export_settings(api, start_date="2024-01-01T01:00:00Z"))
    more = {of("9", 1): packed(hour_rows(11))}
    place = write_files(tmp_path / "a", hour_files(*range(5)) | more)
    done = read(place, first)

    assert done.ids == ids(hour_rows(0, 11, 3, 4))
    assert "that were read from Amplitude's API" in done.stderr
    assert read(place, done).records == []


def of(app: str, hour: int, part: int = 1) -> str:
    """The name of a file of an app."""
    return file_name(hour, part).replace("123_", f"{app}_", 1)


@pytest.mark.parametrize("way", ["records", "batches"])
def test_a_second_archive_is_read_with_the_first_ones_state(tmp_path: Path, way: str) -> None:
    """An app that the state has never met is read from its own first hour; the first goes on."""
    first = write_zip(tmp_path / "1.zip", {of("1", n): packed(hour_rows(n)) for n in (2, 3)})
    second = write_zip(tmp_path / "2.zip", {of("2", n): packed(hour_rows(n)) for n in (1, 2, 3)})
    both = write_zip(
        tmp_path / "3.zip",
        {of(app, n): packed(hour_rows(n, each=int(app))) for app in "12" for n in (1, 2, 3, 4)},
    )
    before = in_way(way, first)
    after = in_way(way, second, before)
    last = in_way(way, both, after)
    again = in_way(way, both, last)

    assert (after.exit_code, events_of(after)) == (0, ids(hour_rows(1, 2, 3)))
    assert bookmark(after)["next_export_hour"] == bookmark(before)["next_export_hour"]
    assert "New to the state: app 2" in after.stderr
    # Of app 1 the hours before and after its own, of app 2 the one after.
    assert events_of(last) == ids(
        [*hour_rows(1, each=1), *hour_rows(4, each=1), *hour_rows(4, each=2)]
    )
    assert (again.exit_code, events_of(again)) == (0, [])
    assert "there is nothing to do" in again.stderr
    assert "Left out: 8 files of hours that are in the state" in again.stderr


def in_way(way: str, place: Path, before: Finished | None = None) -> Finished:
    """Run by records or by batch files, from the state of a run before it."""
    handed_over = batch(Path(uuid4().hex).resolve()) if way == "batches" else {}
    return read(place, before, **handed_over)


def read(place: Path, before: Finished | None = None, **more: Any) -> Finished:
    """Run over exported files, from the state of a run before it."""
    state = before.last_state if before else None
    return run_here({"archive_path": str(place), **more}, state=state)


def events_of(run: Finished) -> list[str]:
    """The uuids of the events, by records or in batch files."""
    return run.ids or batch_ids(run)


def test_april_after_may_is_read(tmp_path: Path) -> None:
    """Months that lie before, between and after those of the state, each archive on its own."""
    days = {month: datetime(2024, month, 3, tzinfo=timezone.utc) for month in (3, 4, 5, 6)}
    hours = {month: (day - START) // HOUR for month, day in days.items()}
    place = {
        month: write_zip(
            tmp_path / f"{month}.zip",
            hour_files(hour, hour + 9),
        )
        for month, hour in hours.items()
    }
    state = None
    for month in (5, 3, 4, 6):
        run = run_here({"archive_path": str(place[month])}, state=state)
        assert run.ids == ids(hour_rows(hours[month], hours[month] + 9))
        state = run.last_state
    assert "the hours between are not exported" in run.stderr
    for month in (3, 4, 5, 6):
        assert run_here({"archive_path": str(place[month])}, state=state).records == []


@pytest.mark.parametrize("way", ["records", "batches"])
def test_a_part_that_comes_late_is_read_or_named_with_the_command(tmp_path: Path, way: str) -> None:
    """Of the last hour it is read; of an hour before newer ones it is named in every run."""
    place = write_files(tmp_path / "a", hour_files(0, 1))
    settle(place)
    first = in_way(way, place)
    write_files(place, {file_name(1, 99): packed(hour_rows(11))})
    second = in_way(way, place, first)
    settle(place, seconds=50)
    write_files(place, {file_name(0, 99): packed(hour_rows(12)), **hour_files(2)})
    third = in_way(way, place, second)
    fourth = in_way(way, place, third)

    assert events_of(second) == ids(hour_rows(11))
    assert events_of(third) == ids(hour_rows(2))
    for run in (third, fourth):
        (told,) = [line for line in run.stderr.splitlines() if "came or changed" in line]
        assert "WARNING | Left out: 1 file " in told
        assert file_name(0, 99) in told
        assert "START_DATE=2024-01-01T00:00:00Z TAP_AMPLITUDE_END_DATE=2024-01-01T01:00" in told
        assert "--state-id-suffix" in told
        assert "--full-refresh" in told
    brought = read(place, fourth, lookback_hours=3)
    assert set(ids(hour_rows(12))) <= set(brought.ids)
    assert "came or changed" not in read(place, brought).stderr


def settle(folder: Path, seconds: int = 100) -> None:
    """Let the files of a folder be older."""
    for path in folder.iterdir():
        moment = path.stat().st_mtime - seconds
        os.utime(path, (moment, moment))


def test_a_part_that_comes_late_into_a_zip_is_counted(tmp_path: Path) -> None:
    """Nothing tells when it came, but there is one more than was read."""
    files = hour_files(0, 1)
    first = read(write_zip(tmp_path / "a.zip", files))
    files[file_name(0, 99)] = packed(hour_rows(12))
    second = read(write_zip(tmp_path / "a.zip", files), first)

    assert second.records == []
    assert (
        "Left out: 1 file of app 123 that came after the hours from 2024-01-01T00" in second.stderr
    )
    assert "--full-refresh" in second.stderr


def test_parts_of_an_hour_in_a_second_zip_are_told(tmp_path: Path) -> None:
    """A large export in several .zip files, one run for each: they may cut an hour in two."""
    files = {file_name(n): packed(hour_rows(n)) for n in (0, 1)}
    whole = {"archive_path": str(write_zip(tmp_path / "a.zip", files))}
    first = run_here(whole)
    rest = {file_name(1, 99): packed(hour_rows(12)), file_name(2): packed(hour_rows(2))}
    second = run_here(
        {"archive_path": str(write_zip(tmp_path / "b.zip", rest))}, state=first.last_state
    )
    again = run_here(whole, state=first.last_state)

    assert second.ids == ids(hour_rows(2))
    (told,) = second.lines("WARNING")
    assert "1 file of app 123 that may have come after the hours from 2024-01-01T00" in told
    assert "--full-refresh" in told
    assert again.lines("WARNING") == []


def test_a_copied_folder_is_no_folder_of_late_parts(tmp_path: Path) -> None:
    """All files have new times, and there are as many as were read."""
    place = write_files(tmp_path / "a", hour_files(0, 1))
    settle(place)
    first = read(place)
    settle(place, seconds=-100)
    second = read(place, first)

    assert second.records == []
    assert "WARNING" not in second.stderr
    assert "they are taken for copies" in second.stderr


@pytest.mark.parametrize("way", ["records", "batches"])
@pytest.mark.parametrize("name", ["2024-01-01_0.json.gz", "backup-{}_2024-01-01_0#1.json.gz"])
def test_the_rows_tell_the_app_where_a_name_does_not(tmp_path: Path, name: str, way: str) -> None:
    """A second project's files, renamed by a script: their hours are not those of the first."""
    rows = {app: [{**one, "app": app} for one in hour_rows(app)] for app in (1, 2)}
    rows[2][0]["app"] = "2.0"  # as a warehouse has it
    one, two = (
        write_files(tmp_path / f"{app}", {name.format(app): packed(rows[app])}) for app in rows
    )
    first = in_way(way, one)
    second = in_way(way, two, first)
    third = in_way(way, two, second)

    assert events_of(first) == ids(rows[1])
    assert events_of(second) == ids(rows[2])
    assert events_of(third) == []
    assert [one.split()[0] for one in bookmark(third)["apps"].split("; ")] == ["1", "2"]


def test_an_older_state_over_files_is_taken_over_and_told(tmp_path: Path) -> None:
    """Hours before the state's are taken as read, as they were; the line says for whom."""
    place = write_files(tmp_path / "a", hour_files(0, 1, 2))
    older = state_of(next_export_hour="2024-01-01T02:00:00Z", export_from="2024-01-01T01:00:00Z")
    first = run_here({"archive_path": str(place)}, state=older)
    write_files(place, {of("4", 0): packed(hour_rows(10))})
    second = read(place, first)

    assert first.ids == ids(hour_rows(0, 2))
    assert "are taken as read for app 123" in first.stderr
    assert second.ids == ids(hour_rows(10))
    assert "taken as read" not in second.stderr


def test_a_stop_in_the_middle_of_a_new_app_loses_nothing(tmp_path: Path) -> None:
    """Its hours so far are out, and the state of the first app stays."""
    first = write_zip(tmp_path / "1.zip", {of("1", 9): packed(hour_rows(9))})
    second = {of("2", n): packed(hour_rows(n)) for n in (1, 2, 3)}
    before = read(first)
    broken = write_zip(tmp_path / "2.zip", second | {of("2", 2): b"\x1f\x8b broken"})
    stopped = read(broken, before)
    mended = write_zip(tmp_path / "2.zip", second)
    done = read(mended, stopped)

    assert stopped.exit_code == 1
    assert stopped.ids == ids(hour_rows(1))
    assert "All hours before 2024-01-01T02:00:00Z are out" in stopped.stderr
    assert done.ids == ids(hour_rows(2, 3))
    assert read(first, done).records == []


def test_an_app_that_comes_later_to_a_bucket_is_found(tmp_path: Path) -> None:
    """In older days than the state's, in both layouts of Amplitude; what is not listed is told."""
    config = {"archive_path": "s3://amplitude-data"}
    bucket = s3_bucket()
    bucket.put({of("1", 24 * n): packed(hour_rows(24 * n)) for n in (10, 20)})
    first = run_tap(tmp_path, config, environment=bucket.environment)
    bucket.put(
        {of("2", 24 * 5): packed(hour_rows(24 * 5)), "3/" + of("3", 1): packed(hour_rows(1))}
    )
    bucket.put({of("1", 24 * 21): packed(hour_rows(24 * 21)), of("1", 24): packed(hour_rows(24))})
    bucket.put({of("1", 24 * 15): packed(hour_rows(7))})  # in days that are not listed
    second = run_tap(tmp_path, config, environment=bucket.environment, state=first.last_state)

    assert first.ids == ids(hour_rows(240, 480))
    assert second.exit_code == 0
    assert second.ids == ids(hour_rows(1, 24, 120, 504))
    assert (
        "Not listed, because their hours are in the state: objects of app 1 from" in second.stderr
    )
