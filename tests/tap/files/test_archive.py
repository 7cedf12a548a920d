"""Exported files in a .zip or a folder: what is read, in which order, and what is refused."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tap_amplitude.common.lenient_json import strict_object
from tap_amplitude.common.object_cutter import Found, as_it_is
from tap_amplitude.errors import DamagedArchive, HostileArchive
from tap_amplitude.files.archive import Archive, open_archive
from tap_amplitude.files.member import RATIO_FREE_BYTES
from tests.support.export_files import (
    file_name,
    flipped,
    hour_files,
    packed,
    write_files,
    write_zip,
    zipped,
)
from tests.support.export_settings import files_settings
from tests.support.rows import START, hour_row, hour_rows, ids
from tests.support.tap_in_process import run_here

BOUND = 1024**3
#: Prints the peak of its own memory after each archive: a child begins with that of its parent.
PEAKS = """
import sys
from tap_amplitude.tap import TapAmplitude
sys.stdout = open("/dev/null", "w")
peaks = []
for folder in sys.argv[1:]:
    TapAmplitude(config={"archive_path": folder}).sync_all()
    lines = open("/proc/self/status").read().splitlines()
    peaks += [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
print(peaks, file=sys.stderr)
"""


def opened(path: Path, max_member_bytes: int = BOUND) -> Archive:
    """Open and verify."""
    archive = open_archive(path, max_member_bytes=max_member_bytes)
    archive.verify()
    return archive


def test_files_are_read_by_hour_and_then_by_number(tmp_path: Path) -> None:
    """`_9` comes before `_10` and `#70` before `#627`, although text sorts them otherwise."""
    names = [file_name(10, 5), file_name(9, 627), file_name(9, 70), file_name(10, 40)]
    archive = opened(write_files(tmp_path / "a", {name: packed(hour_rows(0)) for name in names}))

    assert [m.name for m in archive.members] == [
        file_name(9, 70),
        file_name(9, 627),
        file_name(10, 5),
        file_name(10, 40),
    ]


def test_a_file_of_a_whole_old_day_counts_as_its_last_hour(tmp_path: Path) -> None:
    """So that the state moves past the day when all of it is out."""
    folder = write_files(tmp_path / "a", {"123_2014-11-01#7.json.gz": packed(hour_rows(0))})

    assert opened(folder).members[0].hour == datetime(2014, 11, 1, 23, tzinfo=timezone.utc)


def test_an_archive_without_event_files_is_refused(tmp_path: Path) -> None:
    """Success without a single event would hide a wrong path."""
    run = run_here(files_settings(tmp_path, {"photo.jpg": b"x"}))

    assert run.exit_code == 1
    assert "holds no export files" in run.lines("ERROR")[0]


@pytest.mark.parametrize("damage", ["cut", "flipped", "garbage", "empty"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_damage_is_told_with_the_file_and_nothing_of_its_hour_comes_out(
    tmp_path: Path, damage: str, kind: str
) -> None:
    """The checksums of an hour are compared before its first event is handed on."""
    whole = packed(hour_rows(1, each=500))
    damaged = {
        "cut": whole[: len(whole) // 2],
        "flipped": flipped(whole, 900),
        "garbage": b"no gzip at all",
        "empty": b"",
    }[damage]
    # Large enough to leave the tap's own buffer, if it were read before the check.
    large = {file_name(1, 5): packed(hour_rows(1, each=2000))}
    files = {**hour_files(0), **large, file_name(1, 70): damaged}
    write = write_zip if kind == "zip" else write_files
    run = run_here({"archive_path": str(write(tmp_path / "a", files))})

    assert run.exit_code == 1
    assert run.ids == ids(hour_rows(0))
    assert run.states[-1]["next_export_hour"] == "2024-01-01T01:00:00Z"
    error = run.lines("ERROR")[0]
    assert file_name(1, 70) in error
    assert "Traceback" not in run.stderr


def test_a_wrong_checksum_of_the_zip_alone_is_damage(tmp_path: Path) -> None:
    """The zip's own checksum is compared, too: a plain member has no other."""
    plain = gzip.decompress(packed(hour_rows(0)))
    path = write_zip(tmp_path / "a.zip", {file_name(0).removesuffix(".gz"): plain})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"user-1", b"user-9"))

    with pytest.raises(DamagedArchive, match="CRC"):
        opened(path)


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.99])
def test_a_cut_zip_is_damage(tmp_path: Path, cut: float) -> None:
    """Without its directory a .zip is no .zip."""
    content = zipped(hour_files(*range(9)))
    path = tmp_path / "a.zip"
    path.write_bytes(content[: int(len(content) * cut)])

    with pytest.raises(DamagedArchive):
        opened(path)


def test_an_encrypted_zip_is_told_as_unreadable(tmp_path: Path) -> None:
    """No password is ever asked for."""
    path = write_zip(tmp_path / "a.zip", hour_files(0))
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the member's header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(content)

    with pytest.raises(DamagedArchive, match="encrypted"):
        opened(path)


@pytest.mark.parametrize(
    "name",
    [
        f"../../{file_name(0)}",
        f"/absolute-by-mistake/{file_name(0)}",
        f"..\\..\\{file_name(0)}",
        f"C:\\{file_name(0)}",
    ],
)
def test_a_hostile_name_is_never_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Events are read from the .zip; nothing is written under a member's name."""
    inner = tmp_path / "one" / "two"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    path = write_zip(inner / "a.zip", {name: packed(hour_rows(0))})
    run = run_here({"archive_path": str(path)})

    assert run.ids == ids(hour_rows(0))
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {"a.zip"}
    assert not Path("/absolute-by-mistake").exists()


