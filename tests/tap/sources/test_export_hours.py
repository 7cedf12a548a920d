"""Which hours are asked for, and what the state says, over runs."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.windows import floor_to_hour
from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.export_settings import export_settings
from tests.support.processes import read_messages, start
from tests.support.rows import HOUR, START, hour_row, hour_rows, ids, noisy_rows
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.support.processes import Finished
    from tests.support.rows import Json


#: Several megabytes: more than a pipe holds, so that a tap stands still where nobody reads on.
LARGE_HOUR = noisy_rows(START + HOUR, 1000, noise_bytes=2000)


def export(
    rows: Sequence[Json], state: Json | None = None, **settings: Any
) -> tuple[Finished, AmplitudeExportApi]:
    """Run the tap over hours of a project; return the run, and Amplitude as it was left."""
    with AmplitudeExportApi(rows) as api:
        return run_here(export_settings(api, **settings), state=state), api


def asked(api: AmplitudeExportApi, statuses: Iterable[int] = (200, 404)) -> list[datetime]:
    """Every hour of every request that was answered with one of the statuses, in order of hours.

    Requests are made at once, and so come in any order.
    """
    hours: list[datetime] = []
    for request in api.requests:
        if request.status in statuses:
            count = (request.end_hour - request.start_hour) // HOUR + 1
            hours += [request.start_hour + n * HOUR for n in range(count)]
    return sorted(hours)


def test_every_hour_is_asked_for_exactly_once_and_no_other() -> None:
    """The requests tile [start_date, end_date) although both of Amplitude's ends are inclusive."""
    made = hour_rows(0, 1, 5, 23)
    run, api = export([*made, *hour_rows(24)], hours=24)

    assert asked(api) == [START + n * HOUR for n in range(24)]
    assert run.exit_code == 0
    assert Counter(run.ids) == Counter(ids(made))


