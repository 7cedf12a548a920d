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
from tests.support.peers import answering
from tests.support.rows import HOUR, START, hour_rows, ids
from tests.support.tap_in_process import batch_ids, both_ways, run_here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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


GZIP_0, GZIP_1 = hour_files(0, 1).values()
PLAIN_0, PLAIN_1 = map(gzip.decompress, (GZIP_0, GZIP_1))
JSON_0, JSON_1 = (file_name(hour).removesuffix(".gz") for hour in (0, 1))
ZIP_0, ZIP_1 = (zipped(hour_files(hour)) for hour in (0, 1))


def opened(folder: Path, files: Mapping[str, bytes], zips: OpenZips | None = None) -> Archive:
    """Open a folder of files."""
    return open_archive(write_files(folder / "a", files), max_member_bytes=BOUND, zips=zips)


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
    real = write_files(place / "elsewhere", hour_files(0))
    folder = write_files(place / "a", hour_files(1))
    (folder / "linked").symlink_to(real)
    (folder / "again").symlink_to(real)
    (real / "circle").symlink_to(folder)
    return folder


OF_ONE_HOUR: dict[str, Callable[[Path], Path]] = {
    "gzip in gzip": _in_folder({file_name(0): gzip.compress(GZIP_0)}),
    "a .zip named .gz": _in_folder({file_name(0): zipped({"events.json": PLAIN_0})}),
    "gzip named .zip": _in_folder({f"{JSON_0}.zip": GZIP_0}),
    "a .zip without its ending": _in_folder({"download": ZIP_0}),
    "three .zip files in one another": _one_file("a.zip", zipped({"b": zipped({"c": ZIP_0})})),
    "one packed file": _one_file(file_name(0), GZIP_0),
    "one unpacked file": _one_file(JSON_0, PLAIN_0),
    "a .zip named otherwise": _one_file("a.backup", ZIP_0),
    "an upper-case ending": _in_folder({file_name(0).upper(): GZIP_0}),
    "an escaped part": _in_folder({file_name(0).replace("#", "%2523"): GZIP_0}),
    "a part behind a dash": _in_folder({file_name(0).replace("#", "-"): GZIP_0}),
    "a browser's copy": _in_folder({f"{JSON_0} (1).gz": GZIP_0}),
    "a desktop's copy": _in_folder({f"{JSON_0} - Copy (2).gz": GZIP_0}),
    "what macOS packs": _one_file(
        "a.zip",
        zipped(
            {
                f"123/{file_name(0)}": GZIP_0,
                f"__MACOSX/123/._{file_name(0)}": b"\0\5\26\7",
                "123/.DS_Store": b"x",
            }
        ),
    ),
    "an unfinished download beside it": _in_folder(
        {file_name(0): GZIP_0, f"{file_name(0)}.crdownload": GZIP_0[:9]}
    ),
    "twice the same": _in_folder({f"{n}/{file_name(0)}": GZIP_0 for n in ("one", "two", "three")}),
    "packed and unpacked": _in_folder({file_name(0): GZIP_0, JSON_0: PLAIN_0}),
}
NESTED = {f"export/123/{name}": content for name, content in hour_files(0, 1).items()}
OF_TWO_HOURS: dict[str, Callable[[Path], Path]] = {
    "a folder in a folder": _in_folder(NESTED),
    "a folder in a .zip": _one_file("a.zip", zipped(NESTED)),
    "plain JSON named .gz": _in_folder({file_name(0): PLAIN_0, file_name(1): GZIP_1}),
    "gzip named .json": _in_folder({JSON_0: GZIP_0, file_name(1): GZIP_1}),
    "a daily .zip beside a file": _in_folder({"2024-01-01.zip": ZIP_0, file_name(1): GZIP_1}),
    "a folder of .zip files": _in_folder({"day-0.zip": ZIP_0, "day-1.zip": ZIP_1}),
    "a .zip of .zip files": _one_file("a.zip", zipped({"0.zip": ZIP_0, "1.zip": ZIP_1})),
    "links to folders": _linked,
    "no part": _in_folder({"123_2024-01-01_0.json.gz": GZIP_0, file_name(1): GZIP_1}),
}
SHAPES = OF_ONE_HOUR | OF_TWO_HOURS


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_is_read_for_what_it_is(tmp_path: Path, shape: str) -> None:
    """Its bytes say what it is; every event comes once, by records and by batch files."""
    place = SHAPES[shape](tmp_path)
    records, files = both_ways(tmp_path, {"archive_path": str(place)})

    hours = [0, 1] if shape in OF_TWO_HOURS else [0]
    assert (records.exit_code, files.exit_code) == (0, 0), records.stderr + files.stderr
    assert records.ids == batch_ids(files) == ids(hour_rows(*hours))
    assert records.states[-1] == files.states[-1]
    assert records.states[-1]["next_export_hour"] == f"2024-01-01T0{len(hours)}:00:00Z"


