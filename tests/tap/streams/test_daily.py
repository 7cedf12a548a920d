"""Figures day by day, as the tap's process gives them: each complete day once."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.streams.daily import last_complete_day
from tests.fakes import amplitude_answers as answers
from tests.fakes.amplitude_answers import Answer
from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.support.amplitude_project import a_project, days
from tests.support.selecting import config_for, records_of, run_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.processes import Finished


@pytest.fixture
def service() -> Iterator[AmplitudeExportApi]:
    """A project with figures of 200 days."""
    with AmplitudeExportApi([], project=a_project()) as running:
        yield running


def bookmark_of(run: Finished, name: str) -> str | None:
    """Where a stream stands in the last state."""
    day = run.last_state["bookmarks"].get(name, {}).get("replication_key_value")
    return str(day) if day else None


def _series(of: list[date]) -> dict[str, Any]:
    """The content of an answer with the figure 1.5 for some days."""
    return {"series": [[1.5] * len(of)], "xValues": [day.isoformat() for day in of]}


def test_figures_are_read_day_by_day(service: AmplitudeExportApi) -> None:
    """Each complete day once, up to `end_date`, in requests of at most 90 days."""
    run = run_with(config_for(service), "active_users")

    assert records_of(run, "active_users") == [
        {"date": day.isoformat(), "active_users": 100 + number, "new_users": number}
        for number, day in enumerate(days(200))
    ]
    asked = [(r.parameters["m"], r.parameters["start"]) for r in service.project.requests]
    assert asked == [
        (metric, start)
        for start in ("20240101", "20240331", "20240629")
        for metric in ("active", "new")
    ]
    assert bookmark_of(run, "active_users") == "2024-07-18"


def test_the_next_run_goes_on_with_the_next_day(service: AmplitudeExportApi) -> None:
    """No day twice, none left out; nothing new is no failure and keeps the state."""
    name = "average_session_length"
    half = run_with(config_for(service, end_date="2024-04-10T12:00:00Z"), name)
    rest = run_with(config_for(service), name, state=half.last_state)
    done = run_with(config_for(service), name, state=rest.last_state)

    assert bookmark_of(half, name) == "2024-04-09"  # the 10th is not whole before 12:00
    found = [record["date"] for record in (*records_of(half, name), *records_of(rest, name))]
    assert found == [day.isoformat() for day in days(200)]
    assert done.exit_code == 0
    assert records_of(done, name) == []
    assert bookmark_of(done, name) == "2024-07-18"


@pytest.mark.parametrize(
    ("hours", "first"), [(24, "2024-07-12"), (25, "2024-07-11"), (8000, "2024-01-01")]
)
def test_lookback_hours_bring_days_again(
    service: AmplitudeExportApi, hours: int, first: str
) -> None:
    """As many whole days before the bookmark, never before `start_date`; the state moves on."""
    state = {"bookmarks": {"active_users": {"replication_key_value": "2024-07-12"}}}
    run = run_with(config_for(service, lookback_hours=hours), "active_users", state=state)

    found = [record["date"] for record in records_of(run, "active_users")]
    assert (found[0], found[-1]) == (first, "2024-07-18")
    days_told = [
        m["value"]["bookmarks"]["active_users"]["replication_key_value"]
        for m in run.messages
        if m["type"] == "STATE"
    ]
    assert days_told == sorted(days_told)
    assert (days_told[0], days_told[-1]) >= ("2024-07-12", "2024-07-18")


def test_full_table_reads_all_days_again(service: AmplitudeExportApi) -> None:
    """Late events change days that are over: `--full-refresh` brings the new figures."""
    state = {"bookmarks": {"active_users": {"replication_key_value": "2024-07-18"}}}
    run = run_with(config_for(service), "active_users", state=state, full_table=True)

    assert len(records_of(run, "active_users")) == 200


def test_days_that_are_not_over_are_not_asked_for(service: AmplitudeExportApi) -> None:
    """Without `end_date`, up to the last day that is complete in every time zone."""
    now = datetime.now(timezone.utc)
    start = (now - timedelta(days=5)).date()
    run = run_with(config_for(service, start_date=start.isoformat(), end_date=None), "active_users")

    last = {last_complete_day(now), last_complete_day(datetime.now(timezone.utc))}
    assert date.fromisoformat(records_of(run, "active_users")[-1]["date"]) in last


def test_a_failure_keeps_the_days_before_it(service: AmplitudeExportApi) -> None:
    """The state holds every whole answer; the message says up to which day."""
    sound = Answer(200, json.dumps({"data": _series(days(90))}).encode())
    refused = answers.envelope(400, "invalid", "Invalid chart definition", "no")
    service.project.instead.extend([sound, refused])
    name = "average_session_length"
    run = run_with(config_for(service), name)
    rest = run_with(config_for(service), name, state=run.last_state)

    assert run.exit_code == 2
    assert bookmark_of(run, name) == "2024-03-30"
    assert (
        f"The days of `{name}` up to 2024-03-30 are out; the state keeps" in run.lines("ERROR")[-1]
    )
    assert len(records_of(rest, name)) == 110


def test_a_damaged_bookmark_is_told(service: AmplitudeExportApi) -> None:
    """Starting over by itself would hide it."""
    state = {"bookmarks": {"active_users": {"replication_key_value": "last week"}}}
    run = run_with(config_for(service), "active_users", state=state)

    assert run.exit_code == 2
    assert "is not a date (bookmark of `active_users`)" in run.lines("ERROR")[-1]


def test_a_bookmark_that_is_none_is_told(service: AmplitudeExportApi) -> None:
    """Whatever the stream, and without a traceback."""
    state = {"bookmarks": {"active_users": "2024-07-12"}}
    run = run_with(config_for(service), "active_users", state=state)

    assert run.exit_code == 2
    assert "The bookmark of `active_users` is not a JSON object." in run.lines("ERROR")[-1]
