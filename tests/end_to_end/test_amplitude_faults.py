"""Amplitude fails in every way that is known of, and in the end everything has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.amplitude_export_api import AmplitudeExportApi, Fault
from tests.support.faithful import assert_migrated
from tests.support.pipeline import hours_between, hours_of

if TYPE_CHECKING:
    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.pipeline import Pipeline
    from tools.sample_export import SampleExport

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
def test_what_passes_is_waited_out(
    faults: list[tuple[Fault, dict[str, Any]]],
    pipeline: Pipeline,
    export: SampleExport,
    amplitude: AmplitudeExportApi,
    posthog: PosthogCapture,
) -> None:
    """The window is asked for again, comes in another order, and counts only when it is whole."""
    pipeline.tap["max_window_hours"] = 1
    for hour, (fault, details) in zip(export.hours, faults, strict=True):
        amplitude.fail(fault, hour=hour, **details)
    end = pipeline.run_well()

    assert amplitude.pending_faults() == []
    assert len(amplitude.requests) == 24 + len(faults)
    assert amplitude.hours_served() == dict.fromkeys(export.hours, 1)
    assert end.tap.stderr.count("Trying again") == len(faults)
    assert_migrated(posthog, export.rows, export.truth)


def test_too_much_at_once_is_split_until_it_fits(
    pipeline: Pipeline, export: SampleExport, posthog: PosthogCapture
) -> None:
    """Every window above the limit of size is halved; the hours still come in order, once."""
    with AmplitudeExportApi(export.rows, size_limit=40_000) as amplitude:
        pipeline.tap |= {"api_url": amplitude.url, "max_window_hours": 24}
        pipeline.run_well()
        assert 400 in {request.status for request in amplitude.requests}
        assert sorted(hours_of(amplitude.requests)) == hours_between(export.start, export.end)
        assert amplitude.hours_served() == dict.fromkeys(export.hours, 1)
    assert_migrated(posthog, export.rows, export.truth)


def test_a_gateway_that_times_out_gets_shorter_windows(
    pipeline: Pipeline, export: SampleExport, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> None:
    """A 504 halves a window of several hours, and is waited out for a single hour."""
    amplitude.fail(Fault.GATEWAY_TIMEOUT_504, hour=export.hours[0])  # one hour: the first window
    amplitude.fail(Fault.GATEWAY_TIMEOUT_504, times=2, hour=export.hours[3])
    pipeline.run_well()

    timed_out = [request for request in amplitude.requests if request.status == 504]
    lengths = [1 + (one.end_hour - one.start_hour).seconds // 3600 for one in timed_out]
    assert lengths[0] == 1
    assert lengths[2] == lengths[1] // 2
    assert amplitude.pending_faults() == []
    assert sorted(hours_of(amplitude.requests)) == hours_between(export.start, export.end)
    assert_migrated(posthog, export.rows, export.truth)


def test_an_answer_that_does_not_come_counts_as_too_much(
    pipeline: Pipeline, export: SampleExport, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> None:
    """A read time-out halves the window as a 504 does; a stall in the middle is asked for again."""
    pipeline.tap["request_timeout_seconds"] = 1
    amplitude.fail(Fault.SLOW, hour=export.hours[2], seconds=60)
    amplitude.fail(Fault.SLOW, hour=export.hours[4], seconds=60, after_bytes=2000)
    pipeline.run_well()

    assert amplitude.pending_faults() == []
    assert_migrated(posthog, export.rows, export.truth)


def test_a_service_that_stays_down_stops_the_run_and_loses_nothing(
    pipeline: Pipeline, export: SampleExport, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> None:
    """The tap gives up in bounded time, says what is saved, and the next run goes on from there."""
    pipeline.tap |= {"max_retry_seconds": 1, "max_window_hours": 1}
    amplitude.fail(Fault.SERVER_5XX, times=None, hour=export.hours[5])
    end = pipeline.run()
    assert end.tap.exit_code == 1, end.logs
    assert f"hour {export.hours[5]:%Y-%m-%dT%H}Z" in end.tap.stderr
    assert pipeline.next_export_hour == f"{export.hours[5]:%Y-%m-%dT%H:%M:%SZ}"
    asked_before = len(amplitude.requests)

    amplitude.recover()
    pipeline.run_well()
    asked = amplitude.requests[asked_before:]
    assert sorted(hours_of(asked)) == hours_between(export.hours[5], export.end)
    assert_migrated(posthog, export.rows, export.truth)


def test_what_does_not_pass_stops_at_once(
    pipeline: Pipeline, export: SampleExport, amplitude: AmplitudeExportApi, posthog: PosthogCapture
) -> None:
    """Keys revoked half way and refused requests are not tried again; the next run goes on."""
    pipeline.tap |= {"max_window_hours": 1, "parallel_downloads": 1}
    begin = export.start
    for hour, fault, told in (
        (export.hours[3], Fault.FORBIDDEN_403, "`region`"),
        (export.hours[5], Fault.OTHER_400, "Invalid user property country"),
    ):
        asked_before = len(amplitude.requests)
        amplitude.fail(fault, hour=hour)
        end = pipeline.run()
        assert end.exit_codes == (2, 0), end.logs
        assert told in end.tap.stderr
        assert len(amplitude.requests) == asked_before + 1 + len(hours_between(begin, hour))
        begin = hour

    pipeline.run_well()
    assert amplitude.hours_served() == dict.fromkeys(export.hours, 1)
    assert_migrated(posthog, export.rows, export.truth)
