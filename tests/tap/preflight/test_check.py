"""What is wrong is found before the first event, all at once; no event is shown."""

from __future__ import annotations

import gzip
import shutil
from collections import namedtuple
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]
import pytest

from tap_amplitude.common.checked_settings import read_given
from tap_amplitude.common.findings import Finding, Level, exit_code_of
from tap_amplitude.preflight.amplitude import AmplitudeQuestions
from tap_amplitude.preflight.check import check
from tap_amplitude.preflight.room import disk_finding
from tap_amplitude.settings import Settings
from tap_amplitude.state.bookmark import Bookmark, project_digest
from tap_amplitude.state.coverage import Coverage, Covered
from tap_amplitude.tap import TapAmplitude
from tap_amplitude.validation import problems
from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.export_files import file_name, hour_files, packed, write_files
from tests.support.export_settings import export_settings, files_settings
from tests.support.rows import HOUR, START, hour_row, hour_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOW = START + timedelta(days=10)
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def api() -> Iterator[AmplitudeExportApi]:
    """Amplitude with a project of one day."""
    with AmplitudeExportApi(hour_rows(*range(24)), now=NOW) as running:
        yield running


@pytest.fixture
def config(api: AmplitudeExportApi, tmp_path: Path) -> dict[str, Any]:
    """The settings of a tap that exports this day."""
    spool = str(tmp_path / "spool")
    settings = export_settings(api, hours=24, spool_path=spool, max_spool_gb=1)
    # A check has the addresses of both regions.
    del settings["api_url"]
    return settings


def schema() -> dict[str, Any]:
    """The tap's settings, those of the SDK too."""
    whole = TapAmplitude.config_jsonschema
    TapAmplitude.append_builtin_config(whole)
    return whole


def found(
    config: Mapping[str, Any],
    us: str = NOWHERE,
    eu: str = NOWHERE,
    *,
    bookmark: Bookmark | None = None,
    now: datetime = NOW,
    has_state: bool = False,
) -> list[Finding]:
    """Check some settings."""
    given = read_given(config, schema(), problems)
    regions = {"us": us, "eu": eu}
    state = has_state or bookmark is not None
    return list(check(given, bookmark, now, "test/1", has_state=state, regions=regions))


def of(findings: list[Finding], area: str, level: Level) -> list[str]:
    """Return what was found of an area that stands so."""
    return [
        f"{one.text} {one.remedy}".strip()
        for one in findings
        if (one.area, one.level) == (area, level)
    ]


def test_sound_settings_have_nothing_to_fix(
    config: dict[str, Any], api: AmplitudeExportApi
) -> None:
    """One request for one hour; its events are counted, not shown, and taken away again."""
    findings = found(config, api.url)
    assert exit_code_of(findings) == 0
    assert of(findings, "keys", Level.OK) == ["Amplitude accepts both keys (`region: us`)."]
    (hour,) = of(findings, "amplitude", Level.OK)
    assert hour.startswith("Hour 2024-01-01T00Z: 3 events, 0.00 MB packed")
    (dates,) = of(findings, "dates", Level.OK)
    assert "2024-01-01T00:00:00Z, the last 2024-01-01T23:00:00Z" in dates
    assert "24 hours" in dates
    (state,) = of(findings, "state", Level.NOTE)
    assert "Meltano hands none to a command" in state
    assert [request.start_hour for request in api.requests] == [START]
    assert "user-" not in str(findings)
    assert list(Path(config["spool_path"]).iterdir()) == []


def test_keys_of_the_other_region_name_the_region(config: dict[str, Any]) -> None:
    """The usual cause of refused keys."""
    another = AmplitudeExportApi([], now=NOW, api_key="another")
    with another as us, AmplitudeExportApi(hour_rows(0), now=NOW) as eu:
        findings = found(config, us.url, eu.url)
    (told,) = of(findings, "keys", Level.FIX)
    assert told == (
        "They are those of a project in `region: eu`; `region: us` refuses them. "
        "Set `region` to `eu`."
    )
    assert exit_code_of(findings) == 2


def test_keys_that_no_region_knows_are_told_without_them(config: dict[str, Any]) -> None:
    """In Amplitude's words."""
    with AmplitudeExportApi([], now=NOW) as us, AmplitudeExportApi([], now=NOW) as eu:
        findings = found({**config, "secret_key": "hush-hush"}, us.url, eu.url)
        assert len(us.requests) == len(eu.requests) == 1
    (keys,) = of(findings, "keys", Level.FIX)
    assert keys.startswith("Amplitude refused the keys: it answered 403")
    assert "hush-hush" not in str(findings)


