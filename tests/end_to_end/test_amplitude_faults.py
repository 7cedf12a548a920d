"""Amplitude fails in every way that is known of, and in the end everything has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.pipeline import hours_between, hours_of

if TYPE_CHECKING:
    from tests.support.pipeline import Day

#: What one run meets, each on an hour of its own so that every wait is a first and short one.
_PASSING: dict[str, list[tuple[Fault, dict[str, Any]]]] = {
    "refusals and cuts": [
        (Fault.RATE_LIMIT_429, {}),
        (Fault.RATE_LIMIT_429, {"retry_after": 1}),
        (Fault.SERVER_5XX, {"status": 500}),
        (Fault.SERVER_5XX, {"status": 502}),
        (Fault.SERVER_5XX, {"status": 503}),
        (Fault.CUT_CONNECTION, {}),
        (Fault.CUT_CONNECTION, {"after_bytes": 1000}),
        (Fault.CUT_CONNECTION, {"after_bytes": 5000, "reset": True}),
        # A 404 that does not say "no data" is not taken for an hour without events.
        (Fault.NOT_FOUND_ODD, {}),
    ],
    "wrong archives": [
        (Fault.TRUNCATED_ZIP, {"length": "whole"}),
        (Fault.TRUNCATED_ZIP, {"length": "cut"}),
        (Fault.TRUNCATED_ZIP, {"length": "none"}),
        (Fault.TRUNCATED_GZIP, {}),
        (Fault.CORRUPT_MEMBER, {}),
        (Fault.NOT_A_ZIP_200, {"form": "html"}),
        (Fault.NOT_A_ZIP_200, {"form": "json"}),
        (Fault.NOT_A_ZIP_200, {"form": "zip-typed"}),
        (Fault.EMPTY_BODY_200, {}),
    ],
}


@pytest.mark.parametrize("faults", _PASSING.values(), ids=_PASSING.keys())
def test_what_passes_is_waited_out(faults: list[tuple[Fault, dict[str, Any]]], day: Day) -> None:
    """The window is asked for again, comes in another order, and counts only when it is whole."""
    day.tap["max_window_hours"] = 1
    for hour, (fault, details) in zip(day.export.hours, faults, strict=True):
        day.amplitude.fail(fault, hour=hour, **details)
    end = day.run_well()

    assert day.amplitude.pending_faults() == []
    assert len(day.amplitude.requests) == 24 + len(faults)
    assert day.amplitude.hours_served() == dict.fromkeys(day.export.hours, 1)
    assert end.tap.stderr.count("Trying again") == len(faults)
    day.assert_whole()


def test_too_much_at_once_is_split_until_it_fits(day: Day) -> None:
    """Every window above the limit of size is halved; the hours still come in order, once."""
    with AmplitudeExportApi(day.export.rows, size_limit=40_000) as amplitude:
        day.tap |= {"api_url": amplitude.url, "max_window_hours": 24}
        day.run_well()
        assert 400 in {request.status for request in amplitude.requests}
        assert sorted(hours_of(amplitude.requests)) == day.hours
        assert amplitude.hours_served() == dict.fromkeys(day.export.hours, 1)
    day.assert_whole()


def test_a_gateway_that_times_out_gets_shorter_windows(day: Day) -> None:
    """A 504 halves a window of several hours, and is waited out for a single hour."""
    # The first window is an hour.
    day.amplitude.fail(Fault.GATEWAY_TIMEOUT_504, hour=day.export.hours[0])
    day.amplitude.fail(Fault.GATEWAY_TIMEOUT_504, times=2, hour=day.export.hours[3])
    day.run_well()

    timed_out = [request for request in day.amplitude.requests if request.status == 504]
    lengths = [1 + (one.end_hour - one.start_hour).seconds // 3600 for one in timed_out]
    assert lengths[0] == 1
    assert lengths[2] == lengths[1] // 2
    assert day.amplitude.pending_faults() == []
    assert day.asked_hours == day.hours
    day.assert_whole()


def test_an_answer_that_does_not_come_counts_as_too_much(day: Day) -> None:
    """A read time-out halves the window as a 504 does; a stall in the middle is asked for again."""
    day.tap["request_timeout_seconds"] = 1
    day.amplitude.fail(Fault.SLOW, hour=day.export.hours[2], seconds=60)
    day.amplitude.fail(Fault.SLOW, hour=day.export.hours[4], seconds=60, after_bytes=2000)
    day.run_well()

    assert day.amplitude.pending_faults() == []
    day.assert_whole()


def test_a_service_that_stays_down_stops_the_run_and_loses_nothing(day: Day) -> None:
    """The tap gives up in bounded time, says what is saved, and the next run goes on from there."""
    day.tap |= {"max_retry_seconds": 1, "max_window_hours": 1}
    day.amplitude.fail(Fault.SERVER_5XX, times=None, hour=day.export.hours[5])
    end = day.run()
    assert end.tap.exit_code == 1, end.logs
    assert f"hour {day.export.hours[5]:%Y-%m-%dT%H}Z" in end.tap.stderr
    assert day.next_export_hour == f"{day.export.hours[5]:%Y-%m-%dT%H:%M:%SZ}"
    asked_before = len(day.amplitude.requests)

    day.amplitude.recover()
    day.run_well()
    asked = day.amplitude.requests[asked_before:]
    assert sorted(hours_of(asked)) == hours_between(day.export.hours[5], day.export.end)
    day.assert_whole()


def test_what_does_not_pass_stops_at_once(day: Day) -> None:
    """Keys revoked half way and refused requests are not tried again; the next run goes on."""
    day.tap |= {"max_window_hours": 1, "parallel_downloads": 1}
    begin = day.export.start
    for hour, fault, told in (
        (day.export.hours[3], Fault.FORBIDDEN_403, "`region`"),
        (day.export.hours[5], Fault.OTHER_400, "Invalid user property country"),
    ):
        asked_before = len(day.amplitude.requests)
        day.amplitude.fail(fault, hour=hour)
        end = day.run()
        assert end.exit_codes == (2, 0), end.logs
        assert told in end.tap.stderr
        assert len(day.amplitude.requests) == asked_before + 1 + len(hours_between(begin, hour))
        begin = hour

    day.run_well()
    assert day.amplitude.hours_served() == dict.fromkeys(day.export.hours, 1)
    day.assert_whole()