def left_out(run: Any) -> list[str]:
    """What the run says is left out."""
    return [line.partition(" | ")[2] for line in run.stderr.splitlines() if "Left out" in line]


def test_every_file_that_is_listed_is_read_or_named(tmp_path: Path) -> None:
    """How many, why and which first; what may hold events is a warning."""
    now = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    soon = (now - HOUR - START) // HOUR
    files = {
        **hour_files(*range(4)),
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
    config = files_settings(tmp_path, files, start_date=(START + HOUR).isoformat())
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
    body = zipped({file_name(0): GZIP_0, "notes.txt": b"x", ".DS_Store": b"x"})
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
    run = run_here(files_settings(tmp_path, hour_files(soon)))

    assert run.exit_code == 0
    assert "not ready yet" in left_out(run)[0]


def test_files_of_one_part_with_other_content_are_told_at_once(tmp_path: Path) -> None:
    """All pairs, up to a bound: whoever puts two exports together mends it in one go."""
    files = {
        f"{folder}/{file_name(n)}": packed(hour_rows(n, each=each))
        for folder, each in (("one", 3), ("two", 4))
        for n in range(24)
    }
    with pytest.raises(ForeignArchive) as error:
        opened(tmp_path, files)

    assert "24 pairs" in error.value.happened
    assert f"'one/{file_name(3)}' and 'two/{file_name(3)}'" in error.value.happened
    assert "and 4 more pairs" in error.value.happened


def test_an_entry_that_a_zip_holds_twice_is_compared_like_any_other(tmp_path: Path) -> None:
    """A .zip may hold a name twice; its reader gives only the last of them."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(file_name(0), GZIP_0)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(file_name(0), packed(hour_rows(0, each=4)))

    with pytest.raises(ForeignArchive, match="different content"):
        open_archive(path, max_member_bytes=BOUND)


def test_the_time_of_the_first_of_two_equal_files_counts(tmp_path: Path) -> None:
    """A copy that is made later brings nothing new."""
    place = write_files(tmp_path / "a", {f"{n}/{file_name(0)}": GZIP_0 for n in ("a", "b")})
    os.utime(place / "b" / file_name(0), (1e9, 1e9))
    (member,) = open_archive(place, max_member_bytes=BOUND).members

    assert member.modified == datetime.fromtimestamp(1e9, timezone.utc)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("events.json.gz", GZIP_0),
        ("123_2024-01-01#1.json.gz", GZIP_0),
        ("123_2024-01-01_24#1.json.gz", GZIP_0),
        ("123_2024-02-30_1#1.json.gz", GZIP_0),
        ("export.json", PLAIN_0),
        ("download", GZIP_0),
        ("events.txt", PLAIN_0),
        ("export.tar.gz", gzip.compress(b"\0ustar" * 90 + b"\n" + PLAIN_0)),
        ("inner.zip", zipped({"events.ndjson": PLAIN_0})),
    ],
)
def test_events_whose_hour_nobody_tells_are_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """Left out, they would be missing; guessing their hour would lose them in a later run."""
    with pytest.raises(ForeignArchive, match="tells no export hour"):
        opened(tmp_path, {file_name(0): GZIP_0, name: content})


@pytest.mark.parametrize("content", [b"{}", b"\0" * 40, packed([{"cohort": 1}]), b"\x1f\x8bcut"])
def test_other_data_is_left_out_whatever_it_is_called(tmp_path: Path, content: bytes) -> None:
    """What holds no events may lie beside them, damaged or not."""
    archive = opened(tmp_path, {file_name(0): GZIP_0, "cohort.json.gz": content})

    assert files_left_out(archive, Why.UNKNOWN) == 1
    assert len(archive.members) == 1


_LONG_ZIP = zipped({file_name(0): packed(hour_rows(0, each=50))})
#: Damage, and how it is named.
DAMAGED = {
    "a .zip": (_in_folder({"day.zip": ZIP_0[:-9]}), "'day.zip'"),
    "an entry of a .zip": (
        _in_folder({"day.zip": flipped(_LONG_ZIP, 400)}),
        f"'day.zip/{file_name(0)}'",
    ),
    "a .zip in a .zip": (_one_file("a.zip", zipped({"day.zip": ZIP_0[:-9]})), "'day.zip'"),
    "a page": (_in_folder({file_name(0): b"<Error>"}), "neither gzip nor .zip nor JSON"),
    "a page for a .zip": (
        _in_folder({file_name(0): GZIP_0, "2024-01-02.zip": b"<html>Sign in</html>"}),
        "'2024-01-02.zip'",
    ),
    "the end of a .zip": (_in_folder({file_name(0): GZIP_0, "may.zip": ZIP_1[40:]}), "'may.zip'"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_names_the_file_its_zip_and_what_helps(tmp_path: Path, damage: str) -> None:
    """The same file fails in the same way, so that running again is no advice."""
    make, told = DAMAGED[damage]
    place = make(tmp_path)

    for run in both_ways(tmp_path, {"archive_path": str(place)}):
        (error,) = run.lines("ERROR")
        assert run.exit_code == 1
        assert told in error
        assert str(place) in error
        assert "Copy this file again from where it came" in error
        assert "un again" not in error


def test_a_bad_line_names_the_zip_that_it_lies_in(tmp_path: Path) -> None:
    """Daily .zip files may hold files of the same name."""
    files = {"day.zip": zipped({file_name(0): PLAIN_0 + b"{"})}
    run = run_here({"archive_path": str(write_files(tmp_path / "a", files))})

    (error,) = run.lines("ERROR")
    assert f"'day.zip/{file_name(0)}', line 4, is not an event" in error


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
    "123_2024-01-01_1.tar.gz": (gzip.compress(_tarred(PLAIN_1)), "Unpack it"),
    "123_2024-01-01_1.tar": (_tarred(PLAIN_1), "Unpack it"),
    f"{file_name(1)}.sha256": (b"0badc0de", "as Amplitude exports it"),
    f".{file_name(1)}.icloud": (b"bplist00x", "Download the file"),
    f"{file_name(1)}.zip": (_of_method(zipped({JSON_1: PLAIN_1}), 9), "with the tool that made"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_named_like_an_export_file_is_never_left_out(tmp_path: Path, name: str) -> None:
    """What nobody can read may hold the events of its hour: the run stops, and says what helps."""
    content, helps = UNREADABLE[name]
    config = files_settings(tmp_path, {file_name(0): GZIP_0, name: content})

    for run in both_ways(tmp_path, config):
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
    (alone,) = opened(tmp_path, {name: GZIP_0}).members
    beside = opened(tmp_path, {JSON_0 if "#" in name else "123_2024-01-01_0.json": PLAIN_0})

    assert alone.hour.hour == 0
    assert len(beside.members) == 1
    assert files_left_out(beside, Why.SAME) == 1
    with pytest.raises(ForeignArchive, match="different content"):
        opened(tmp_path, {name: GZIP_1})


def test_what_belongs_to_a_file_beside_it_is_left_out(tmp_path: Path) -> None:
    """Checksums and signatures carry the whole name of their file."""
    beside = {f"{file_name(0)}.{ending}": b"0badc0de" for ending in ("md5", "sha256", "sig")}
    beside[f"{file_name(0)}.meta"] = b'{"size": 7}'
    beside[f"{file_name(0)}.gpg"] = b"\x85\x01\x0c\x03x"
    archive = opened(tmp_path, {file_name(0): GZIP_0, **beside})

    assert len(archive.members) == 1
    assert files_left_out(archive, Why.UNKNOWN) == 4
    assert files_left_out(archive, Why.PACKED) == 1


@pytest.mark.parametrize("name", ["IMG_2024-01-01_10-30.jpg", "sales_2024-01-01_1.csv", "may.7z"])
def test_what_is_only_named_by_a_time_is_left_out(tmp_path: Path, name: str) -> None:
    """Pictures and reports carry times, too."""
    archive = opened(tmp_path, {file_name(0): GZIP_0, name: b"\xff\xd8x"})

    assert len(archive.members) == 1
    assert files_left_out(archive, Why.UNKNOWN, Why.PACKED) == 1


def test_parts_of_a_zip_are_told_as_what_they_are(tmp_path: Path) -> None:
    """Copying one of them again would not help."""
    with pytest.raises(DamagedArchive, match=r"a\.zip\.001.*unpack them together"):
        opened(tmp_path, {"a.zip.001": ZIP_0[:99], "a.zip.002": ZIP_0[99:]})


def test_odd_things_in_a_folder_are_named_and_not_waited_for(tmp_path: Path) -> None:
    """A pipe would never end, and names may have any length."""
    place = write_files(tmp_path / "a", hour_files(0))
    os.mkfifo(place / file_name(1))
    os.mkfifo(place / "pipe")
    odd = {f"123_2024-01-01_1#{'9' * 5000}.json.gz": GZIP_1, "123_9999-12-31_23#1.json": b""}
    archive = opened(tmp_path, {"odd.zip": zipped(odd)})

    assert [member.hour.hour for member in archive.members] == [0, 1]
    assert files_left_out(archive, Why.UNKNOWN) == 3


def test_zip_files_in_one_another_are_bounded_in_depth(tmp_path: Path) -> None:
    """Somebody may make a .zip that holds itself."""
    content = ZIP_0
    for _ in range(5):
        content = zipped({"inner.zip": content})

    with pytest.raises(HostileArchive, match="more than 4 others"):
        opened(tmp_path, {"a.zip": content})


def test_zip_files_in_one_another_are_bounded_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is unpacked counts, not what it was packed to; nothing is left behind."""
    bomb = {"bomb.zip": zipped({"x.zip": b"PK\3\4" + b"\0" * 40_000_000})}
    spool = tmp_path / "spool"

    with pytest.raises(TapError, match="max_spool_gb"):
        opened(tmp_path, bomb, OpenZips(spool, 10_000_000))
    monkeypatch.setattr(zip_stores, "RATIO_FREE_BYTES", 1_000_000)
    with pytest.raises(HostileArchive):
        opened(tmp_path, bomb, OpenZips(spool, BOUND))
    assert not [path for path in spool.rglob("*") if path.name.startswith("zip-")]


def test_a_bomb_in_a_zip_in_a_zip_is_refused(tmp_path: Path) -> None:
    """However deep it lies."""
    bomb = zipped({"day.zip": zipped({file_name(0): gzip.compress(b"\n" * 100_000_000)})})
    archive = opened(tmp_path, {"a.zip": bomb})

    with pytest.raises(HostileArchive):
        archive.verify()


def test_more_zip_files_than_may_be_open_are_read_within_the_disk_they_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years of daily .zip files are neither all open nor all on the disk."""
    monkeypatch.setattr(zip_stores, "_MOST_OPEN", 3)
    days = {f"{n}.zip": zipped({**hour_files(n), "big": bytes(10**6)}) for n in range(9)}
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
        opened(tmp_path, files)