def test_an_address_of_ones_own_is_the_only_one_asked(
    config: dict[str, Any], api: AmplitudeExportApi
) -> None:
    """Keys that a proxy refuses are not sent to anybody else."""
    findings = found({**config, "api_url": api.url, "secret_key": "wrong"})
    assert of(findings, "keys", Level.FIX)
    assert [one.status for one in api.requests] == [403]


def test_a_service_that_is_away_is_not_known(config: dict[str, Any]) -> None:
    """Exit code 1: nothing is wrong with the settings."""
    findings = found({**config, "max_retry_seconds": 0})
    (away,) = of(findings, "amplitude", Level.UNKNOWN)
    assert "the connection failed" in away
    assert exit_code_of(findings) == 1


def test_an_hour_without_events_proves_the_keys_all_the_same(config: dict[str, Any]) -> None:
    """404 in Amplitude's words."""
    with AmplitudeExportApi([], now=NOW) as empty:
        findings = found(config, empty.url)
    assert of(findings, "keys", Level.OK)
    assert ": no events (asked for in" in of(findings, "amplitude", Level.OK)[0]
    assert exit_code_of(findings) == 0


def test_a_day_that_comes_as_one_file_is_asked_for_whole(config: dict[str, Any]) -> None:
    """Before 2014-11-12 Amplitude has one file a day."""
    day = datetime(2014, 11, 10, tzinfo=timezone.utc)
    old = {**config, "start_date": "2014-11-10", "end_date": "2014-11-14"}
    with AmplitudeExportApi([hour_row(day + 5 * HOUR)], now=NOW) as api:
        (told,) = of(found(old, api.url), "amplitude", Level.OK)
        assert [request.start_hour for request in api.requests] == [day]
    assert told.startswith("Hours 2014-11-10T00Z to 2014-11-10T23Z: 1 event,")


@pytest.mark.parametrize(
    ("fault", "details", "level", "told", "requests"),
    [
        # Nothing but a bucket export brings it.
        (Fault.SIZE_400, {}, Level.FIX, ("A single hour is too large", "archive_path"), 1),
        # The check does not wait for an hour; nor does it ask again before its end.
        (
            Fault.RATE_LIMIT_429,
            {"retry_after": 3600},
            Level.UNKNOWN,
            ("It asks to come back in 60 minutes",),
            1,
        ),
        # A 404 without Amplitude's words is not "no events".
        (Fault.NOT_FOUND_ODD, {}, Level.FIX, ("not the address of Amplitude's Export API",), 3),
    ],
)
def test_what_amplitude_refuses_is_told(
    config: dict[str, Any],
    api: AmplitudeExportApi,
    fault: Fault,
    details: dict[str, Any],
    level: Level,
    told: tuple[str, ...],
    requests: int,
) -> None:
    """With what helps."""
    api.fail(fault, times=None, **details)
    (finding,) = of(found(config, api.url), "amplitude", level)
    assert all(words in finding for words in told)
    assert len(api.requests) == requests


def test_everything_wrong_is_told_at_once(config: dict[str, Any], tmp_path: Path) -> None:
    """One mistake does not hide the next, nor a value that may be a secret."""
    (tmp_path / "a file").touch()
    findings = found(
        {
            **config,
            "api_key": "hush hush ",
            "start_dat": "x",
            "max_spool_gb": "hush",
            "region": "mars",
            "end_date": "2023-13-01",
            "spool_path": str(tmp_path / "a file/spool"),
        }
    )
    told = " ".join(one.text for one in findings if one.level is Level.FIX)
    for words in (
        "There is no setting `start_dat`. Did you mean `start_date`?",
        "`max_spool_gb` is not a valid integer",
        "`region`: 'mars' is not one of",
        "`api_key` has blanks",
        "`end_date` is '2023-13-01'",
        "is a file, not a folder",
    ):
        assert words in told, words
    assert "hush" not in str(findings)
    assert exit_code_of(findings) == 2


@pytest.mark.parametrize("missing", ["api_key", "secret_key", "start_date"])
def test_what_is_missing_is_told_and_the_rest_checked(
    config: dict[str, Any], api: AmplitudeExportApi, missing: str
) -> None:
    """Keys can be tried without dates; nothing can be asked without keys."""
    del config[missing]
    findings = found(config, api.url)
    assert f"`{missing}` is missing" in of(findings, "settings", Level.FIX)[0]
    assert len(of(findings, "keys", Level.OK)) == (1 if missing == "start_date" else 0)
    assert len(api.requests) == (1 if missing == "start_date" else 0)
    assert of(findings, "disk", Level.OK)


