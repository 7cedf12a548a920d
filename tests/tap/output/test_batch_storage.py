"""Where handed-over files lie: disks and buckets, full, wrong, left behind, in use."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from tap_amplitude.output import batch_storage
from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.batches import (
    FILES,
    api_settings,
    batch,
    contents,
    handing_over,
    kinds,
    manifests,
    the_error,
)
from tests.support.buckets import Bucket, s3_bucket
from tests.support.export_files import file_name, hour_files, packed, write_zip
from tests.support.export_settings import files_settings
from tests.support.processes import Running, command_line, run_with_little_room, start
from tests.support.rows import HOUR, START, hour_rows, noisy_rows
from tests.support.selecting import run_with
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of Amazon S3, which this process finds."""
    return s3_bucket().found(monkeypatch)


def test_a_bucket_is_copied_through_and_may_be_the_storage(tmp_path: Path, s3: Bucket) -> None:
    """The files come from one bucket folder and lie in another one, or on the disk, unchanged."""
    s3.put({f"exports/{name}": content for name, content in FILES.items()})
    s3.put({"exports/-9_2024-01-01_1.json.gz": packed([{"scope": 1, "amplitude_id": 2}])})
    config = {"archive_path": f"{s3.url}/exports"}
    on_disk = run_here(config | batch(tmp_path / "out"))
    in_bucket = run_here(config | batch(f"{s3.url}/hand"))
    others = run_with(config | batch(tmp_path / "out2"), "merged_ids")

    first, second, third = FILES.values()
    assert contents(on_disk) == [[first, second], [third]]
    urls = [m["manifest"] for m in in_bucket.messages if m["type"] == "BATCH"]
    keys = [[url.removeprefix(f"{s3.url}/") for url in hour] for hour in urls]
    assert [[s3.get(key) for key in hour] for hour in keys] == [[first, second], [third]]
    assert in_bucket.states == on_disk.states
    assert kinds(others) == ["SCHEMA", "RECORD", "STATE"]


def test_a_bucket_that_cannot_be_the_storage_is_a_setting_to_fix(
    tmp_path: Path, s3: Bucket
) -> None:
    """A bucket that is not there, told in one line without a secret."""
    run = run_here(handing_over(tmp_path, **batch("s3://not-there/x")))

    assert run.exit_code == 2
    assert "The storage of `batch_config` cannot be used" in the_error(run)
    assert s3.environment["AWS_SECRET_ACCESS_KEY"] not in run.stderr


def test_any_folder_can_be_the_root(tmp_path: Path) -> None:
    """Blanks and letters of other alphabets stay; what would cut a URL is escaped."""
    root = tmp_path / "a b#c?d%20é"
    run = run_here(handing_over(tmp_path, **batch(root)))

    urls = [url for m in run.messages if m["type"] == "BATCH" for url in m["manifest"]]
    paths = [Path(unquote(urlsplit(url).path)) for url in urls]
    assert [path.read_bytes() for path in paths] == list(FILES.values())
    assert all(path.parent.parent == root for path in paths)


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        ({"root": "file://a-file/x"}, "a-file"),
        ({"root": "tape://x"}, "tape"),
        ({"root": "file://out", "params": {"nonsense": 1}}, "cannot be used"),
        ({"prefix": "x"}, "`batch_config` has no `storage.root`"),
        ({"root": 5}, "`batch_config`"),
    ],
)
def test_a_storage_that_cannot_be_used_is_a_setting_to_fix(
    tmp_path: Path, storage: dict[str, Any], told: str
) -> None:
    """Exit code 2 and one line before anything is exported."""
    (tmp_path / "a-file").write_text("in the way")
    run = run_here(files_settings(tmp_path, FILES, batch_config={"storage": storage}))

    if storage.get("params"):  # fsspec's local driver takes any option
        assert run.exit_code == 0
        return
    assert run.exit_code == 2
    assert told in the_error(run)
    assert kinds(run) in ([], ["SCHEMA"])


def test_a_full_disk_behind_the_storage_is_one_clear_line(tmp_path: Path) -> None:
    """A file that does not fit is not named, and the setting that moves the storage is."""
    files = {file_name(0): packed(noisy_rows(START, 1000))}
    # Of a folder a file is linked, which takes no room.
    archive = {"archive_path": str(write_zip(tmp_path / "a.zip", files))}
    config = archive | batch(tmp_path / "out")
    run = run_with_little_room(tmp_path, config)

    assert run.exit_code == 1, run.stderr
    assert "`batch_config.storage.root`" in the_error(run)
    assert "BATCH" not in kinds(run)
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == []


