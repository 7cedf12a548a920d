"""A day of Amplitude arrives in PostHog: once, whole, and with everybody in their place."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.support.faithful import GROUP, LINK
from tests.support.pipeline import hours_between, hours_of

if TYPE_CHECKING:
    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.pipeline import Day
    from tools.sample_export import Row


def test_a_day_arrives_whole(migrated: Day) -> None:
    """Every row is one event with all its fields, and every person is one person."""
    migrated.assert_whole()
    assert migrated.rejects() == []
    log = migrated.ends[-1].target.stderr
    assert log.count(f"{len(migrated.export.rows):,}") == 2  # exported = accepted
    assert all("sent_at" not in request.body for request in migrated.posthog.requests)


def test_every_hour_is_asked_for_once(migrated: Day) -> None:
    """Hours without events are passed over, and the state stands behind the last one."""
    assert migrated.asked_hours == migrated.hours
    assert migrated.amplitude.hours_served() == dict.fromkeys(migrated.export.hours, 1)
    assert {request.status for request in migrated.amplitude.requests} == {200, 404}
    assert migrated.next_export_hour == f"{migrated.export.end:%Y-%m-%dT%H:%M:%SZ}"


def test_a_link_goes_out_just_before_the_record_that_showed_it(migrated: Day) -> None:
    """PostHog learns whose a device is before the first event that its user sends from it."""
    events = iter(migrated.posthog.events)
    followers = [
        (event, next(after for after in events if after["event"] not in (LINK, GROUP)))
        for event in events
        if event["event"] == LINK
    ]
    assert len(followers) == len(migrated.export.truth.owner_of_device)
    for link, after in followers:
        assert after["distinct_id"] == link["distinct_id"]
        assert after["properties"]["$amplitude_device_id"] == link["properties"]["alias"]
        assert after["timestamp"] == link["timestamp"]


def test_a_second_run_asks_for_new_hours_only(day: Day) -> None:
    """Over all runs together every hour is asked for and delivered once; the last has no work."""
    middle = day.export.start + timedelta(hours=11)
    day.tap["end_date"] = f"{middle:%Y-%m-%dT%H:%M:%SZ}"
    day.run_well()
    assert day.asked_hours == hours_between(day.export.start, middle)

    day.tap["end_date"] = f"{day.export.end:%Y-%m-%dT%H:%M:%SZ}"
    day.run_well()
    assert day.asked_hours == day.hours
    assert day.amplitude.hours_served() == dict.fromkeys(day.export.hours, 1)
    day.assert_whole()

    requests_before = len(day.amplitude.requests), len(day.posthog.requests)
    assert "Nothing to export" in day.run_well().tap.stderr
    assert (len(day.amplitude.requests), len(day.posthog.requests)) == requests_before


def test_hours_that_amplitude_still_loads_wait_for_the_next_run(day: Day) -> None:
    """Hours of the last three are not asked for, even when they hold events already."""
    now = datetime.now(timezone.utc)
    last_hour = now.replace(minute=0, second=0, microsecond=0)
    moved = [_moved(row, last_hour - day.export.hours[-1]) for row in day.export.rows]
    ready = last_hour - timedelta(hours=3)
    with AmplitudeExportApi(moved) as amplitude:
        # The clock may strike during the test; one hour more may be ready then.
        either = (ready, ready + timedelta(hours=1))
        day.tap |= {
            "api_url": amplitude.url,
            "start_date": f"{last_hour - timedelta(hours=24):%Y-%m-%dT%H:%M:%SZ}",
            "end_date": None,
        }
        end = day.run_well()
        assert max(hours_of(amplitude.requests)) in either
    assert "newer than 48 hours" in end.target.stderr
    held = {uuid for uuid, *_ in day.posthog.held()}
    assert {row["uuid"] for row in moved if _hour(row) <= ready} <= held
    assert held.isdisjoint(row["uuid"] for row in moved if _hour(row) > either[1])


def test_rows_in_many_files_of_an_hour_arrive_whole(day: Day) -> None:
    """An hour's rows may lie in dozens of files, read in an order that nobody promises."""
    with AmplitudeExportApi(day.export.rows, rows_per_file=7) as amplitude:
        day.tap["api_url"] = amplitude.url
        day.run_well()
    day.assert_whole()


def test_a_run_whose_state_was_lost_doubles_nothing(day: Day) -> None:
    """Everything is exported again, in another order, and PostHog holds what it held."""
    day.run_well()
    held, links = day.posthog.held().keys(), _count(day.posthog, LINK)

    day.state = None
    day.run_well()
    assert day.amplitude.hours_served() == dict.fromkeys(day.export.hours, 2)
    assert day.posthog.held().keys() == held
    assert _count(day.posthog, LINK) == links, "the ledger forgot what PostHog was told"
    day.assert_whole()


def _moved(row: Row, ahead: timedelta) -> dict[str, Any]:
    """Give a row whose times lie later, its session with them."""
    later = dict(row)
    for name in ("event_time", "client_event_time", "server_received_time", "server_upload_time"):
        if row.get(name):
            later[name] = str(datetime.fromisoformat(row[name]) + ahead)
    return later


def _hour(row: Row) -> datetime:
    moment = datetime.fromisoformat(row["server_upload_time"]).replace(tzinfo=timezone.utc)
    return moment.replace(minute=0, second=0, microsecond=0)


def _count(posthog: PosthogCapture, name: str) -> int:
    return sum(event["event"] == name for event in posthog.events)
