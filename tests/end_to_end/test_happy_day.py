"""A day of Amplitude arrives in PostHog: once, whole, and with everybody in their place."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tests.fakes.amplitude_export_api import AmplitudeExportApi
from tests.support.faithful import GROUP, LINK, assert_migrated
from tests.support.pipeline import hours_between, hours_of

if TYPE_CHECKING:
    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.pipeline import Migrated, Pipeline
    from tools.sample_export import Row, SampleExport


def test_a_day_arrives_whole(migrated: Migrated, export: SampleExport) -> None:
    """Every row is one event with all its fields, and every person is one person."""
    assert_migrated(migrated.posthog, export.rows, export.truth)
    assert migrated.pipeline.rejects() == []
    log = migrated.pipeline.ends[-1].target.stderr
    assert log.count(f"{len(export.rows):,}") == 2  # exported = accepted
    assert all("sent_at" not in request.body for request in migrated.posthog.requests)


def test_every_hour_is_asked_for_once(migrated: Migrated, export: SampleExport) -> None:
    """Hours without events are passed over, and the state stands behind the last one."""
    amplitude = migrated.amplitude
    assert sorted(hours_of(amplitude.requests)) == hours_between(export.start, export.end)
    assert amplitude.hours_served() == dict.fromkeys(export.hours, 1)
    assert {request.status for request in amplitude.requests} == {200, 404}
    assert migrated.pipeline.next_export_hour == f"{export.end:%Y-%m-%dT%H:%M:%SZ}"


def test_a_link_goes_out_just_before_the_record_that_showed_it(
    migrated: Migrated, export: SampleExport
) -> None:
    """PostHog learns whose a device is before the first event that its user sends from it."""
    events = iter(migrated.posthog.events)
    followers = [
        (event, next(after for after in events if after["event"] not in (LINK, GROUP)))
        for event in events
        if event["event"] == LINK
    ]
    assert len(followers) == len(export.truth.owner_of_device)
    for link, after in followers:
        assert after["distinct_id"] == link["distinct_id"]
        assert after["properties"]["$amplitude_device_id"] == link["properties"]["alias"]
        assert after["timestamp"] == link["timestamp"]


def test_a_second_run_asks_for_new_hours_only(
    pipeline: Pipeline, export: SampleExport, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> None:
    """Over all runs together every hour is asked for and delivered once; the last has no work."""
    middle = export.start + timedelta(hours=11)
    pipeline.tap["end_date"] = f"{middle:%Y-%m-%dT%H:%M:%SZ}"
    pipeline.run_well()
    assert sorted(hours_of(amplitude.requests)) == hours_between(export.start, middle)

    pipeline.tap["end_date"] = f"{export.end:%Y-%m-%dT%H:%M:%SZ}"
    pipeline.run_well()
    assert sorted(hours_of(amplitude.requests)) == hours_between(export.start, export.end)
    assert amplitude.hours_served() == dict.fromkeys(export.hours, 1)
    assert_migrated(posthog, export.rows, export.truth)

    requests_before = len(amplitude.requests), len(posthog.requests)
    assert "Nothing to export" in pipeline.run_well().tap.stderr
    assert (len(amplitude.requests), len(posthog.requests)) == requests_before


def test_hours_that_amplitude_still_loads_wait_for_the_next_run(
    pipeline: Pipeline, export: SampleExport, posthog: PosthogCapture
) -> None:
    """Hours of the last three are not asked for, even when they hold events already."""
    now = datetime.now(timezone.utc)
    last_hour = now.replace(minute=0, second=0, microsecond=0)
    moved = [_moved(row, last_hour - export.hours[-1]) for row in export.rows]
    ready = last_hour - timedelta(hours=3)
    with AmplitudeExportApi(moved) as amplitude:
        # The clock may strike during the test; one hour more may be ready then.
        either = (ready, ready + timedelta(hours=1))
        pipeline.tap |= {
            "api_url": amplitude.url,
            "start_date": f"{last_hour - timedelta(hours=24):%Y-%m-%dT%H:%M:%SZ}",
            "end_date": None,
        }
        end = pipeline.run_well()
        assert max(hours_of(amplitude.requests)) in either
    assert "newer than 48 hours" in end.target.stderr
    held = {uuid for uuid, *_ in posthog.held()}
    assert {row["uuid"] for row in moved if _hour(row) <= ready} <= held
    assert held.isdisjoint(row["uuid"] for row in moved if _hour(row) > either[1])


def test_rows_in_many_files_of_an_hour_arrive_whole(
    pipeline: Pipeline, export: SampleExport, posthog: PosthogCapture
) -> None:
    """An hour's rows may lie in dozens of files, read in an order that nobody promises."""
    with AmplitudeExportApi(export.rows, rows_per_file=7) as amplitude:
        pipeline.tap["api_url"] = amplitude.url
        pipeline.run_well()
    assert_migrated(posthog, export.rows, export.truth)


def test_a_run_whose_state_was_lost_doubles_nothing(
    pipeline: Pipeline, export: SampleExport, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> None:
    """Everything is exported again, in another order, and PostHog holds what it held."""
    pipeline.run_well()
    held, links = posthog.held().keys(), _count(posthog, LINK)

    pipeline.state = None
    pipeline.run_well()
    assert amplitude.hours_served() == dict.fromkeys(export.hours, 2)
    assert posthog.held().keys() == held
    assert _count(posthog, LINK) == links, "the ledger forgot what PostHog was told"
    assert_migrated(posthog, export.rows, export.truth)


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
