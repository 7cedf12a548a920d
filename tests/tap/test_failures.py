"""What the user sees when something is wrong: one clear line, the right exit code, no secret."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tap_amplitude import cli as program
from tap_amplitude.common.signals import Signals
from tap_amplitude.errors import DamagedArchive, FixConfiguration, TapError
from tap_amplitude.streams import events
from tap_amplitude.tap import TapAmplitude
from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.batches import the_error
from tests.support.export_files import file_name, hour_files, write_zip
from tests.support.export_settings import export_settings, files_settings
from tests.support.processes import (
    TAP_COMMAND,
    Running,
    run_tap,
    run_with_little_room,
    start,
)
from tests.support.rows import HOUR, START, hour_rows, ids, noisy_rows
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

KEY = "amplitude-api-key-0123456789"
SECRET = "amplitude-secret-9876543210"
VALID = {"api_key": KEY, "secret_key": SECRET, "start_date": "2024-01-01"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"api_key": None}, "`api_key` is missing"),
        ({"api_key": ""}, "`api_key` is missing"),
        ({"secret_key": None}, "`secret_key` is missing"),
        ({"start_date": None}, "`start_date` is missing"),
        ({"api_key": f" {KEY}"}, "`api_key` has blanks"),
        ({"secret_key": f"{SECRET}\n"}, "`secret_key` has blanks"),
        ({"secret_key": 12345678987654321}, "`secret_key` must be text"),
        ({"region": "de"}, "`region`"),
        ({"region": SECRET}, "`region`"),  # pasted into the wrong setting
        ({"start_date": "last year"}, "`start_date` is 'last year', which is not a valid date"),
        ({"start_date": "2024-02-30"}, "which is not a valid date"),
        ({"start_date": 20240101}, "`start_date`"),
        ({"end_date": "2024-13-01"}, "`end_date` is '2024-13-01'"),
        ({"end_date": "2023-12-31"}, "not before `end_date`"),
        ({"end_date": "2024-01-01T00:00:00Z"}, "not before `end_date`"),
        ({"api_url": "amplitude.com"}, "`api_url` is not a valid URL"),
        ({"api_url": "ftp://amplitude.com"}, "`api_url` is not a valid URL"),
        ({"api_url": "https://me:pass@amplitude.com"}, "`api_url` must hold no user"),
        ({"max_window_hours": 0}, "`max_window_hours`"),
        ({"max_window_hours": 8761}, "`max_window_hours`"),
        ({"max_window_hours": "many"}, "`max_window_hours`"),
        ({"on_bad_line": "skip"}, "`on_bad_line`"),
        ({"max_reject_ratio": 1.5}, "`max_reject_ratio` must be from 0 to 1."),
        ({"max_reject_ratio": -0.1}, "`max_reject_ratio` must be from 0 to 1."),
        ({"max_reject_ratio": float("nan")}, "`max_reject_ratio` must be from 0 to 1."),
        ({"max_reject_ratio": "half"}, "`max_reject_ratio`"),
        ({"max_member_gb": 0}, "`max_member_gb`"),
        ({"request_timeout_seconds": 0}, "`request_timeout_seconds`"),
        # Longer than a socket can be told to wait.
        ({"request_timeout_seconds": 10**10}, "`request_timeout_seconds`"),
        ({"max_retry_seconds": -1}, "`max_retry_seconds`"),
        ({"archive_path": "not-there"}, "not-there does not exist"),
        ({"archive_path": "config.json"}, "the name of config.json tells no export hour"),
        ({"archive_path": "notes.txt"}, "notes.txt is not an export file or a .zip"),
        ({"archive_path": "empty"}, "empty is empty"),
        ({"archive_path": "ftp://host/x"}, "is not an address that the tap reads"),
        ({"archive_path": "s3://"}, "names no bucket"),
        ({"archive_path": "gs:///"}, "names no bucket"),
    ],
)
def test_a_bad_setting_is_named_with_its_fix(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], told: str
) -> None:
    """Exit code 2, and one line that names the setting and repeats no secret."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("notes")
    with caplog.at_level("DEBUG"), pytest.raises(FixConfiguration) as caught:
        TapAmplitude(config=VALID | changes)

    assert caught.value.exit_code == 2
    assert told in str(caught.value)
    for output in (str(caught.value), caplog.text):
        assert SECRET not in output
        assert KEY not in output
        assert "12345678987654321" not in output


