"""Bucket exports, read from servers that speak the clouds' own protocols."""

from __future__ import annotations

import gzip
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.common.lenient_json import strict_object
from tap_amplitude.common.object_cutter import as_it_is
from tap_amplitude.errors import DamagedArchive, FixConfiguration, RunAgain, TapError
from tap_amplitude.files.bucket_listing import list_exports
from tap_amplitude.files.clouds import CLOUDS, failure_of
from tap_amplitude.files.stores import Listed
from tap_amplitude.settings import Settings
from tap_amplitude.sources.archive import ArchiveSource
from tap_amplitude.state.reach import Days, Reach
from tap_amplitude.tap import TapAmplitude
from tests.fakes.google_objects import BUCKET as ENCODED
from tests.fakes.google_objects import GoogleObjects
from tests.support.batches import batch
from tests.support.buckets import S3_PAGE, Bucket, azure_bucket, gcs_bucket, s3_bucket
from tests.support.export_files import file_name, packed, write_zip
from tests.support.processes import Finished, run_tap
from tests.support.rows import HOUR, MERGE, START, hour_row, hour_rows, ids
from tests.support.selecting import run_with
from tests.support.tap_in_process import batch_ids, run_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tap_amplitude.files.member import Member


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of Amazon S3, which this process finds."""
    return s3_bucket().found(monkeypatch)


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of Google Cloud, where the cloud makes no difference: it answers fastest."""
    return gcs_bucket().found(monkeypatch)