def test_a_file_that_unpacks_to_more_than_it_may_is_refused(tmp_path: Path) -> None:
    """`max_member_gb` bounds what one file may become."""
    folder = write_files(tmp_path / "a", {file_name(0): packed(hour_rows(0, each=1000))})

    opened(folder, max_member_bytes=400_000)
    with pytest.raises(HostileArchive, match="max_member_gb"):
        opened(folder, max_member_bytes=100_000)


@pytest.mark.parametrize("stored", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_ratio_no_export_has_is_refused(tmp_path: Path, stored: int) -> None:
    """A bomb is stopped long before it reaches `max_member_gb`; deflated, it has two layers."""
    bomb = {file_name(0): gzip.compress(b"\n" * (RATIO_FREE_BYTES + 1))}
    path = write_zip(tmp_path / "a.zip", bomb, stored)

    with pytest.raises(HostileArchive):
        opened(path)


def test_an_endless_line_is_kept_by_its_beginning(tmp_path: Path) -> None:
    """It takes no memory, says how long it was and where it stands; the rows around it come."""
    text = b'{"a":1}\n\n' + b"x" * 3_000_000 + b'\n{"a":22}\n{"a":3}'
    folder = write_files(tmp_path / "a", {file_name(0): gzip.compress(text)})
    (member,) = opened(folder).members

    first, endless, *others = member.take(strict_object, as_it_is)
    assert [first, *others] == [{"a": 1}, {"a": 22}, {"a": 3}]
    assert isinstance(endless, Found)
    assert endless.place == "line 3"
    assert endless.text == b"x" * 1024 * 1024
    assert endless.reason == (
        "not JSON; only the first 1,048,576 of its 3,000,000 bytes are kept here"
    )


def test_several_gzip_streams_in_one_file_are_one_file(tmp_path: Path) -> None:
    """Gzip files may be joined by writing one behind the other."""
    two = b"".join(hour_files(0, 1).values())
    folder = write_files(tmp_path / "a", {file_name(0): two})
    (member,) = opened(folder).members

    assert len(list(member.take(strict_object, as_it_is))) == 6


def test_a_link_that_leads_nowhere_is_no_missing_file(tmp_path: Path) -> None:
    """A dangling link stands for files that cannot be had."""
    folder = write_files(tmp_path / "a", hour_files(0))
    (folder / file_name(1)).symlink_to(tmp_path / "gone")

    with pytest.raises(DamagedArchive, match=file_name(1)):
        opened(folder)


def test_dates_choose_the_hours_of_an_archive(tmp_path: Path) -> None:
    """`start_date` is inclusive and `end_date` exclusive, by the hours of the names."""
    dates = {"start_date": "2024-01-01T02:00:00Z", "end_date": "2024-01-01T04:00:00Z"}
    run = run_here(files_settings(tmp_path, hour_files(*range(6)), **dates))

    assert run.ids == ids(hour_rows(2, 3))
    assert run.states[-1]["next_export_hour"] == "2024-01-01T04:00:00Z"


def test_hours_before_the_state_are_skipped(tmp_path: Path) -> None:
    """An archive that overlaps the last one adds only what is new."""
    config = files_settings(tmp_path, hour_files(*range(6)))
    state = {"bookmarks": {"events": {"next_export_hour": "2024-01-01T04:00:00Z"}}}
    run = run_here(config, state=state)
    again = run_here(config, state=run.last_state)

    assert run.ids == ids(hour_rows(4, 5))
    assert again.records == []
    assert again.exit_code == 0
    assert "Nothing to export" in again.stderr


def test_hours_between_two_files_are_empty_and_a_gap_after_the_state_is_said(
    tmp_path: Path,
) -> None:
    """Bucket exports leave no mark for an hour without events."""
    state = {"bookmarks": {"events": {"next_export_hour": "2024-01-01T01:00:00Z"}}}
    run = run_here(files_settings(tmp_path, hour_files(5, 9)), state=state)

    assert run.ids == ids(hour_rows(5, 9))
    assert [s["next_export_hour"][11:13] for s in run.states] == ["01", "06", "10"]
    assert "hours between" in run.lines("WARNING")[0]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    """Twenty times the events need the same memory, within a few megabytes."""
    for name, count in (("small", 200), ("large", 4_000)):
        rows = [hour_row(START, n, event_properties={"long": "x" * 4_000}) for n in range(count)]
        write_files(tmp_path / name, {file_name(0): packed(rows)})
    done = subprocess.run(
        [sys.executable, "-c", PEAKS, "small", "large"], capture_output=True, check=True
    )

    small, large = json.loads(done.stderr.splitlines()[-1])
    assert large - small < 8 * 1024


def test_a_file_tells_its_app_and_when_it_came(tmp_path: Path) -> None:
    """Both say whose hours a state holds; an entry of a .zip has no time of coming."""
    files = {**hour_files(0), "my_app_2024-01-01_1#1.json.gz": packed(hour_rows(1))}
    folder = opened(write_files(tmp_path / "a", files))
    packed_up = opened(write_zip(tmp_path / "a.zip", files))

    assert [member.app for member in folder.members] == ["123", "123"]
    assert all(m.modified and m.modified.tzinfo == timezone.utc for m in folder.members)
    assert [(m.app, m.modified) for m in packed_up.members] == [("123", None), ("123", None)]