def test_an_end_beyond_all_hours_is_no_end(tmp_path: Path) -> None:
    """Some write the last moment that there is for "until now"."""
    config = files_settings(tmp_path, hour_files(0))

    assert len(run_here({**config, "end_date": "9999-12-31T23:59:59Z"}).checked().records) == 3


def test_a_configuration_may_come_through_a_pipe(tmp_path: Path) -> None:
    """`--config <(make-config)` can be read only once; the last file wins."""
    first = {"archive_path": "not-there", "on_bad_line": "reject"}
    with start("tap-amplitude", first, tmp_path, "--config", "/dev/stdin") as tap:
        tap.write([files_settings(tmp_path, hour_files(0))])

        assert len(tap.finish().checked().records) == 3


def test_all_bad_settings_are_told_at_once() -> None:
    """Nobody has to run the tap once for each mistake."""
    run = run_here({"start_date": "soon", "end_date": "later"})

    told = the_error(run)
    for name in ("api_key", "secret_key", "start_date", "end_date"):
        assert f"`{name}`" in told
    assert "4 problems" in told


def test_a_null_setting_is_one_that_is_not_set(tmp_path: Path) -> None:
    """Its default applies."""
    nulls = {"region": None, "on_bad_line": None}

    assert run_here(files_settings(tmp_path, hour_files(0), **nulls)).exit_code == 0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"end_dat": "2023-01-01"}, "There is no setting `end_dat`. Did you mean `end_date`?"),
        (
            {"batch_config": {"storage": {"root": "file:///b", "prefx": "x"}}},
            "`batch_config.storage.prefx`. Did you mean `prefix`?",
        ),
        ({"stream_maps": {"event": {"x": "y"}}}, "entry for event, and there is no such stream"),
        ({"stream_maps": {"events": {"x": "upper(y)"}}}, "events, x: there is no function `upper`"),
        (
            {"stream_maps": {"events": {"uuid": None}}},
            "stream events: Removing key property 'uuid' is not permitted",
        ),
        (
            {"stream_maps": {"events": {"x": "float(event_type)"}}},
            "stream events, x: a value cannot be converted",
        ),
        (
            {"stream_maps": {"events": {"x": "{'a'}"}}},
            "stream events, x: it gives a set, which JSON does not have",
        ),
        ({"flattening_enabled": True}, "needs `flattening_max_depth`"),
    ],
)
def test_a_setting_that_cannot_act_stops_the_tap(
    tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    """A misspelt name, a stream map for nothing, or one that fails, is the user's to correct."""
    run = run_here(files_settings(tmp_path, hour_files(0), **settings))

    assert run.exit_code == 2
    assert told in the_error(run)


def test_dates_that_are_not_on_the_hour_are_widened_and_said(tmp_path: Path) -> None:
    """`start_date` goes down, `end_date` goes up: nothing that was asked for is left out."""
    dates = {"start_date": "2024-01-01T01:30:00", "end_date": "2024-01-01T04:59:59.5+01:00"}
    run = run_here(files_settings(tmp_path, hour_files(*range(5)), **dates))

    assert sorted({r["server_upload_time"][11:13] for r in run.records}) == ["01", "02", "03"]
    assert "`start_date` counts as 2024-01-01T01:00Z" in run.stderr
    assert "`end_date` counts as 2024-01-01T04:00Z" in run.stderr


@pytest.mark.parametrize(
    ("option", "content", "told"),
    [
        ("--config", None, "cannot be read"),
        ("--config", b"{", "is not valid JSON"),
        ("--config", b"[]", "is not a JSON object"),
        ("--config", b"\xff\xfe{", "cannot be read"),
        ("--state", None, "No such file"),
        ("--state", b'{"bookmarks":', "is not valid JSON"),
        ("--state", b"\xff", "cannot be read"),
        ("--catalog", None, "No such file"),
        ("--catalog", b"nothing", "is not valid JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, option: str, content: bytes | None, told: str
) -> None:
    """Exit code 2 and the option that the file was given with."""
    file = tmp_path / "given.json"
    if content is not None:
        file.write_bytes(content)
    run = run_tap(tmp_path, VALID, option, str(file))

    assert run.exit_code == 2
    error = the_error(run)
    assert told in error
    assert option in error
    assert "given.json" in error


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"bookmarks": {"events": {"next_export_hour": "soon"}}}, "`next_export_hour` is 'soon'"),
        ({"bookmarks": {"events": {"next_export_hour": 20240101}}}, "which is not a time"),
        ({"bookmarks": {"events": {"next_export_hour": "9999-12-31"}}}, "which is not a time"),
        ({"bookmarks": {"events": {"next_export_hour": "0001-01-01"}}}, "which is not a time"),
        (
            {"bookmarks": {"events": {"next_export_hour": "2024-01-01", "window_hours": "x"}}},
            "`window_hours`",
        ),
        ({"bookmarks": []}, "has no valid `bookmarks`"),
        ({"singer_state": {"bookmarks": {}}}, "has no valid `bookmarks`"),
        ({"bookmarks": {"events": "2024"}}, "not a JSON object"),
        (
            {"bookmarks": {"events": {"replication_key_value": "2024-01-01T00:00:00"}}},
            "another tap",
        ),
    ],
)
def test_a_state_that_cannot_be_meant_is_refused(
    tmp_path: Path, state: dict[str, Any], told: str
) -> None:
    """Starting over by itself would export years again; so the tap asks."""
    with pytest.raises(FixConfiguration) as caught:
        TapAmplitude(config=files_settings(tmp_path, hour_files(0)), state=state)

    assert told in str(caught.value)
    assert "meltano state" in str(caught.value)


