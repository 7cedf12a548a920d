"""The storage of BATCH files: room, names, and what is swept where nothing can be locked."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from uuid import uuid4

import fsspec  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.helpers._batch import StorageTarget

from tap_amplitude.errors import DamagedArchive
from tap_amplitude.files.archive import open_archive
from tap_amplitude.output import batch_storage
from tap_amplitude.output.batch_files import BatchFileWriter, _plain
from tests.support.export_files import file_name, flipped, packed, write_files, write_zip
from tests.support.rows import hour_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tap_amplitude.files.member import Member


@pytest.fixture(name="hours")
def hours_(tmp_path: Path) -> list[list[Member]]:
    """Three hours of two files each, in a folder."""
    files = {file_name(n, part): packed(hour_rows(n)) for n in range(3) for part in (1, 2)}
    archive = open_archive(write_files(tmp_path / "a", files), max_member_bytes=10**9)
    return [members for _, members in archive.hours()]


@pytest.fixture(name="bucket")
def bucket_() -> Iterator[StorageTarget]:
    """A storage that is no disk."""
    root = f"memory://{uuid4()}/hand"
    yield StorageTarget(root, prefix="amplitude-")
    fsspec.filesystem("memory").store.clear()


def size(members: list[Member]) -> int:
    """The stored size of files."""
    return sum(member.packed_bytes for member in members)


def eats(urls: list[str]) -> Callable[[float], None]:
    """A sleep during which the target takes one file."""

    def sleep(_: float) -> None:
        files, path = fsspec.core.url_to_fs(urls.pop(0))
        files.rm_file(path)

    return sleep


def test_an_hour_waits_until_all_of_it_has_room(
    hours: list[list[Member]], bucket: StorageTarget
) -> None:
    """No file of it is written before; files that the target took make room."""
    given: list[str] = []
    room = size(hours[0]) + size(hours[1]) - 1
    files = BatchFileWriter(bucket, max_bytes=room, sleep=eats(given))
    given += files.write(hours[0])
    assert len(given) == 2

    second = files.write(hours[1])

    # One of the first hour had to go, and was enough.
    assert len(given) == 1
    assert len(second) == 2


def test_an_hour_that_is_larger_than_all_room_goes_alone(
    hours: list[list[Member]], bucket: StorageTarget
) -> None:
    """It waits for an empty storage and no longer: nobody would ever make the room."""
    given: list[str] = []
    files = BatchFileWriter(bucket, max_bytes=1, sleep=eats(given))
    for members in hours:
        left = len(given)
        given += files.write(members)
        assert len(given) == 2, left


def test_a_file_that_is_damaged_on_the_way_leaves_nothing(
    tmp_path: Path, bucket: StorageTarget
) -> None:
    """What was changed since it was verified is not left as half a file."""
    content = packed(hour_rows(0, each=3000))
    path = write_zip(tmp_path / "a.zip", {file_name(0): content})
    archive = open_archive(path, max_member_bytes=10**9)
    archive.verify()
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, whole.index(content) + len(content) - 20))
    files = BatchFileWriter(bucket, max_bytes=10**9)

    with pytest.raises(DamagedArchive):
        files.write(list(archive.members))

    assert not any(name.endswith(".gz") for name in fsspec.filesystem("memory").store)


def test_old_folders_in_a_bucket_are_removed_and_nothing_else(bucket: StorageTarget) -> None:
    """Only age tells there; what is not ours stays, whatever its age."""
    now = datetime.now(timezone.utc)
    names = {
        f"amplitude-tap-amplitude-{now - timedelta(days=8):%Y%m%dT%H%M%S}-0badcafe": False,
        f"tap-amplitude-{now - timedelta(days=8):%Y%m%dT%H%M%S}-0badcafe": False,
        f"tap-amplitude-{now - timedelta(days=6):%Y%m%dT%H%M%S}-0badcafe": True,
        "tap-amplitude-20200101T000000-0badcafe-keep": True,
        "my-tap-amplitude-20200101T000000-0badcafe": True,
        "tap-amplitude-20999999T999999-0badcafe": True,
        "tap-amplitude-": True,
        "20200101": True,
    }
    memory = fsspec.filesystem("memory")
    for name in names:
        memory.pipe(f"{bucket.root}/{name}/x.json.gz", b"x")

    BatchFileWriter(bucket, max_bytes=1).finish()

    assert {name: memory.exists(f"{bucket.root}/{name}/x.json.gz") for name in names} == names


def test_a_run_that_lasts_for_weeks_keeps_its_folder(
    hours: list[list[Member]], bucket: StorageTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It marks its folder while it hands over; a week after the last mark it is swept."""
    clock = [datetime(2024, 1, 1, tzinfo=timezone.utc)]
    monkeypatch.setattr(batch_storage, "_now", lambda: clock[0])
    lasting = BatchFileWriter(bucket, max_bytes=10**9)
    lasting.write(hours[0])
    clock[0] += timedelta(days=20)
    (waiting, _) = lasting.write(hours[1])
    files, path = fsspec.core.url_to_fs(waiting)

    clock[0] += timedelta(days=6)
    BatchFileWriter(bucket, max_bytes=1)
    assert files.exists(path)
    clock[0] += timedelta(days=2)
    BatchFileWriter(bucket, max_bytes=1)
    assert not files.exists(path)


@given(st.text(min_size=1, max_size=300))
def test_a_plain_name_is_safe_in_a_url_and_on_a_disk(name: str) -> None:
    """Few letters, no folder, not long; the end, which tells hour and part, stays."""
    plain = _plain(name)

    assert len(plain) <= 100
    assert all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in plain)
    assert _plain(f"{name}/123_2024-01-01_5#70.json.gz") == "123_2024-01-01_5_70.json.gz"