@pytest.fixture(params=["s3", "gcs", "azure"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket of each cloud in turn, which this process finds."""
    buckets = {"s3": lambda: iter([s3_bucket()]), "gcs": lambda: iter([gcs_bucket()])}
    for made in buckets.get(request.param, azure_bucket)():
        yield made.found(monkeypatch)


def run(bucket: Bucket, path: str = "", **config: Any) -> Finished:
    """Run the tap on a bucket."""
    return run_here({"archive_path": bucket.url + path, **config})


def go_on(bucket: Bucket, before: Finished) -> Finished:
    """Run the tap on a bucket with the state of a run before it."""
    return run_here({"archive_path": bucket.url}, state=before.last_state)


def in_a_process(folder: Path, bucket: Bucket, **config: Any) -> Finished:
    """Run the tap with all that its process logs at any level, whoever logs it."""
    environment = {**bucket.environment, "TAP_AMPLITUDE_LOGLEVEL": "debug"}
    return run_tap(folder, {"archive_path": bucket.url, **config}, environment=environment)


def source_of(url: str, spool_bytes: int, **config: Any) -> ArchiveSource:
    """The source that a configuration leads to, in this process, with a spool of some size."""
    settings = Settings.read(TapAmplitude(config={"archive_path": url, **config}).config)
    settings = replace(settings, max_spool_bytes=spool_bytes)
    return ArchiveSource(settings, Reach.of(None, settings), datetime.now(timezone.utc))


def hours_of(source: ArchiveSource) -> Iterator[Sequence[Member]]:
    """The files of hour after hour, verified."""
    hours = groupby(source.listing.files, key=lambda member: member.hour)
    return source.read([list(files) for _, files in hours])


def test_everything_that_amplitude_lays_into_a_bucket_is_read_in_order(bucket: Bucket) -> None:
    """Several files for an hour, padded hours, markers, lists of merged users, folders by app."""
    bucket.put(
        {
            f"exports/123/{file_name(10, 5)}": packed(hour_rows(10)),
            f"exports/123/{file_name(9, 627)}": packed([hour_row(START + 9 * HOUR, 8)]),
            f"exports/123/{file_name(9, 70)}": packed([hour_row(START + 9 * HOUR, 7)]),
            "exports/123/123_2024-01-01_02#1.json.gz": packed(hour_rows(2)),
            "exports/123/123_2024-01-01_3_complete": b"\n",
            "exports/-9/-9_2024-01-01_5.json.gz": packed([MERGE]),
            # Only near by name, not below the address.
            f"exports-old/123/{file_name(11)}": packed(hour_rows(11)),
        }
    )
    done = run(bucket, "/exports")

    assert done.exit_code == 0, done.stderr
    nine = [hour_row(START + 9 * HOUR, 7), hour_row(START + 9 * HOUR, 8)]
    assert done.ids == ids(hour_rows(2)) + ids(nine) + ids(hour_rows(10))
    assert [s["next_export_hour"][11:13] for s in done.states] == ["03", "10", "11"]
    assert done.lines("WARNING") == []


def test_zip_files_and_names_without_a_part_are_read_in_a_bucket(
    tmp_path: Path, bucket: Bucket
) -> None:
    """By their bytes and rows; of a .zip only its list and the files of the hour are fetched."""
    inner = write_zip(tmp_path / "inner.zip", {file_name(1): packed(hour_rows(1))}).read_bytes()
    day = write_zip(tmp_path / "day.zip", {file_name(0): packed(hour_rows(0)), "in.zip": inner})
    bucket.put(
        {
            "x/2024-01-01.zip": day.read_bytes(),
            "x/123_2024-01-01_2.json.gz": packed(hour_rows(2)),
            "x/123_2024-01-01_1.json.gz": packed([MERGE]),
            f"x/copy/{file_name(0)}": packed(hour_rows(0)),
            f"x/{file_name(3)}": gzip.decompress(packed(hour_rows(3))),
            "x/._123_2024-01-01_3#1.json.gz": b"x",
        }
    )
    records = run(bucket, "/x")
    files = run(bucket, "/x", **batch(tmp_path / "out"))

    assert (records.exit_code, files.exit_code) == (0, 0), records.stderr + files.stderr
    assert records.ids == batch_ids(files) == ids(hour_rows(0, 1, 2, 3))
    assert records.states == files.states
    for reason in ("with the same content", "of merged users", "made by a desktop"):
        assert f"1 file {reason}" in records.stderr


def test_objects_that_google_unpacks_on_their_way_are_read(tmp_path: Path) -> None:
    """They arrive with other bytes than the bucket lists, and have no ranges."""
    lines = gzip.decompress(packed(hour_rows(0)))
    objects = {
        file_name(0): gzip.compress(lines),
        file_name(1): gzip.compress(packed(hour_rows(1))),
        "123_2024-01-01_2.json.gz": gzip.compress(gzip.decompress(packed(hour_rows(2)))),
        "day.zip": gzip.compress(
            write_zip(tmp_path / "day.zip", {file_name(3): packed(hour_rows(3))}).read_bytes()
        ),
    }
    with GoogleObjects(objects) as server:
        environment = {"STORAGE_EMULATOR_HOST": server.url, "NO_GCE_CHECK": "true"}
        bucket = Bucket(f"gs://{ENCODED}", server.url, environment)
        # Not in process: the unpacked .zip is a file that is closed when nothing reads it any more.
        records = in_a_process(tmp_path, bucket)
        files = in_a_process(tmp_path, bucket, **batch(tmp_path / "out"))

    assert (records.exit_code, files.exit_code) == (0, 0), records.stderr + files.stderr
    assert records.ids == batch_ids(files) == ids(hour_rows(0, 1, 2, 3))


def test_a_bucket_root_and_the_beginning_of_names_are_addresses_too(bucket: Bucket) -> None:
    """Amplitude puts a prefix before the names as it is, with or without a slash."""
    bucket.put(
        {
            f"daily-{file_name(0)}": packed(hour_rows(0)),
            f"other-{file_name(1)}": packed(hour_rows(1)),
        }
    )

    assert run(bucket).ids == ids(hour_rows(0, 1))
    assert run(bucket, "/daily-").ids == ids(hour_rows(0))
    assert run(bucket, f"/other-{file_name(1)}").ids == ids(hour_rows(1))


def test_the_next_run_opens_only_what_is_new(bucket: Bucket) -> None:
    """Hours of the state are not opened again: here they could not even be read."""
    bucket.put({file_name(n): packed(hour_rows(n)) for n in (0, 1, 30)})
    first = run(bucket)
    bucket.put({file_name(n): b"garbage" for n in (0, 1, 30)})
    idle = go_on(bucket, first)
    bucket.put(
        {file_name(31): packed(hour_rows(31)), file_name(24 * 40): packed(hour_rows(24 * 40))}
    )
    second = go_on(bucket, first)

    assert first.ids == ids(hour_rows(0, 1, 30))
    assert (idle.exit_code, idle.records) == (0, [])
    assert "Nothing to export" in idle.stderr
    assert second.ids == ids(hour_rows(31, 24 * 40))
    assert second.lines("WARNING") == []


def test_a_file_of_several_hours_is_read_once_and_whole(gcs: Bucket) -> None:
    """An export that runs every three hours names a file for one of them."""
    gcs.put({file_name(2): packed(hour_rows(0, 1, 2)), file_name(5): packed(hour_rows(3, 4, 5))})
    first = run(gcs)
    gcs.put({file_name(6): packed(hour_rows(6, 7, 8))})  # and one that names its first hour
    second = go_on(gcs, first)

    assert first.ids == ids(hour_rows(0, 1, 2, 3, 4, 5))
    assert second.ids == ids(hour_rows(6, 7, 8))
    times = [record["server_upload_time"] for record in first.records]
    assert times[0].startswith("2024-01-01T00:00")


def test_hours_that_are_still_being_written_are_left_for_later(gcs: Bucket) -> None:
    """A late export writes the files of an hour one by one; half of it would be lost."""
    this_hour = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    late = (this_hour - 6 * HOUR - START) // HOUR
    gcs.put({file_name(0): packed(hour_rows(0)), file_name(late): packed(hour_rows(late))})
    done = run(gcs)

    assert done.ids == ids(hour_rows(0))
    assert done.exit_code == 0
    assert "others may follow" in done.stderr
    assert done.states[-1]["next_export_hour"] == file_hour(late)


def file_hour(hour: int) -> str:
    """An hour as it stands in the state."""
    return f"{START + hour * HOUR:%Y-%m-%dT%H:00:00Z}"


def test_more_than_a_page_of_objects_is_listed(s3: Bucket) -> None:
    """S3 lists them page by page."""
    content = packed([])
    s3.put({f"x/{file_name(0, part)}": content for part in range(2 * S3_PAGE + 5)})
    s3.put({f"x/{file_name(1)}": packed(hour_rows(1))})

    assert run(s3, "/x").ids == ids(hour_rows(1))


def test_merged_users_are_a_stream_with_a_state_of_its_own(gcs: Bucket) -> None:
    """Selected, the lists are read by hour like events; both forms of their names."""
    newer = MERGE | {"amplitude_id": 7}
    gcs.put(
        {
            file_name(9): packed(hour_rows(9)),
            "-9_2024-01-01_5.json.gz": packed([MERGE]),
            "123_2024-01-01_6.json.gz": packed([newer]),
        }
    )
    config = {"archive_path": gcs.url}
    first = run_with(config, "merged_ids")
    again = run_with(config, "merged_ids", state=first.last_state)

    assert first.exit_code == 0, first.stderr
    assert first.records == [MERGE, newer]
    assert first.last_state["bookmarks"]["merged_ids"] == {
        "next_export_hour": "2024-01-01T07:00:00Z",
        "export_until": "2024-01-01T07:00:00Z",
        "export_from": "2024-01-01T05:00:00Z",
        "project": "",
        "apps": first.last_state["bookmarks"]["merged_ids"]["apps"],
    }
    schema = next(m for m in first.messages if m["type"] == "SCHEMA")
    assert schema["stream"] == "merged_ids"
    assert schema["key_properties"] == ["scope", "amplitude_id", "merged_amplitude_id"]
    assert (again.exit_code, again.records) == (0, [])


@pytest.mark.parametrize("spool_bytes", [0, 10**9])
def test_an_hour_is_whole_before_its_first_event_comes_out(
    s3: Bucket, tmp_path: Path, spool_bytes: int
) -> None:
    """Copied to the disk, or read from the bucket twice when it does not fit."""
    whole = packed(hour_rows(1, each=500))
    s3.put(
        {
            file_name(0): packed(hour_rows(0, each=500)),
            file_name(1, 5): whole,
            file_name(1, 70): whole[: len(whole) // 2],
        }
    )
    hours = hours_of(source_of(s3.url, spool_bytes, spool_path=str(tmp_path)))

    members = next(hours)
    lines = [row for member in members for row in member.take(strict_object, as_it_is)]
    copies = sorted(path.name for path in tmp_path.rglob("object-*"))
    with pytest.raises(DamagedArchive, match=r"_1#70\.json\.gz"):
        next(hours)
    assert len(lines) == 500
    assert copies == ([] if spool_bytes == 0 else ["object-0"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spool_bytes", [0, 10**9])
def test_an_object_that_vanishes_or_changes_after_the_listing_is_told(
    s3: Bucket, tmp_path: Path, spool_bytes: int
) -> None:
    """A lifecycle rule or a second export may touch the bucket while it is read."""
    s3.put({file_name(0): packed(hour_rows(0))})
    source = source_of(s3.url, spool_bytes, spool_path=str(tmp_path))
    s3.delete(file_name(0))

    with pytest.raises(RunAgain, match="gone or changed") as caught:
        next(hours_of(source))
    assert file_name(0) in str(caught.value)


def test_a_bucket_that_does_not_exist_is_told(bucket: Bucket) -> None:
    """A typing mistake ends with exit code 2, and with the address."""
    bucket.put({f"exports/{file_name(0)}": packed(hour_rows(0))})
    wrong = Bucket(bucket.url + "-wrong", bucket.server, bucket.environment)
    done = run(wrong, "/exports")

    assert done.exit_code == 2
    assert f"The bucket of {wrong.url}/exports does not exist" in done.lines("ERROR")[0]


def test_a_folder_without_exports_is_told(bucket: Bucket) -> None:
    """Success without a single event would hide a wrong path, with a start date and without."""
    bucket.put({file_name(0): packed(hour_rows(0))})
    starts: tuple[dict[str, str], ...] = ({}, {"start_date": "2024-01-01"})
    for config in starts:
        done = run(bucket, "/wrong", **config)

        assert done.exit_code == 1
        assert "holds no export files" in done.lines("ERROR")[0]


def test_keys_that_the_bucket_refuses_are_told(tmp_path: Path, s3: Bucket) -> None:
    """Exit code 2, with the rights that are needed, and without the key."""
    s3.put({file_name(0): packed(hour_rows(0))})
    requests.post(f"{s3.server}/moto-api/reset-auth", data=b"0", timeout=30).raise_for_status()
    done = in_a_process(tmp_path, s3)

    assert done.exit_code == 2
    error = done.lines("ERROR")[0]
    assert f"Access to {s3.url} was refused" in error
    assert "s3:ListBucket" in error
    assert_silent(done.stderr, s3)


def test_missing_credentials_are_told(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked for them in a setting."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "none")
    done = run(s3)

    assert done.exit_code == 2
    assert "There are no usable credentials" in done.lines("ERROR")[0]
    assert "AWS_PROFILE" in done.lines("ERROR")[0]


def test_a_network_failure_is_worth_another_run(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens: exit code 1, the state stays."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # of the driver, which waits between them
    done = run(s3)

    assert done.exit_code == 1
    assert f"{s3.url} could not be read" in done.lines("ERROR")[0]
    assert "Traceback" not in done.stderr


def test_no_key_is_in_the_log_at_any_level(tmp_path: Path, s3: Bucket) -> None:
    """The drivers log signed headers on `debug`; the tap keeps them quiet."""
    s3.put({file_name(0): packed(hour_rows(0))})
    done = in_a_process(tmp_path, s3)

    assert done.exit_code == 0
    assert_silent(done.stderr, s3)
    assert "Signature" not in done.stderr


def assert_silent(log: str, bucket: Bucket) -> None:
    """No credential of the bucket is in the log."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert bucket.environment[name] not in log


@pytest.mark.parametrize(
    ("scheme", "package", "extra"),
    [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs"), ("az", "adlfs", "azure")],
)
def test_a_driver_that_is_not_installed_is_told_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, scheme: str, package: str, extra: str
) -> None:
    """The base install is small; a bucket needs one more package."""
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(FixConfiguration) as caught:
        TapAmplitude(config={"archive_path": f"{scheme}://bucket/x"})
    assert f"needs the package `{package}`" in str(caught.value)
    assert f"`-e ./tap-amplitude[{extra}]`, and run `meltano install`" in str(caught.value)


def test_an_account_of_azure_that_refuses_is_told(tmp_path: Path) -> None:
    """Exit code 2, with the role that is needed, and without the key."""
    for azure in azure_bucket():
        assert azure.azure
        azure.azure.refuses = True
        done = in_a_process(tmp_path, azure)

    assert done.exit_code == 2
    assert "Storage Blob Data Reader" in done.lines("ERROR")[0]
    key = azure.environment["AZURE_STORAGE_CONNECTION_STRING"].partition("AccountKey=")[2][:20]
    assert key not in done.stderr


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (PermissionError("Forbidden"), FixConfiguration, "refused"),
        (OSError("PermanentRedirect: use another endpoint"), FixConfiguration, "another region"),
        (FileNotFoundError("box"), FixConfiguration, "does not exist"),
        (
            ValueError("Must provide either a connection_string or account_name"),
            FixConfiguration,
            "no usable credentials",
        ),
        (OSError("[Errno 104] reset"), RunAgain, "could not be read"),
        (OSError(28, "No space left on device"), RunAgain, "no room left"),
        (RuntimeError("ContainerNotFound"), FixConfiguration, "does not exist"),
    ],
)
def test_each_kind_of_failure_has_its_words_and_exit_code(
    error: Exception, kind: type[TapError], said: str
) -> None:
    """What the drivers raise has no common class; the names and texts tell."""
    told = failure_of(error, CLOUDS["az"], "az://box/x")

    assert isinstance(told, kind)
    assert said in told.happened