def _left_by_a_kill(folder: Path, config: Mapping[str, Any]) -> Path:
    """Kill a tap after its first hour, and give the folder of its files."""
    with start("tap-amplitude", config, folder, stdout=subprocess.PIPE) as tap:
        tap.read_to(b'"STATE"')
        tap.process.kill()
    (left,) = (folder / "out").iterdir()
    return left


@pytest.fixture(name="killed")
def killed_(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folder that a killed tap left, and the configuration to run again."""
    with AmplitudeExportApi(hour_rows(0, 1, 2)) as api:
        api.fail(Fault.SLOW, seconds=60, hour=START + HOUR)
        config = api_settings(api, tmp_path / "out")
        left = _left_by_a_kill(tmp_path, config)
        api.recover()  # the killed tap may not have asked for the second hour
        assert list(left.glob("*.gz"))
        yield left, config


def test_what_a_killed_run_left_is_removed_by_the_next(
    tmp_path: Path, killed: tuple[Path, dict[str, Any]]
) -> None:
    """Without its state the next run hands everything over, and nothing else is there."""
    left, config = killed
    os.utime(left, (0, 0))
    run = run_here(config)

    assert run.exit_code == 0, run.stderr
    assert not left.exists()
    assert len(manifests(run)) == 3
    named = {path for paths in manifests(run) for path in paths}
    assert {path for path in (tmp_path / "out").rglob("*") if path.is_file()} == named


def test_files_that_a_target_still_reads_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, killed: tuple[Path, dict[str, Any]]
) -> None:
    """A shared lock on the folder keeps it, however old it is; without it, it goes."""
    monkeypatch.setattr(batch_storage, "_YOUNG_SECONDS", 0.5)
    left, config = killed
    os.utime(left, (0, 0))
    lock = os.open(left, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    run_here(config)
    assert left.exists()

    os.close(lock)
    # Touched a moment ago: its target may not have begun to read.
    os.utime(left)
    began = time.monotonic()
    run_here(config)
    assert not left.exists()
    assert time.monotonic() - began > 0.4


def test_a_live_taps_files_are_left_alone(tmp_path: Path) -> None:
    """A run beside another one in the same root removes nothing of it."""
    with AmplitudeExportApi(hour_rows(0, 1, 2)) as api:
        api.fail(Fault.SLOW, seconds=60, hour=START + HOUR)
        settings = api_settings(api, tmp_path / "out")
        with start("tap-amplitude", settings, tmp_path, stdout=subprocess.PIPE) as tap:
            tap.read_to(b'"STATE"')
            (live,) = (tmp_path / "out").iterdir()
            os.utime(live, (0, 0))
            run = run_here(handing_over(tmp_path))
            assert run.exit_code == 0
            assert live.exists()


def test_an_empty_folder_does_not_stay(tmp_path: Path) -> None:
    """A run with nothing to hand over leaves nothing behind."""
    config = handing_over(tmp_path)
    first = run_here(config)
    for paths in manifests(first):
        for path in paths:
            path.unlink()
    manifests(first)[0][0].parent.rmdir()
    second = run_here(config, state=first.last_state)

    assert second.exit_code == 0
    assert "Nothing to export" in second.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Running]:
    """A tap to which a gigabyte is a byte: its spool is full with the first of three files."""
    big = {"max_member_gb": 1024**3, "max_spool_gb": 100}
    config = handing_over(tmp_path, hour_files(0, 1, 2), **big)
    program = (
        "import sys; from tap_amplitude import settings; settings._GIB = 1; "
        "from tap_amplitude.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program]
    command += command_line("tap-amplitude", tmp_path, config)[1:]
    with Running(command, tmp_path, stdout=subprocess.PIPE) as running:
        yield running


def test_the_tap_waits_until_the_target_has_taken_files(tmp_path: Path, crowded: Running) -> None:
    """With a full storage no further hour is named; each file that goes makes room."""
    for _ in range(3):
        line = crowded.read_to(b'"BATCH"')
        time.sleep(0.5)
        (folder,) = (tmp_path / "out").iterdir()
        (file,) = folder.glob("*.gz")
        assert json.loads(line)["manifest"] == [f"file://{file}"]
        file.unlink()
        # As a target tidies up: the tap keeps its folder as long as it runs.
        with suppress(OSError):
            folder.rmdir()
    assert crowded.ended().exit_code == 0
    assert not folder.exists()


def test_a_target_that_dies_while_the_tap_waits_is_one_clear_line(crowded: Running) -> None:
    """The tap does not wait for ever for somebody who is gone."""
    crowded.read_to(b'"STATE"')
    crowded.output.close()
    run = crowded.ended()

    assert run.exit_code == 1
    assert "The target ended" in the_error(run)