def test_dates_are_told_as_they_are_understood(
    config: dict[str, Any], api: AmplitudeExportApi
) -> None:
    """Zones, parts of hours, hours that are not ready, and those that PostHog may bill."""
    dates = {"start_date": "2024-01-01T05:30:00+02:00", "end_date": "2024-01-11T12:10:00Z"}
    findings = found({**config, **dates}, api.url)
    assert "The first hour is 2024-01-01T03:00:00Z" in of(findings, "dates", Level.OK)[0]
    told = " ".join(of(findings, "dates", Level.NOTE))
    assert "`start_date` counts as 2024-01-01T03:00Z" in told
    assert "`end_date` counts as 2024-01-11T13:00Z" in told
    # The clock stands at midnight of the 11th: the hour from 21:00 on is the last that is ready.
    assert "15 hours from 2024-01-10T22:00:00Z on cannot be read yet" in told
    assert "46 hours of them are of the last 48 hours" in told
    assert "set `end_date` to 2024-01-09T00:00:00Z" in told


@pytest.mark.parametrize(
    ("start", "level", "words"),
    [
        ("2030-01-01", Level.FIX, "lies in the future. Correct `start_date`."),
        ("2024-01-10T23:00:00Z", Level.NOTE, "Nothing can be read yet"),
    ],
    ids=["future", "not ready"],
)
def test_a_first_hour_that_cannot_be_read_is_told(
    config: dict[str, Any], api: AmplitudeExportApi, start: str, level: Level, words: str
) -> None:
    """The keys are tried with an hour that can."""
    del config["end_date"]
    findings = found({**config, "start_date": start}, api.url)
    assert words in of(findings, "dates", level)[0]
    assert of(findings, "keys", Level.OK)
    assert [one.start_hour for one in api.requests] == [NOW - 3 * HOUR]


def bookmark_of(api: AmplitudeExportApi, hours: int, region: str = "us") -> Bookmark:
    """The state after some hours of this project."""
    digest = project_digest(region, api.url, api.api_key)
    end = START + hours * HOUR
    covered = Coverage().with_range("123", Covered(START, end))
    return Bookmark(end, export_from=START, project=digest, project_app="123", covered=covered)


def test_a_state_tells_whose_it_is_and_where_the_next_run_begins(
    config: dict[str, Any], api: AmplitudeExportApi
) -> None:
    """The hour that is tried is the next one."""
    findings = found(config, api.url, bookmark=bookmark_of(api, 20))
    (told,) = of(findings, "state", Level.OK)
    assert told == (
        "Its next hour is 2024-01-01T20:00:00Z. It holds hours of app 123 from "
        "2024-01-01T00:00:00Z to 2024-01-01T20:00:00Z (exclusive)."
    )
    assert "4 hours" in of(findings, "dates", Level.OK)[0]
    assert [one.start_hour for one in api.requests] == [START + 20 * HOUR]


def test_a_state_of_another_project_is_told(
    config: dict[str, Any], api: AmplitudeExportApi
) -> None:
    """With the two ways out; the keys are tried all the same."""
    other = replace(bookmark_of(api, 20), project="0123456789abcdef")
    findings = found(config, api.url, bookmark=other)
    (told,) = of(findings, "state", Level.FIX)
    assert "hours of another Amplitude project" in told
    assert "--state-id-suffix" in told
    assert of(findings, "keys", Level.OK)


def test_a_state_of_all_hours_and_one_of_none_are_right(
    config: dict[str, Any], api: AmplitudeExportApi
) -> None:
    """Nothing is left beyond the end; a project that never ran begins at the first hour."""
    done = found(config, api.url, bookmark=bookmark_of(api, 24))
    assert "Nothing is left to read before `end_date`" in of(done, "dates", Level.OK)[0]
    never = found(config, api.url, has_state=True)
    assert "It is empty" in of(never, "state", Level.OK)[0]


def test_an_archive_tells_what_it_holds_and_what_is_left_out(tmp_path: Path) -> None:
    """Files, hours and app; the first hour is read to its end."""
    files = hour_files(0, 1, 5)
    files |= {"notes.txt": b"hello", "123_2024-01-01_7#1.json.gz.part": b"x", ".DS_Store": b"x"}
    findings = found(files_settings(tmp_path, files))
    told = "\n".join(of(findings, "archive", Level.OK))
    assert "3 files of app 123 would be read, 0.0 MB packed: 3 hours with events" in told
    assert "The first hour, 2024-01-01T00:00:00Z: 3 events" in told
    assert "made by a desktop" in told
    assert "without exported events" in " ".join(of(findings, "archive", Level.NOTE))
    assert "6 hours" in of(findings, "dates", Level.OK)[0]
    assert exit_code_of(findings) == 0


