"""What archives look like on their way: every file is read for what it is, or named."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.common.lenient_json import strict_object
from tap_amplitude.common.object_cutter import as_it_is
from tap_amplitude.errors import DamagedArchive, ForeignArchive, HostileArchive, TapError
from tap_amplitude.files import zip_stores
from tap_amplitude.files.archive import open_archive
from tap_amplitude.files.left_out import Why
from tap_amplitude.files.zip_stores import OpenZips
from tests.support.export_files import file_name, packed, write_files, write_zip, zipped
from tests.support.peers import answering
from tests.support.rows import HOUR, START, hour_rows, ids
from tests.support.tap_in_process import batch_ids, both_ways, run_here

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_amplitude.files.archive import Archive

BOUND = 1024**3


def _of_method(content: bytes, method: int) -> bytes:
    """A .zip that says of its entry that it is packed by another method."""
    for mark, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        start = content.index(mark) + at
        content = content[:start] + method.to_bytes(2, "little") + content[start + 2 :]
    return content


def _tarred(content: bytes) -> bytes:
    """A .tar of one file."""
    packed_up, entry = io.BytesIO(), tarfile.TarInfo("events.json")
    entry.size = len(content)
    with tarfile.open(fileobj=packed_up, mode="w") as tar:
        tar.addfile(entry, io.BytesIO(content))
    return packed_up.getvalue()


def plain(hour: int) -> bytes:
    """An unpacked file of an hour."""
    return gzip.decompress(packed(hour_rows(hour)))


def files_left_out(archive: Archive, *reasons: Why) -> int:
    """How many files the user is told of that are left out for some reasons."""
    told = [sentence for _, sentence in archive.left_out.sentences(reasons)]
    return sum(int(sentence.split()[2]) for sentence in told)


def _in_folder(files: dict[str, bytes]) -> Callable[[Path], Path]:
    return lambda place: write_files(place / "a", files)


def _one_file(name: str, content: bytes) -> Callable[[Path], Path]:
    return lambda place: write_files(place / "a", {name: content}) / name


def _linked(place: Path) -> Path:
    """A folder whose files lie behind a link, with a link that leads in a circle."""
    real = write_files(place / "elsewhere", {file_name(0): packed(hour_rows(0))})
    folder = write_files(place / "a", {file_name(1): packed(hour_rows(1))})
    (folder / "linked").symlink_to(real)
    (folder / "again").symlink_to(real)
    (real / "circle").symlink_to(folder)
    return folder


JSON_0, JSON_1 = (file_name(hour).removesuffix(".gz") for hour in (0, 1))
#: Each holds the hour 0; those of `TWO_HOURS` the hour 1, too.
SHAPES: dict[str, Callable[[Path], Path]] = {
    "plain JSON named .gz": _in_folder(
        {file_name(0): plain(0), file_name(1): packed(hour_rows(1))}
    ),
    "gzip named .json": _in_folder(
        {JSON_0: packed(hour_rows(0)), file_name(1): packed(hour_rows(1))}
    ),
    "gzip in gzip": _in_folder({file_name(0): gzip.compress(packed(hour_rows(0)))}),
    "a .zip named .gz": _in_folder({file_name(0): zipped({"events.json": plain(0)})}),
    "gzip named .zip": _in_folder({f"{JSON_0}.zip": packed(hour_rows(0))}),
    "a daily .zip beside a file": _in_folder(
        {
            "2024-01-01.zip": zipped({file_name(0): packed(hour_rows(0))}),
            file_name(1): packed(hour_rows(1)),
        }
    ),
    "a folder of .zip files": _in_folder(
        {f"day-{n}.zip": zipped({file_name(n): packed(hour_rows(n))}) for n in (0, 1)}
    ),
    "a .zip without its ending": _in_folder(
        {"download": zipped({file_name(0): packed(hour_rows(0))})}
    ),
    "a .zip of .zip files": lambda place: write_zip(
        place / "a.zip",
        {f"{n}.zip": zipped({file_name(n): packed(hour_rows(n))}) for n in (0, 1)},
    ),
    "three .zip files in one another": lambda place: write_zip(
        place / "a.zip", {"b.zip": zipped({"c.zip": zipped({file_name(0): packed(hour_rows(0))})})}
    ),
    "one packed file": _one_file(file_name(0), packed(hour_rows(0))),
    "one unpacked file": _one_file(JSON_0, plain(0)),
    "a .zip named otherwise": lambda place: write_zip(
        place / "a.backup", {file_name(0): packed(hour_rows(0))}
    ),
    "links to folders": _linked,
    "no part": _in_folder(
        {"123_2024-01-01_0.json.gz": packed(hour_rows(0)), file_name(1): packed(hour_rows(1))}
    ),
    "an upper-case ending": _in_folder({file_name(0).upper(): packed(hour_rows(0))}),
    "an escaped part": _in_folder({file_name(0).replace("#", "%2523"): packed(hour_rows(0))}),
    "a part behind a dash": _in_folder({file_name(0).replace("#", "-"): packed(hour_rows(0))}),
    "a browser's copy": _in_folder({f"{JSON_0} (1).gz": packed(hour_rows(0))}),
    "a desktop's copy": _in_folder({f"{JSON_0} - Copy (2).gz": packed(hour_rows(0))}),
    "what macOS packs": lambda place: write_zip(
        place / "a.zip",
        {
            f"123/{file_name(0)}": packed(hour_rows(0)),
            f"__MACOSX/123/._{file_name(0)}": b"\0\5\26\7",
            "123/.DS_Store": b"x",
        },
    ),
    "an unfinished download beside it": _in_folder(
        {file_name(0): packed(hour_rows(0)), f"{file_name(0)}.crdownload": packed(hour_rows(0))[:9]}
    ),
    "twice the same": _in_folder(
        {f"{n}/{file_name(0)}": packed(hour_rows(0)) for n in ("one", "two", "three")}
    ),
    "packed and unpacked": _in_folder({file_name(0): packed(hour_rows(0)), JSON_0: plain(0)}),
}


TWO_HOURS = {
    "plain JSON named .gz",
    "gzip named .json",
    "a daily .zip beside a file",
    "a folder of .zip files",
    "a .zip of .zip files",
    "links to folders",
    "no part",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_is_read_for_what_it_is(tmp_path: Path, shape: str) -> None:
    """Its bytes say what it is; every event comes once, by records and by batch files."""
    place = SHAPES[shape](tmp_path)
    records, files = both_ways(tmp_path, {"archive_path": str(place)})

    expected = ids(hour_rows(0, 1) if shape in TWO_HOURS else hour_rows(0))
    assert (records.exit_code, files.exit_code) == (0, 0), records.stderr + files.stderr
    assert records.ids == batch_ids(files) == expected
    assert records.states[-1] == files.states[-1]


def left_out(run: Any) -> list[str]:
    """What the run says is left out."""
    return [line.partition(" | ")[2] for line in run.stderr.splitlines() if "Left out" in line]


def test_every_file_that_is_listed_is_read_or_named(tmp_path: Path) -> None:
    """How many, why and which first; what may hold events is a warning."""
    now = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    soon = (now - HOUR - START) // HOUR
    files = {
        **{file_name(n): packed(hour_rows(n)) for n in range(4)},
        f"copy/{file_name(2)}": packed(hour_rows(2)),
        file_name(soon): packed(hour_rows(soon)),
        "123_2024-01-01_2.json.gz": packed([{"scope": 1, "merged_amplitude_id": 2}]),
        "notes.txt": b"x",
        "report.docx": zipped({"word/document.xml": b"<x/>", "x.xml": b"<x/>"}),
        "events.parquet": b"PAR1",
        "export.tar.gz": gzip.compress(b"x"),
        f"{file_name(7)}.part": b"\x1f\x8b",
        "_SUCCESS": b"",
        "123_2024-01-01_9_complete": b"",
        "123_2024-01-01_9_3.complete": b"",
        ".DS_Store": b"x",
        "Thumbs.db": b"x",
        f"._{file_name(0)}": b"x",
    }
    place = write_files(tmp_path / "a", files)
    config = {
        "archive_path": str(place),
        "start_date": (START + HOUR).isoformat(),
    }
    ready = now - HOUR + 3 * HOUR

    for run in both_ways(tmp_path, config):
        assert run.exit_code == 0
        assert left_out(run) == [
            "Left out: 3 files without exported events. The first: 'events.parquet'.",
            (
                "Left out: 1 file packed in a form that is not read (unpack what holds events). "
                "The first: 'export.tar.gz'."
            ),
            f"Left out: 1 file of unfinished downloads. The first: '{file_name(7)}.part'.",
            (
                "Left out: 1 file of hours that are not ready yet. The first: "
                f"{file_name(soon)!r}, which can be read from {ready:%Y-%m-%dT%H:00:00Z} on."
            ),
            f"Left out: 1 file of hours before `start_date`. The first: {file_name(0)!r}.",
            (
                f"Left out: 1 file with the same content as another file. The first: "
                f"'copy/{file_name(2)}', the same as {file_name(2)!r}."
            ),
            (
                "Left out: 1 file of merged users, which the stream `merged_ids` is for. The "
                "first: '123_2024-01-01_2.json.gz'."
            ),
            "Left out: 3 files marking a finished export. The first: '123_2024-01-01_9_complete'.",
            "Left out: 3 files made by a desktop. The first: '.DS_Store'.",
        ]
        assert len(run.lines("WARNING")) == 3


@pytest.mark.parametrize("way", [0, 1])
def test_what_a_download_holds_besides_is_named(tmp_path: Path, way: int) -> None:
    """At the end of the run, as for a user's own archive."""
    body = zipped({file_name(0): packed(hour_rows(0)), "notes.txt": b"x", ".DS_Store": b"x"})
    with answering(200, {}, body) as (url, _):
        config = {
            "api_key": "key",
            "secret_key": "secret",
            "api_url": url,
            "start_date": START.isoformat(),
            "end_date": (START + HOUR).isoformat(),
        }
        run = both_ways(tmp_path, config)[way]

    assert run.exit_code == 0, run.stderr
    assert left_out(run) == [
        "Left out: 1 file without exported events. The first: 'notes.txt'.",
        "Left out: 1 file made by a desktop. The first: '.DS_Store'.",
    ]


