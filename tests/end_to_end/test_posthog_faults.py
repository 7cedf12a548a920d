"""PostHog fails in every way that is known of, and in the end it holds everything, once."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import Fault, PosthogCapture
from tests.support.faithful import assert_migrated, matched
from tests.support.processes import NEAR_SERVER

if TYPE_CHECKING:
    from tests.support.pipeline import Day

_PASSING: list[tuple[Fault, dict[str, Any]]] = [
    (Fault.STATUS, {"status": 429}),
    (Fault.STATUS, {"status": 429, "retry_after": 1}),
    *((Fault.STATUS, {"status": status}) for status in (408, 500, 502, 503, 504)),
    (Fault.LOSE_ANSWER, {}),
    (Fault.CUT_BEFORE_STORE, {}),
]
_PAUSE = (Fault.SLOW, {"seconds": 0})


@pytest.fixture(autouse=True)
def _one_lane(day: Day) -> None:
    """Faults meet the requests in one order."""
    day.environment = NEAR_SERVER


def test_what_passes_is_waited_out(day: Day) -> None:
    """The same body is sent again, so that nothing is lost and nothing doubled."""
    day.target["max_batch_events"] = 25
    for fault, details in _PASSING:
        # The try after it, and the batch after that, go well.
        for planned, more in ((fault, details), _PAUSE, _PAUSE):
            day.posthog.fail(planned, **more)
    started = datetime.now(timezone.utc)
    day.run_well()

    assert day.posthog.faults_left == 0
    failed = [one for one in day.posthog.requests if one.status != 200]
    assert len(failed) == len(_PASSING)
    for one in failed:
        *before, last = (other.status for other in day.posthog.requests if other.body == one.body)
        assert last == 200
        assert 200 not in before
    assert (datetime.now(timezone.utc) - started).total_seconds() > 1, "of Retry-After"
    day.assert_whole()


@pytest.mark.parametrize("status", [400, 413])
def test_a_batch_refused_once_is_delivered_in_halves(status: int, day: Day) -> None:
    """A refusal of the whole is no refusal of its parts."""
    day.posthog.fail(Fault.STATUS, status=status, body="request body is too big")
    day.run_well()

    whole, first, second = (request.body["batch"] for request in day.posthog.requests[:3])
    assert first + second == whole
    assert day.rejects() == []
    day.assert_whole()


def test_one_culprit_does_not_take_its_batch_with_it(day: Day) -> None:
    """Only the events that PostHog itself refuses are rejected, each with PostHog's reason."""
    # 413 for the whole request, and for each part of it that holds one of the longest events.
    with PosthogCapture(max_event_bytes=12_000) as posthog:
        day.target |= {"host": posthog.url, "max_batch_events": 500}
        day.run_well()

        rejects = day.rejects()
        assert rejects
        assert {reject["code"] for reject in rejects} == {"refused_by_posthog"}
        assert {reject["stage"] for reject in rejects} == {"send"}
        assert all("413: maximum event size exceeded" in reject["reason"] for reject in rejects)
        refused = {reject["record"]["uuid"] for reject in rejects}
        sizes = {row["uuid"]: len(str(row)) for row in day.export.rows}
        assert min(sizes[uuid] for uuid in refused) > 10_000
        kept = [row for row in day.export.rows if row["uuid"] not in refused]
        assert len(kept) == len(day.export.rows) - len(rejects)
        assert len(list(matched(posthog, kept))) == len(kept)


def test_a_refused_key_stops_the_run_and_the_right_one_goes_on(day: Day) -> None:
    """A 401 is not tried again; nothing counts as delivered that was not."""
    day.posthog.fail(_PAUSE[0], 4, **_PAUSE[1])
    day.posthog.fail(Fault.STATUS, status=401, body="API key is not valid")
    end = day.run()
    assert end.target.exit_code == 2, end.logs
    assert "API key" in end.target.stderr
    assert len(day.posthog.requests) == 5

    day.run_well()
    day.assert_whole()


def test_a_service_that_stays_down_stops_the_run_and_loses_nothing(day: Day) -> None:
    """The target gives up in bounded time, and the next run goes on from the state."""
    day.target["max_retry_seconds"] = 1
    day.posthog.fail(_PAUSE[0], 4, **_PAUSE[1])
    day.posthog.fail(Fault.STATUS, times=1000, status=503)
    end = day.run()
    assert end.target.exit_code == 1, end.logs
    assert "PostHog did not take a batch for 1 s: it answered 503." in end.target.stderr
    assert "Run again" in end.target.stderr

    held = day.posthog.held().keys()
    with PosthogCapture() as mended:
        day.target["host"] = mended.url
        day.run_well()
        mended.events[:0] = day.posthog.events  # one PostHog, before and after
        assert mended.held().keys() > held
        assert_migrated(mended, day.export.rows, day.export.truth)
