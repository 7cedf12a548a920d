"""BATCH: Amplitude's files are handed over as they are, hour by hour, and nothing is lost on it."""

from __future__ import annotations

import gzip
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.records import Row
from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.batches import (
    FILES,
    api_settings,
    batch,
    contents,
    handing_over,
    kinds,
    lines_in,
    manifests,
    the_error,
)
from tests.support.export_files import (
    file_name,
    flipped,
    hour_files,
    packed,
    write_files,
    write_zip,
    zipped,
)
from tests.support.reading import read_row
from tests.support.rows import HOUR, START, hour_row, hour_rows, ids
from tests.support.selecting import catalog_with
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "write",
    [write_files, write_zip, partial(write_zip, method=zipfile.ZIP_DEFLATED)],
    ids=["folder", "zip", "deflated"],
)
def test_each_hour_is_one_message_with_its_files_and_then_its_state(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    """The files are the archive's, byte for byte and in order, and RECORD's states follow them."""
    archive = {"archive_path": str(write(tmp_path / "a", FILES))}
    run = run_here(archive | batch(tmp_path / "out"))

    assert run.exit_code == 0, run.stderr
    assert kinds(run) == ["SCHEMA", "BATCH", "STATE", "BATCH", "STATE"]
    first, second, third = FILES.values()
    assert contents(run) == [[first, second], [third]]
    message = run.messages[1]
    assert message["stream"] == "events"
    assert message["encoding"] == {"format": "jsonl", "compression": "gzip"}
    records = run_here(archive)
    assert run.states == records.states
    assert len(run.states) == 2
    read = [
        read_row(line)
        for hour in contents(run)
        for content in hour
        for line in gzip.decompress(content).splitlines()
    ]
    assert [one.record for one in read if isinstance(one, Row)] == records.records
    assert len(read) == len(records.records)
    assert "Exported 3 files of 3 hours; 1 hour without events" in run.stderr


def test_downloads_are_handed_over_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """Every event of the API comes once over two runs, and the spool is empty."""
    made = hour_rows(0, 2, 3, each=30)
    spool = tmp_path / "spool"
    with AmplitudeExportApi(made, rows_per_file=10) as api:
        config = api_settings(api, tmp_path / "out", spool_path=str(spool))
        first = run_here(config)
        found = [line for hour in contents(first) for one in hour for line in lines_in(one)]
        later = {"end_date": (START + 4 * HOUR).isoformat(), **batch(tmp_path / "out2")}
        second = run_here(config | later, state=first.last_state)
        found += [line for hour in contents(second) for one in hour for line in lines_in(one)]

    assert [first.exit_code, second.exit_code] == [0, 0]
    assert kinds(first) == ["SCHEMA", "BATCH", "STATE", "STATE", "BATCH", "STATE"]
    assert sorted(ids(found)) == sorted(ids(made))
    assert list(spool.iterdir()) == []


def test_files_are_plain_names_in_a_private_folder(tmp_path: Path) -> None:
    """A name in a .zip is no path; two names that look alike do not become one file."""
    evil = {
        f"../../x/{file_name(0, 1)}": packed(hour_rows(0)),
        file_name(0, 2).replace("#", "_") + f"/{file_name(0, 3)}": packed([hour_row(START, 7)]),
        f"{'y' * 200}/é {file_name(0, 4)}": packed([hour_row(START, 8)]),
    }
    archive = {"archive_path": str(write_zip(tmp_path / "a.zip", evil))}
    run = run_here(archive | batch(tmp_path / "out"))

    ((one, two, three),) = manifests(run)
    assert one.parent == two.parent == three.parent
    assert one.parent.parent == tmp_path / "out"
    assert len({one, two, three}) == 3
    assert all(ord(letter) < 128 and letter not in "#% " for letter in three.name)
    assert one.parent.stat().st_mode & 0o077 == 0
    assert sorted(contents(run)[0]) == sorted(evil.values())


def test_a_users_own_files_outlive_the_handed_over_ones(tmp_path: Path) -> None:
    """A target deletes what it was given; a link to a file is handed over as the file itself."""
    first, second = hour_files(0, 1).values()
    archive = write_files(tmp_path / "a", {file_name(0): first})
    hidden = write_files(tmp_path / "b", {"content": second}) / "content"
    (archive / file_name(1)).symlink_to(Path("..") / "b" / "content")
    run = run_here({"archive_path": str(archive)} | batch(tmp_path / "out"))

    assert contents(run) == [[first], [second]]
    for (path,) in manifests(run):
        assert not path.is_symlink()
        path.unlink()
    assert (archive / file_name(0)).read_bytes() == first
    assert hidden.read_bytes() == second


@pytest.mark.parametrize(
    ("change", "without", "reason"),
    [
        ({"stream_maps": {"events": {"user_id": "None"}}}, [], "stream maps"),
        ({"stream_maps": {"events": {"__alias__": "others"}}}, [], "stream maps"),
        ({"flattening_enabled": True, "flattening_max_depth": 1}, [], "flattening"),
        (batch("file://out", compression="none"), [], "`encoding`"),
        ({}, ["city"], "the selection of fields"),
    ],
)
def test_what_must_change_goes_out_as_records(
    tmp_path: Path, change: dict[str, Any], without: list[str], reason: str
) -> None:
    """The log says once why, and no file is written."""
    catalog = catalog_with(["events"], without=without)
    run = run_here(handing_over(tmp_path, **change), catalog=catalog)

    assert run.exit_code == 0, run.stderr
    assert "RECORD" in kinds(run)
    assert "BATCH" not in kinds(run)
    (told,) = [line for line in run.stderr.splitlines() if "`batch_config`" in line]
    assert reason in told
    assert not (tmp_path / "out").exists()


def test_a_file_that_was_unpacked_is_handed_over_packed_again(tmp_path: Path) -> None:
    """A reader of BATCH files finds gzip files of JSON lines; the others are the same bytes."""
    plain = gzip.decompress(packed(hour_rows(1)))
    files = {**hour_files(0, 2), "123_2024-01-01_1#1.json": plain}
    run = run_here(handing_over(tmp_path, files))

    assert kinds(run) == ["SCHEMA", *(["BATCH", "STATE"] * 3)]
    (before,), (again,), (after,) = contents(run)
    assert [before, after] == [files[file_name(0)], files[file_name(2)]]
    assert gzip.decompress(again) == plain
    assert "Exported 3 files of 3 hours" in run.stderr


LAST = file_name(2, 1)
STORED = zipped(FILES, zipfile.ZIP_STORED)


@pytest.mark.parametrize(
    "archive",
    [
        flipped(STORED, STORED.index(FILES[LAST]) + 40),
        zipped(FILES | {LAST: b"<html></html>"}),
        zipped(FILES | {LAST: b""}),
        FILES | {LAST: FILES[LAST][:-12]},
    ],
    ids=["a bit of a .zip", "no gzip", "empty", "cut off"],
)
def test_a_damaged_file_is_never_handed_over(
    tmp_path: Path, archive: bytes | dict[str, bytes]
) -> None:
    """The hour before it is out; the error names the file."""
    files = {"a.zip": archive} if isinstance(archive, bytes) else archive
    run = run_here(handing_over(tmp_path, files))

    assert run.exit_code == 1
    assert kinds(run) == ["SCHEMA", "BATCH", "STATE"]
    assert LAST in the_error(run)
    assert str(tmp_path / "a") in the_error(run)
    assert "cannot be read" in the_error(run)
    assert "Copy this file again" in the_error(run)
    assert "before 2024-01-01T01:00:00Z are out; the state keeps" in the_error(run)


def test_a_damaged_download_is_asked_for_again(tmp_path: Path) -> None:
    """Its checksum is compared before a message names one of its files."""
    with AmplitudeExportApi(hour_rows(0, each=40), rows_per_file=10) as api:
        api.fail(Fault.CORRUPT_MEMBER)
        run = run_here(api_settings(api, tmp_path / "out", max_retry_seconds=20))

    assert run.exit_code == 0, run.stderr
    found = [line for hour in contents(run) for one in hour for line in lines_in(one)]
    assert sorted(ids(found)) == sorted(ids(hour_rows(0, each=40)))


def test_the_format_records_turns_batch_files_off(tmp_path: Path) -> None:
    """For a target that reads none: Meltano cannot take a setting out for one run."""
    run = run_here(handing_over(tmp_path, **batch(tmp_path / "out", format="records")))

    assert run.exit_code == 0, run.stderr
    assert set(kinds(run)) == {"SCHEMA", "RECORD", "STATE"}
    assert "batch_config" not in run.stderr
    assert not (tmp_path / "out").exists()