@pytest.mark.parametrize("state", [{}, {"bookmarks": {}}, {"bookmarks": {"events": {}}}])
def test_an_empty_state_starts_at_the_beginning(tmp_path: Path, state: dict[str, Any]) -> None:
    """What Meltano gives to a first run, or to one with `--full-refresh`."""
    tap = TapAmplitude(config=files_settings(tmp_path, hour_files(0)), state=state)

    assert "next_export_hour" not in json.dumps(tap.state)


def test_states_of_other_streams_are_kept(tmp_path: Path) -> None:
    """A state that a newer version wrote loses nothing here."""
    others = {"cohorts": {"seen": "2024-01-01"}}
    run = run_here(files_settings(tmp_path, hour_files(0)), state={"bookmarks": others})

    assert run.last_state["bookmarks"]["cohorts"] == {"seen": "2024-01-01"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--about"], ["--discover"]])
def test_what_needs_no_configuration_works_without(tmp_path: Path, arguments: list[str]) -> None:
    """A catalog and the list of settings can be had before anything is set up."""
    with Running([TAP_COMMAND, *arguments], tmp_path) as tap:
        done = tap.finish().checked()

    assert done.stdout
    assert done.lines("ERROR") == []


def test_a_wrong_option_exits_with_2(tmp_path: Path) -> None:
    """A mistake on the command line is a mistake of configuration."""
    run = run_tap(tmp_path, VALID, "--catalogue")

    assert run.exit_code == 2
    assert "--catalogue" in the_error(run)


def test_an_object_may_come_as_meltano_writes_it_into_the_environment(tmp_path: Path) -> None:
    """With dots in its keys, as `meltano invoke tap-amplitude:test` does."""
    given = {"encoding.format": "jsonl", "storage.root": f"file://{tmp_path}/batches"}
    environment = {
        "TAP_AMPLITUDE_ARCHIVE_PATH": files_settings(tmp_path, hour_files(0))["archive_path"],
        "TAP_AMPLITUDE_BATCH_CONFIG": json.dumps(given | {"encoding.compression": "gzip"}),
    }
    run = run_tap(tmp_path, {}, "--config", "ENV", environment=environment)

    assert (run.exit_code, run.lines("ERROR")) == (0, [])
    assert [one["type"] for one in run.messages] == ["SCHEMA", "BATCH", "STATE"]


def test_wrong_environment_values_are_told(tmp_path: Path) -> None:
    """Settings may come from the environment; a number that is none is named."""
    environment = {"TAP_AMPLITUDE_MAX_WINDOW_HOURS": "many"}
    with Running([TAP_COMMAND, "--config=ENV"], tmp_path, environment) as tap:
        run = tap.finish()

    assert run.exit_code == 2
    assert "`max_window_hours` is not a valid integer." in the_error(run)


def failing_settings(api: AmplitudeExportApi, **changes: Any) -> dict[str, Any]:
    """Settings for three hours that do not wait."""
    return export_settings(api, **{"max_window_hours": 1, "max_retry_seconds": 0, **changes})


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (Fault.FORBIDDEN_403, 2, "region"),
        (Fault.UNAUTHORIZED_401, 2, "region"),
        (Fault.OTHER_400, 2, "Invalid user property country"),
        (Fault.NOT_FOUND_ODD, 1, "earlier in this run"),
        (Fault.FORBIDDEN_PAGE, 1, "earlier in this run"),
        (Fault.SIZE_400, 1, "archive_path"),
        (Fault.GATEWAY_TIMEOUT_504, 1, "504"),
        (Fault.SERVER_5XX, 1, "503"),
        (Fault.TRUNCATED_ZIP, 1, "Run the same command again"),
        # In the last file of an hour, found before its first one is read.
        (Fault.CORRUPT_MEMBER, 1, "Run the same command again"),
        (Fault.CORRUPT_LINE, 1, "line 2"),
    ],
)
def test_a_failure_in_a_later_hour_keeps_what_was_done(fault: Fault, code: int, told: str) -> None:
    """The earlier hour is out and in the STATE, nothing of the failed hour is, and it is said."""
    with AmplitudeExportApi(hour_rows(0, 1, 2, each=4), rows_per_file=2) as api:
        api.fail(fault, times=None, hour=START + HOUR)
        run = run_here(failing_settings(api))

    assert run.exit_code == code
    error = the_error(run)
    assert told in error
    assert "All hours before 2024-01-01T01:00:00Z are out" in error
    assert run.states[-1]["next_export_hour"] == "2024-01-01T01:00:00Z"
    assert sorted(run.ids) == sorted(ids(hour_rows(0, each=4)))