@pytest.mark.parametrize(
    ("files", "area", "words"),
    [
        (None, "settings", "does not exist"),
        ({}, "settings", "is empty"),
        ({"readme.txt": b"hello"}, "archive", "holds no export files of Amplitude"),
        ({file_name(0): b"\x1f\x8bdamaged"}, "archive", "cannot be read to its end"),
        ({file_name(0): b"damaged"}, "archive", "cannot be read"),
    ],
    ids=["missing", "empty", "foreign", "damaged", "no gzip"],
)
def test_an_archive_that_cannot_be_read_is_told(
    tmp_path: Path, files: dict[str, bytes] | None, area: str, words: str
) -> None:
    """Before a run finds out, and nothing else is to fix."""
    folder = tmp_path / "files"
    if files is not None:
        folder.mkdir()
        write_files(folder, files)
    findings = found({"archive_path": str(folder)})
    (told,) = of(findings, area, Level.FIX)
    assert words in told
    assert [one.area for one in findings if one.level is Level.FIX] == [area]
    assert exit_code_of(findings) == 2


def test_lines_that_are_no_events_are_counted(tmp_path: Path) -> None:
    """And not shown."""
    content = packed(hour_rows(0)) + gzip.compress(b"hush\nhush\n")
    (told,) = of(found(files_settings(tmp_path, {file_name(0): content})), "archive", Level.FIX)
    assert told.startswith("2 of 5 lines are not events.")
    assert "on_bad_line" in told
    assert "hush" not in told


def test_a_state_with_all_files_leaves_none(tmp_path: Path) -> None:
    """The next run would read nothing, and says so."""
    covered = Coverage().with_range("123", Covered(START, START + HOUR, files=1))
    state = Bookmark(START + HOUR, export_from=START, covered=covered)
    findings = found(files_settings(tmp_path, hour_files(0)), bookmark=state)
    assert "holds no file that the next run would read" in of(findings, "archive", Level.NOTE)[0]


@pytest.mark.parametrize(
    ("free", "level", "words"),
    [
        (10**8, Level.FIX, "The disk is full"),
        (10 * 1024**3, Level.NOTE, "Set `max_spool_gb` to 5, or make room"),
        (100 * 1024**3, Level.OK, "at most 32 GB"),
    ],
    ids=["full", "tight", "free"],
)
def test_the_disk_is_held_against_the_spool(
    tmp_path: Path, free: int, level: Level, words: str
) -> None:
    """Downloads and batch files may take as much each."""
    finding = disk_finding(["downloads", "batch files"], tmp_path, free, 16 * 1024**3)
    assert finding.level is level
    assert words in f"{finding.text} {finding.remedy}"


def test_batch_files_and_downloads_on_one_disk_are_added(
    config: dict[str, Any],
    api: AmplitudeExportApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each may take `max_spool_gb`."""
    usage = namedtuple("usage", ["total", "used", "free"])  # noqa: PYI024 - as `shutil` has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, 3 * 1024**3))
    batch = {"encoding": {}, "storage": {"root": f"file://{tmp_path}/batch"}}
    (disk,) = of(found({**config, "batch_config": batch}, api.url), "disk", Level.OK)
    assert disk.startswith("3.0 GB free for downloads and batch files")
    assert "at most 2 GB" in disk


def test_batch_files_and_rejects_in_buckets_are_tried(
    config: dict[str, Any], api: AmplitudeExportApi
) -> None:
    """A file is put there and taken away."""
    batch = {"encoding": {}, "storage": {"root": "memory://bucket/batch"}}
    places = {"batch_config": batch, "on_bad_line": "reject", "rejects_path": "memory://bucket/r"}
    findings = found({**config, **places}, api.url)
    assert "put there and removed" in of(findings, "batch", Level.OK)[0]
    assert "put there and removed" in of(findings, "rejects", Level.OK)[0]
    assert fsspec.filesystem("memory").find("/bucket") == []


def test_an_unencrypted_address_is_told(config: dict[str, Any]) -> None:
    """Of another machine; nobody listens on the wire of this one."""
    config = {**config, "api_url": "http://amplitude.invalid", "max_retry_seconds": 0}
    assert "travel unencrypted" in of(found(config), "address", Level.NOTE)[0]


def test_the_patience_of_a_check_is_that_of_a_person(
    config: dict[str, Any], api: AmplitudeExportApi
) -> None:
    """Half a minute, or what `max_retry_seconds` allows, if that is less."""
    settings = Settings.read(read_given({**config, "api_url": api.url}, schema(), problems).config)
    assert AmplitudeQuestions(settings, "test/1")._patience == 30
    short = replace(settings, retry_seconds=5)
    assert AmplitudeQuestions(short, "test/1")._patience == 5