def test_hours_that_are_not_ready_are_named_when_there_is_nothing_else(tmp_path: Path) -> None:
    """A run that reads nothing says why, too."""
    now = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    soon = (now - START) // HOUR
    place = write_files(tmp_path / "a", {file_name(soon): packed(hour_rows(soon))})

    run = run_here({"archive_path": str(place)})

    assert run.exit_code == 0
    assert "not ready yet" in left_out(run)[0]


def test_files_of_one_part_with_other_content_are_told_at_once(tmp_path: Path) -> None:
    """All pairs, up to a bound: whoever puts two exports together mends it in one go."""
    files = {
        f"{folder}/{file_name(n)}": packed(hour_rows(n, each=each))
        for folder, each in (("one", 3), ("two", 4))
        for n in range(24)
    }
    place = write_files(tmp_path / "a", files)

    with pytest.raises(ForeignArchive) as error:
        open_archive(place, max_member_bytes=BOUND)

    assert "24 pairs" in error.value.happened
    assert f"'one/{file_name(3)}' and 'two/{file_name(3)}'" in error.value.happened
    assert "and 4 more pairs" in error.value.happened


def test_an_entry_that_a_zip_holds_twice_is_compared_like_any_other(tmp_path: Path) -> None:
    """A .zip may hold a name twice; its reader gives only the last of them."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(file_name(0), packed(hour_rows(0)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(file_name(0), packed(hour_rows(0, each=4)))

    with pytest.raises(ForeignArchive, match="different content"):
        open_archive(path, max_member_bytes=BOUND)


def test_the_time_of_the_first_of_two_equal_files_counts(tmp_path: Path) -> None:
    """A copy that is made later brings nothing new."""
    place = write_files(
        tmp_path / "a", {f"{n}/{file_name(0)}": packed(hour_rows(0)) for n in ("a", "b")}
    )
    os.utime(place / "b" / file_name(0), (1e9, 1e9))
    (member,) = open_archive(place, max_member_bytes=BOUND).members

    assert member.modified == datetime.fromtimestamp(1e9, timezone.utc)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("events.json.gz", packed(hour_rows(0))),
        ("export.json", plain(0)),
        ("download", packed(hour_rows(0))),
        ("events.txt", plain(0)),
        ("export.tar.gz", gzip.compress(b"\0ustar" * 90 + b"\n" + plain(0))),
        ("inner.zip", zipped({"events.ndjson": plain(0)})),
    ],
)
def test_events_whose_hour_nobody_tells_are_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """Left out, they would be missing; guessing their hour would lose them in a later run."""
    place = write_files(tmp_path / "a", {file_name(0): packed(hour_rows(0)), name: content})

    with pytest.raises(ForeignArchive, match="tells no export hour"):
        open_archive(place, max_member_bytes=BOUND)


@pytest.mark.parametrize("content", [b"{}", b"\0" * 40, packed([{"cohort": 1}]), b"\x1f\x8bcut"])
def test_other_data_is_left_out_whatever_it_is_called(tmp_path: Path, content: bytes) -> None:
    """What holds no events may lie beside them, damaged or not."""
    place = write_files(
        tmp_path / "a", {file_name(0): packed(hour_rows(0)), "cohort.json.gz": content}
    )
    archive = open_archive(place, max_member_bytes=BOUND)

    assert files_left_out(archive, Why.UNKNOWN) == 1
    assert len(archive.members) == 1


def _cut_in_zip(place: Path) -> tuple[Path, str]:
    inner = zipped({file_name(0): packed(hour_rows(0, each=50))})
    inner = inner[:400] + bytes([inner[400] ^ 1]) + inner[401:]
    return write_files(place / "a", {"day.zip": inner}), f"'day.zip/{file_name(0)}'"


def _cut_zip(place: Path) -> tuple[Path, str]:
    inner = zipped({file_name(0): packed(hour_rows(0))})[:-9]
    return write_files(place / "a", {"day.zip": inner}), "'day.zip'"


def _cut_zip_in_zip(place: Path) -> tuple[Path, str]:
    inner = zipped({file_name(0): packed(hour_rows(0))})[:-9]
    return write_zip(place / "a.zip", {"day.zip": inner}), "'day.zip'"


def _page(place: Path) -> tuple[Path, str]:
    return write_files(place / "a", {file_name(0): b"<Error>"}), "neither gzip nor .zip nor JSON"


def _page_for_zip(place: Path) -> tuple[Path, str]:
    files = {file_name(0): packed(hour_rows(0)), "2024-01-02.zip": b"<html>Sign in</html>"}
    return write_files(place / "a", files), "'2024-01-02.zip'"


def _end_of_split_zip(place: Path) -> tuple[Path, str]:
    files = {
        file_name(0): packed(hour_rows(0)),
        "may.zip": zipped({file_name(1): packed(hour_rows(1))})[40:],
    }
    return write_files(place / "a", files), "'may.zip'"


@pytest.mark.parametrize(
    "damage",
    [_cut_in_zip, _cut_zip, _cut_zip_in_zip, _page, _page_for_zip, _end_of_split_zip],
)
def test_damage_names_the_file_its_zip_and_what_helps(
    tmp_path: Path, damage: Callable[[Path], tuple[Path, str]]
) -> None:
    """The same file fails in the same way, so that running again is no advice."""
    place, told = damage(tmp_path)

    for run in both_ways(tmp_path, {"archive_path": str(place)}):
        (error,) = run.lines("ERROR")
        assert run.exit_code == 1
        assert told in error
        assert str(place) in error
        assert "Copy this file again from where it came" in error
        assert "un again" not in error


OPENSSL = b"Salted__" + bytes(range(256))
#: What stands for the hour 1, and a word of what helps.
UNREADABLE = {
    file_name(1): (b"\x28\xb5\x2f\xfdx", "Unpack it"),
    JSON_1: (b"\x28\xb5\x2f\xfdx", "Unpack it"),
    f"{JSON_1}.zst": (b"\x28\xb5\x2f\xfdx", "Unpack it"),
    f"{JSON_1}.bz2": (b"BZh9x", "Unpack it"),
    f"{file_name(1)}.7z": (b"7z\xbc\xaf\x27\x1cx", "Unpack it"),
    "123_2024-01-01_1.7z": (b"7z\xbc\xaf\x27\x1cx", "Unpack it"),
    f"{file_name(1)}.gpg": (b"\x85\x01\x0c\x03x", "as Amplitude exports it"),
    f"{file_name(1)}.enc": (OPENSSL, "as Amplitude exports it"),
    "123_2024-01-01_1#1.parquet": (b"PAR1x", "as Amplitude exports it"),
    "123_2024-01-01_1#1.csv": (b"uuid,event_type\n", "as Amplitude exports it"),
    "123_2024-01-01_1.tar.gz": (gzip.compress(_tarred(plain(1))), "Unpack it"),
    "123_2024-01-01_1.tar": (_tarred(plain(1)), "Unpack it"),
    f"{file_name(1)}.sha256": (b"0badc0de", "as Amplitude exports it"),
    f".{file_name(1)}.icloud": (b"bplist00x", "Download the file"),
    f"{file_name(1)}.zip": (_of_method(zipped({JSON_1: plain(1)}), 9), "with the tool that made"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_named_like_an_export_file_is_never_left_out(tmp_path: Path, name: str) -> None:
    """What nobody can read may hold the events of its hour: the run stops, and says what helps."""
    content, helps = UNREADABLE[name]
    place = write_files(tmp_path / "a", {file_name(0): packed(hour_rows(0)), name: content})

    for run in both_ways(tmp_path, {"archive_path": str(place)}):
        (error,) = run.lines("ERROR")
        assert run.exit_code == 1
        assert name in error
        assert helps in error
        assert "un again" not in error
        assert ids(run.records) or batch_ids(run)


@pytest.mark.parametrize(
    "name", [f"{JSON_0}.bak", f"{file_name(0)}.1", f"{file_name(0)}.txt", "123_2024-01-01_0"]
)
def test_a_copy_of_any_name_is_read_for_what_it_is(tmp_path: Path, name: str) -> None:
    """It stands in for a file that is not there; beside it, it is the same or a question."""
    place = write_files(tmp_path / "a", {name: packed(hour_rows(0))})
    (alone,) = open_archive(place, max_member_bytes=BOUND).members
    write_files(place, {JSON_0 if "#" in name else "123_2024-01-01_0.json": plain(0)})
    beside = open_archive(place, max_member_bytes=BOUND)
    write_files(place, {name: packed(hour_rows(1))})

    assert alone.hour.hour == 0
    assert len(beside.members) == 1
    assert files_left_out(beside, Why.SAME) == 1
    with pytest.raises(ForeignArchive, match="different content"):
        open_archive(place, max_member_bytes=BOUND)


def test_what_belongs_to_a_file_beside_it_is_left_out(tmp_path: Path) -> None:
    """Checksums and signatures carry the whole name of their file."""
    beside = {f"{file_name(0)}.{ending}": b"0badc0de" for ending in ("md5", "sha256", "sig")}
    beside[f"{file_name(0)}.meta"] = b'{"size": 7}'
    files = {
        file_name(0): packed(hour_rows(0)),
        f"{file_name(0)}.gpg": b"\x85\x01\x0c\x03x",
        **beside,
    }
    archive = open_archive(write_files(tmp_path / "a", files), max_member_bytes=BOUND)

    assert len(archive.members) == 1
    assert files_left_out(archive, Why.UNKNOWN) == 4
    assert files_left_out(archive, Why.PACKED) == 1


@pytest.mark.parametrize("name", ["IMG_2024-01-01_10-30.jpg", "sales_2024-01-01_1.csv", "may.7z"])
def test_what_is_only_named_by_a_time_is_left_out(tmp_path: Path, name: str) -> None:
    """Pictures and reports carry times, too."""
    files = {file_name(0): packed(hour_rows(0)), name: b"\xff\xd8x"}
    archive = open_archive(write_files(tmp_path / "a", files), max_member_bytes=BOUND)

    assert len(archive.members) == 1
    assert files_left_out(archive, Why.UNKNOWN, Why.PACKED) == 1


def test_parts_of_a_zip_are_told_as_what_they_are(tmp_path: Path) -> None:
    """Copying one of them again would not help."""
    content = zipped({file_name(0): packed(hour_rows(0))})
    files = {"a.zip.001": content[:99], "a.zip.002": content[99:]}
    with pytest.raises(DamagedArchive, match=r"a\.zip\.001.*unpack them together"):
        open_archive(write_files(tmp_path / "a", files), max_member_bytes=BOUND)


def test_odd_things_in_a_folder_are_named_and_not_waited_for(tmp_path: Path) -> None:
    """A pipe would never end, and names may have any length."""
    place = write_files(tmp_path / "a", {file_name(0): packed(hour_rows(0))})
    os.mkfifo(place / file_name(1))
    os.mkfifo(place / "pipe")
    odd = {f"123_2024-01-01_1#{'9' * 5000}.json.gz": packed(hour_rows(1))}
    odd["123_9999-12-31_23#1.json"] = b""
    write_zip(place / "odd.zip", odd)
    archive = open_archive(place, max_member_bytes=BOUND)

    assert [member.hour.hour for member in archive.members] == [0, 1]
    assert files_left_out(archive, Why.UNKNOWN) == 3


def test_zip_files_in_one_another_are_bounded_in_depth(tmp_path: Path) -> None:
    """Somebody may make a .zip that holds itself."""
    content = zipped({file_name(0): packed(hour_rows(0))})
    for _ in range(5):
        content = zipped({"inner.zip": content})

    with pytest.raises(HostileArchive, match="more than 4 others"):
        open_archive(write_files(tmp_path / "a", {"a.zip": content}), max_member_bytes=BOUND)


def test_zip_files_in_one_another_are_bounded_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is unpacked counts, not what it was packed to; nothing is left behind."""
    bomb = zipped({"x.zip": b"PK\3\4" + b"\0" * 40_000_000})
    place = write_files(tmp_path / "a", {"bomb.zip": bomb})
    spool = tmp_path / "spool"

    with pytest.raises(TapError, match="max_spool_gb"):
        open_archive(place, max_member_bytes=BOUND, zips=OpenZips(spool, 10_000_000))
    monkeypatch.setattr(zip_stores, "RATIO_FREE_BYTES", 1_000_000)
    with pytest.raises(HostileArchive):
        open_archive(place, max_member_bytes=BOUND, zips=OpenZips(spool, BOUND))
    assert not [path for path in spool.rglob("*") if path.name.startswith("zip-")]