def test_no_secret_is_in_any_output_at_debug(tmp_path: Path) -> None:
    """Keys stay out of the log and of the messages, in success, refusal and retry."""
    with AmplitudeExportApi(hour_rows(0, 1, 2), api_key=KEY, secret_key=SECRET) as api:
        api.fail(Fault.SERVER_5XX)
        config = failing_settings(api, max_retry_seconds=9)
        debug = {"TAP_AMPLITUDE_LOGLEVEL": "DEBUG"}
        good = run_tap(tmp_path, config, environment=debug)
        api.secret_key = "changed"
        bad = run_tap(tmp_path, config, environment=debug)

    assert (good.exit_code, bad.exit_code) == (0, 2)
    assert "DEBUG" in good.stderr
    for run in (good, bad):
        output = run.stderr + json.dumps(run.messages)
        assert KEY not in output
        assert SECRET not in output


def test_record_content_is_in_no_log_line(tmp_path: Path) -> None:
    """Not even of a line that cannot be read."""
    line = b'{"event_type": "personal-content", '
    files = hour_files(0) | {file_name(1).removesuffix(".gz"): line}
    debug = {"TAP_AMPLITUDE_LOGLEVEL": "DEBUG"}
    run = run_tap(tmp_path, files_settings(tmp_path, files), environment=debug)

    assert run.exit_code == 1
    assert "line 1" in the_error(run)
    assert "personal-content" not in run.stderr
    assert "user-1" not in run.stderr