NAMES = st.lists(
    st.builds(
        "{}{}_{:%Y-%m-%d}_{}#{}.json.gz".format,
        st.sampled_from(["", "a/", "my_export/", "2024-01-01_x/"]),
        st.sampled_from(["123", "-9", "app"]),
        st.dates(date(2022, 11, 1), date(2024, 3, 1)),
        st.integers(0, 23),
        st.integers(1, 3),
    ),
    unique=True,
)


@given(names=NAMES, first=st.dates(date(2022, 11, 1), date(2024, 3, 1)), days=st.integers(0, 500))
def test_no_object_of_the_wanted_days_is_left_out_or_comes_twice(
    names: list[str], first: date, days: int
) -> None:
    """Cutting names at `_` and `-` finds the same objects as listing all of them."""
    asked: list[str] = []

    def pages(prefix: str, delimiter: str) -> Iterator[Listed | str]:
        asked.append(prefix)
        cut: set[str] = set()
        for name in names:
            rest = name[len(prefix) :]
            if name.startswith(prefix) and delimiter and delimiter in rest:
                cut.add(prefix + rest.partition(delimiter)[0] + delimiter)
            elif name.startswith(prefix):
                yield Listed(name, 1, None)
        yield from cut

    last = first + timedelta(days=days)
    listed = [item.name for item in list_exports(pages, "", lambda _: Days(first, last))]
    wanted = [n for n in names if first <= date.fromisoformat(n.rsplit("_", 2)[1]) <= last]

    assert set(wanted) <= set(listed)
    assert len(set(listed)) == len(listed)
    plain = [n for n in names if n.startswith("123_")]
    assert {n for n in listed if n in plain} == set(plain) & set(wanted)