def test_a_bomb_in_a_zip_in_a_zip_is_refused(tmp_path: Path) -> None:
    """However deep it lies."""
    bomb = zipped({"day.zip": zipped({file_name(0): gzip.compress(b"\n" * 100_000_000)})})
    archive = open_archive(write_files(tmp_path / "a", {"a.zip": bomb}), max_member_bytes=BOUND)

    with pytest.raises(HostileArchive):
        archive.verify()


def test_more_zip_files_than_may_be_open_are_read_within_the_disk_they_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years of daily .zip files are neither all open nor all on the disk."""
    monkeypatch.setattr(zip_stores, "_MOST_OPEN", 3)
    days = {
        f"{n}.zip": zipped({file_name(n): packed(hour_rows(n)), "big": bytes(10**6)})
        for n in range(9)
    }
    spool = OpenZips(tmp_path / "spool", 5000)
    archive = open_archive(write_zip(tmp_path / "a.zip", days), max_member_bytes=BOUND, zips=spool)
    archive.verify()

    assert [
        row["uuid"]
        for member in archive.members
        for row in member.take(strict_object, as_it_is)
        if isinstance(row, dict)
    ] == ids(hour_rows(*range(9)))
    archive.close()
    assert not list((tmp_path / "spool").iterdir())


def test_a_damaged_file_that_comes_twice_is_damage(tmp_path: Path) -> None:
    """Two halves of one file are not one file."""
    whole = packed(hour_rows(0, each=50))
    files = {f"one/{file_name(0)}": whole, f"two/{file_name(0)}": whole[:-20]}

    with pytest.raises(DamagedArchive, match="two/"):
        open_archive(write_files(tmp_path / "a", files), max_member_bytes=BOUND)