@pytest.mark.parametrize("moment", ["in an hour", "between two states"])
def test_a_target_that_dies_is_one_clear_line(tmp_path: Path, moment: str) -> None:
    """No BrokenPipeError, no traceback, no exit code of Python's own; the spool is clean."""
    spool = tmp_path / "spool"
    # More than a pipe holds, which is 1 MiB at the most; or bytes that stay in Python's buffer.
    rows = noisy_rows(START, 1000, noise_bytes=2000) if moment == "in an hour" else []
    with AmplitudeExportApi(rows) as api:
        api.fail(Fault.SLOW, seconds=1, hour=START + HOUR)
        config = failing_settings(api, spool_path=str(spool))
        with start("tap-amplitude", config, tmp_path, stdout=subprocess.PIPE) as tap:
            tap.read_to(b'"RECORD"' if rows else b'"STATE"')
            tap.output.close()
            run = tap.ended()

    assert run.exit_code == 1
    assert "The target ended" in the_error(run)
    assert "BrokenPipe" not in run.stderr
    assert list(spool.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_behind_the_output_is_one_clear_line(tmp_path: Path) -> None:
    """`tap-amplitude > file` on a full disk stops with exit code 1."""
    config = files_settings(tmp_path, hour_files(0))
    with (
        Path("/dev/full").open("wb") as full,
        start("tap-amplitude", config, tmp_path, stdout=full.fileno()) as tap,
    ):
        run = tap.finish()

    assert run.exit_code == 1
    assert "no room left on the disk" in the_error(run)
    assert "spool_path" not in run.stderr  # which would not help


def test_a_full_disk_behind_the_spool_is_one_clear_line(tmp_path: Path) -> None:
    """A download that does not fit stops with the setting that moves the spool."""
    spool = tmp_path / "spool"
    with AmplitudeExportApi(noisy_rows(START, 500), rows_per_file=500) as api:
        config = failing_settings(api, spool_path=str(spool))
        run = run_with_little_room(tmp_path, config)

    assert run.exit_code == 1, run.stderr
    assert "`spool_path`" in the_error(run)
    assert list(spool.iterdir()) == []


def test_a_spool_that_cannot_be_made_is_a_setting_to_fix(tmp_path: Path) -> None:
    """A file in the place of the folder is named."""
    (tmp_path / "spool").write_text("a file")
    with AmplitudeExportApi(hour_rows(0)) as api:
        run = run_here(failing_settings(api, spool_path="spool/here"))

    assert run.exit_code == 2
    assert "`spool_path`" in the_error(run)


def test_the_spool_of_a_killed_run_is_removed_by_the_next(tmp_path: Path) -> None:
    """Downloads of runs that could not clean up do not pile up; those of live runs stay."""
    spool = tmp_path / "spool"
    with AmplitudeExportApi(hour_rows(0)) as api:
        api.fail(Fault.SLOW, seconds=20)
        config = failing_settings(api, spool_path=str(spool))
        with start("tap-amplitude", config, tmp_path) as tap:
            tap.wait_for(lambda: api.under_way)
            (left,) = spool.iterdir()
            os.utime(left, (0, 0))
            run_here(config)

            assert left.exists()
        os.utime(left, (0, 0))
        run_here(config)

    assert not left.exists()


def test_plain_http_to_another_machine_is_warned_about() -> None:
    """The keys would travel in clear; to this machine itself they do not travel."""
    remote = run_here(VALID | {"api_url": "http://amplitude.invalid", "max_retry_seconds": 0})
    with AmplitudeExportApi(hour_rows(0)) as api:
        local = run_here(failing_settings(api))

    assert "unencrypted" in remote.stderr
    assert "unencrypted" not in local.stderr


def test_an_archive_wins_over_keys(tmp_path: Path) -> None:
    """Keys that stay in the environment do not get in the way of an archive."""
    path = write_zip(tmp_path / "export.zip", hour_files(0))
    run = run_here(VALID | {"archive_path": str(path)})

    assert run.exit_code == 0
    assert any("export.zip" in line for line in run.lines("INFO"))
    assert len(run.records) == 3


def exit_code_of(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> int:
    """Run the tap's command in this process, with something in the place of its work."""
    monkeypatch.setattr(program, "SIGNALS", Signals())
    command = SimpleNamespace(main=lambda *_, **__: work())
    return program.run(cast("click.Command", command), [])


def test_a_real_bug_says_so_and_shows_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is not expected comes with a traceback, for the report."""
    monkeypatch.setattr(events, "fast_json", lambda *_, **__: 1 / 0)
    config = files_settings(tmp_path, hour_files(0))

    assert exit_code_of(monkeypatch, lambda: TapAmplitude(config=config).sync_all()) == 1
    assert "This is a bug in tap-amplitude" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    "wrapped", [None, DamagedArchive("The file is damaged.", remedy="Export it again.")]
)
def test_too_many_open_files_are_told_as_such(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrapped: TapError | None
) -> None:
    """The limit of the process is no fault of the file that met it, and no bug."""

    def work() -> None:
        error = OSError(errno.EMFILE, "Too many open files")
        if wrapped is not None:
            raise wrapped from error
        raise error

    assert exit_code_of(monkeypatch, work) == 1
    assert "ulimit -n" in caplog.text
    assert "bug" not in caplog.text