def test_windows_grow_from_one_hour_and_never_beyond_the_bound() -> None:
    """A quiet project is soon asked for in windows of `max_window_hours`."""
    limits: Json = {"max_window_hours": 6, "parallel_downloads": 1}
    _, api = export(hour_rows(*range(30)), hours=30, **limits)

    sizes = [(r.end_hour - r.start_hour) // HOUR + 1 for r in api.requests]
    assert sizes == [1, 2, 4, 6, 6, 6, 5]


def test_windows_grow_when_several_are_asked_for_at_once_too() -> None:
    """What was asked for before the size grew does not let it grow again."""
    with AmplitudeExportApi(hour_rows(*range(100))) as api:
        # An answer that comes at once can be over before the next request is made.
        api.fail(Fault.SLOW, times=None, seconds=0.2)
        run = run_here(export_settings(api, hours=100, max_window_hours=6, parallel_downloads=4))

        requests = sorted(api.requests, key=lambda request: request.start_hour)
        sizes = [(r.end_hour - r.start_hour) // HOUR + 1 for r in requests]
        assert 1 < api.most_under_way <= 4
    assert sizes[:2] == [1, 2]
    assert 6 in sizes
    assert set(sizes[:-1]) <= {1, 2, 4, 6}
    assert run.ids == ids(hour_rows(*range(100)))


def test_one_state_follows_the_last_record_of_each_hour() -> None:
    """When a STATE names an hour, every record before that hour is already out, and none after."""
    made = hour_rows(0, 1, 2, 7)
    run, _ = export(made, hours=10)

    hours_out: list[str] = []
    for message in run.messages:
        if message["type"] == "RECORD":
            hours_out.append(message["record"]["server_upload_time"][:13])
        if message["type"] == "STATE":
            bookmark = message["value"]["bookmarks"]["events"]["next_export_hour"]
            assert all(hour < bookmark[:13] for hour in hours_out)
            until = bookmark[:13].replace("T", " ")
            held = [r for r in made if r["server_upload_time"][:13] < until]
            assert len(hours_out) == len(held)
    assert [s["next_export_hour"][11:13] for s in run.states][:3] == ["01", "02", "03"]
    assert run.states[-1]["next_export_hour"] == "2024-01-01T10:00:00Z"


def test_state_holds_the_streams_own_keys_only() -> None:
    """No bookkeeping of the SDK for record keys is in any STATE."""
    run, _ = export(hour_rows(0, 3), hours=24)

    assert run.states
    names = {"next_export_hour", "window_hours", "export_until", "export_from", "project", "apps"}
    for state in run.states:
        assert set(state) == names
        assert {type(value) for value in state.values()} == {str, int}
        assert state["export_from"] == "2024-01-01T00:00:00Z"
        assert state["export_until"] == "2024-01-02T00:00:00Z"


def test_the_next_run_starts_exactly_where_the_last_one_stopped() -> None:
    """Two runs ask for each hour once, and the window size is remembered between them."""
    made = hour_rows(*range(48), each=1)
    with AmplitudeExportApi(made) as api:
        first = run_here(export_settings(api, hours=31))
        first_requests = len(api.requests)
        second = run_here(export_settings(api, hours=48), state=first.last_state)

        assert asked(api) == [START + n * HOUR for n in range(48)]
        again = api.requests[first_requests]
        assert again.start_hour == START + 31 * HOUR
        assert (again.end_hour - again.start_hour) // HOUR + 1 == min(
            17, first.states[-1]["window_hours"]
        )
    assert first.states[-1]["window_hours"] > 4
    assert Counter(first.ids + second.ids) == Counter(ids(made))


def test_empty_hours_move_the_state() -> None:
    """A range without any event ends with the state at its end, and no record."""
    run, api = export([], hours=100)

    assert asked(api) == [START + n * HOUR for n in range(100)]
    assert run.exit_code == 0
    assert run.records == []
    assert run.states[-1]["next_export_hour"] == "2024-01-05T04:00:00Z"


def test_hours_that_amplitude_may_still_be_loading_are_not_asked_for() -> None:
    """Without `end_date` the last hour asked for is three hours old, not newer."""
    this_hour = floor_to_hour(datetime.now(timezone.utc))
    dates: Json = {"start_date": (this_hour - 5 * HOUR).isoformat(), "end_date": None}
    run, api = export([hour_row(this_hour - n * HOUR) for n in range(6)], **dates)
    last_asked = max(asked(api))

    # The clock may strike while the test runs.
    hours_now = {this_hour, floor_to_hour(datetime.now(timezone.utc))}
    assert last_asked in {hour - 3 * HOUR for hour in hours_now}
    assert len(run.records) in {3, 4}


def test_nothing_is_asked_for_when_no_hour_is_ready() -> None:
    """A run that comes too early leaves the state as it was and succeeds."""
    later = (datetime.now(timezone.utc) + 10 * HOUR).strftime("%Y-%m-%dT%H:00:00Z")
    state = {"bookmarks": {"events": {"next_export_hour": later, "window_hours": 8}}}
    run, api = export(hour_rows(0), state, hours=24)

    assert api.requests == []
    assert run.exit_code == 0
    assert run.states == [state["bookmarks"]["events"]]


def test_a_window_that_is_too_large_is_halved_and_the_size_remembered() -> None:
    """Every hour arrives once, although windows of more than four hours are refused."""
    made = hour_rows(*range(24), each=20)
    with AmplitudeExportApi(made, size_limit=4 * 1200) as api:
        # Of several at once, more than one could be too large before the first refusal is known.
        run = run_here(export_settings(api, hours=24, parallel_downloads=1))

        assert asked(api) == [START + n * HOUR for n in range(24)]
        refused = [r for r in api.requests if r.status == 400]
        assert len(refused) == 1
    assert Counter(run.ids) == Counter(ids(made))
    assert run.states[-1]["window_hours"] < 8


def test_state_wins_over_start_date_and_says_so_once() -> None:
    """A changed `start_date` does not re-export history by accident."""
    state = {"bookmarks": {"events": {"next_export_hour": "2024-01-01T20:00:00Z"}}}
    run, api = export(hour_rows(*range(24)), state, hours=24)

    assert min(asked(api)) == START + 20 * HOUR
    said = [line for line in run.stderr.splitlines() if "--full-refresh" in line]
    assert len(said) == 1
    assert "2024-01-01T20:00:00Z" in said[0]
    assert "meltano state" in said[0]


def test_killed_in_the_middle_of_an_hour_the_next_run_loses_nothing(tmp_path: Path) -> None:
    """After `kill -9` the state is that of the last whole hour; together all events arrive."""
    made = hour_rows(0, each=2) + LARGE_HOUR
    with AmplitudeExportApi(made, rows_per_file=700) as api:
        config = export_settings(api, hours=2, spool_path=str(tmp_path / "spool"))
        with start("tap-amplitude", config, tmp_path, stdout=subprocess.PIPE) as tap:
            output = tap.output.read(2_000_000)
            tap.process.kill()
            output += tap.output.read()
        before = read_messages(output)
        state = next(m["value"] for m in reversed(before) if m["type"] == "STATE")

        assert state["bookmarks"]["events"]["next_export_hour"] == "2024-01-01T01:00:00Z"
        after = run_here(config, state=state)

        assert asked(api) == [START, START + HOUR, START + HOUR]
    assert sorted(after.ids) == sorted(ids(LARGE_HOUR))
    got = {m["record"]["uuid"] for m in before if m["type"] == "RECORD"} | set(after.ids)
    assert got == set(ids(made))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_stops_with_whole_hours_whole_lines_and_a_clean_spool(
    tmp_path: Path, name: str
) -> None:
    """Exit code 1, one ERROR line, no line cut in two, nothing left in the spool."""
    spool = tmp_path / "spool"
    made = hour_rows(0, each=2) + LARGE_HOUR
    with AmplitudeExportApi(made, rows_per_file=700) as api:
        config = export_settings(api, hours=2, spool_path=str(spool))
        with start("tap-amplitude", config, tmp_path, stdout=subprocess.PIPE) as tap:
            output = tap.output.read(300_000)
            time.sleep(0.3)  # the pipe is full now: the tap is in the middle of a write
            tap.process.send_signal(getattr(signal, name))
            output += tap.output.read()
            run = tap.ended()

    assert run.exit_code == 1
    assert output.endswith(b"\n")
    assert read_messages(output)[-1]["type"] == "RECORD"
    (error,) = run.lines("ERROR")
    assert f"Stopped by {name}" in error
    assert "before 2024-01-01T01:00:00Z" in error
    assert "Traceback" not in run.stderr
    assert list(spool.iterdir()) == []


def test_an_interrupted_download_stops_the_same_way(tmp_path: Path) -> None:
    """A signal while Amplitude is silent ends the tap at once, spool cleaned."""
    spool = tmp_path / "spool"
    with AmplitudeExportApi(hour_rows(0)) as api:
        api.fail(Fault.SLOW, seconds=30)
        config = export_settings(api, hours=1, spool_path=str(spool))
        with start("tap-amplitude", config, tmp_path) as tap:
            tap.wait_for(lambda: api.under_way)
            started = time.monotonic()
            run = tap.stop()

        assert time.monotonic() - started < 10
    assert run.exit_code == 1
    assert "Stopped by SIGTERM" in run.stderr
    assert "No hour was finished in this run" in run.stderr
    assert list(spool.iterdir()) == []


def test_exports_of_whole_days_are_read_day_by_day() -> None:
    """Before 2014-11-12 Amplitude has one file a day: each day comes once, then hours follow."""
    day = datetime(2014, 11, 10, tzinfo=timezone.utc)
    made = [hour_row(day + n * HOUR) for n in range(0, 72, 5)]
    dates: Json = {"start_date": "2014-11-10", "end_date": "2014-11-13"}
    run, api = export(made, max_window_hours=5, **dates)

    assert asked(api) == [day + n * HOUR for n in range(72)]
    assert Counter(run.ids) == Counter(ids(made))
    assert run.states[-1]["next_export_hour"] == "2014-11-13T00:00:00Z"
