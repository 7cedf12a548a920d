"""The whole target at an agreed speed and over a slow link: never too fast, never out of order."""

from __future__ import annotations

import itertools
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from target_posthog.capture import client
from tests.fakes.posthog_capture import Fault
from tests.support.histories import IDENTITIES, held_events, keys_of, people
from tests.support.rows import rows, uuid_of
from tests.support.singer import counts_in
from tests.support.target_in_process import no_waits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json
    from tests.support.target import Target

#: A request may be this late at the stand-in, and the one behind it less: they share a processor
#: with other tests. Seconds.
_LATE = 0.25
BOTH = pytest.mark.parametrize("protocol", ["batch", "v1"])
#: They wait for the speed itself, in real time.
pytestmark = pytest.mark.slow


def assert_held(capture: PosthogCapture, rate: float) -> None:
    """See that in any stretch of t seconds at most rate * t events and one batch arrived."""
    arrived = sorted((request.arrived, len(request.body["batch"])) for request in capture.requests)
    for first, (start, _) in enumerate(arrived):
        events = 0
        for at, count in arrived[first:]:
            # The last of them is the one batch.
            assert events <= rate * (at - start + _LATE), (events, at - start)
            events += count


def assert_in_order(capture: PosthogCapture, sent: Sequence[Json]) -> None:
    """See that each device's events came first in the tap's order, its link in its place."""
    order: dict[str, list[str]] = defaultdict(list)
    seen = set()
    for event in capture.events:
        if event["uuid"] not in seen:
            seen.add(event["uuid"])
            device = event["properties"].get("$device_id") or event["properties"]["alias"]
            is_link = event["event"] in IDENTITIES
            order[device].append("link" if is_link else event["uuid"])
    wanted: dict[str, list[str]] = defaultdict(list)
    for one in sent:
        if one.get("user_id") and "link" not in wanted[one["device_id"]]:
            wanted[one["device_id"]].append("link")
        wanted[one["device_id"]].append(one["uuid"])
    assert order == wanted


def test_one_request_holds_no_more_than_a_second_of_the_speed(target: Target) -> None:
    """Else the whole of a batch would arrive at once; half an event a second is one in two."""
    target.send(rows(range(130)), max_events_per_second=60).checked()
    assert [len(request.body["batch"]) for request in target.capture.requests] == [60, 60, 10]
    assert_held(target.capture, 60)

    target.capture.requests.clear()
    target.send(rows(range(3)), max_events_per_second=1.5).checked()
    assert [len(request.body["batch"]) for request in target.capture.requests] == [1] * 3
    assert_held(target.capture, 1.5)


@BOTH
def test_an_agreed_speed_is_held_and_repeats_count_as_events(target: Target, protocol: str) -> None:
    """PostHog has to read them, too, whether it was down or put them off."""
    sent = rows(range(160))
    settings = {"max_events_per_second": 160, "max_batch_events": 20}
    target.capture.fail(Fault.STATUS, times=2, status=503)
    target.capture.fail(Fault.LOSE_ANSWER, times=2)
    target.capture.retry_v1([uuid_of(number) for number in range(100, 120)])
    with no_waits():
        ended = target.send(sent, protocol=protocol, **settings).checked()
    assert len(target.capture.requests) == 8 + 4 + (protocol == "v1")
    assert_held(target.capture, 160)
    assert held_events(target.capture) == keys_of(sent)
    assert counts_in(ended.stderr)["accepted"] == 160


def test_an_agreed_speed_is_held_over_all_requests_under_way(target: Target) -> None:
    """They share it, however many there are."""
    sent = people(800)
    target.capture.fail(Fault.SLOW, times=10_000, seconds=0.3)
    target.send(sent, max_events_per_second=400, max_batch_events=20).checked()
    assert target.capture.most_under_way > 2
    assert_held(target.capture, 400)
    assert_in_order(target.capture, sent)
    assert held_events(target.capture) == keys_of(sent)


@BOTH
def test_over_a_slow_link_several_requests_are_under_way(target: Target, protocol: str) -> None:
    """Each device's events arrive in order all the same, and exactly once."""
    sent = people(1000)
    target.capture.fail(Fault.SLOW, times=10_000, seconds=0.05)
    ended = target.send(sent, protocol=protocol, max_batch_events=10).checked()
    assert 1 < target.capture.most_under_way <= 8
    assert_in_order(target.capture, sent)
    assert len(target.capture.events) == len(target.capture.held()) == 1010
    assert held_events(target.capture) == keys_of(sent)
    counts = counts_in(ended.stderr)
    assert (counts["accepted"], counts["links"]) == (1000, 10)


@BOTH
def test_over_a_slow_link_faults_do_not_change_the_order(target: Target, protocol: str) -> None:
    """A device's later events wait while its request is tried again, halved or put off."""
    sent = people(1000)
    for fault, details in (
        (Fault.LOSE_ANSWER, {}),
        (Fault.STATUS, {"status": 503}),
        (Fault.CUT_BEFORE_STORE, {}),
        (Fault.STATUS, {"status": 413}),
    ):
        target.capture.fail(Fault.SLOW, times=20, seconds=0.05)
        target.capture.fail(fault, **details)
    target.capture.fail(Fault.SLOW, times=10_000, seconds=0.05)
    target.capture.retry_v1([uuid_of(number) for number in (500, 911)])
    with no_waits():
        ended = target.send(sent, protocol=protocol, max_batch_events=10).checked()
    assert target.capture.most_under_way > 1
    assert held_events(target.capture) == keys_of(sent)
    assert counts_in(ended.stderr)["accepted"] == 1000
    if protocol == "batch":
        assert_in_order(target.capture, sent)


@pytest.mark.parametrize(("seconds", "is_near"), [(0.0, True), (1.0, False)])
def test_a_near_server_has_one_request_at_a_time(
    target: Target, monkeypatch: pytest.MonkeyPatch, *, seconds: float, is_near: bool
) -> None:
    """All rows keep their order then, not only those of one device.

    How far it is, its answers tell: by a clock of their own here, as a busy machine is late, too.
    """
    moments = itertools.count(step=seconds)
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    # Far servers take a while, so that requests overlap.
    target.capture.fail(Fault.SLOW, times=0 if is_near else 10_000, seconds=0.05)
    sent = people(1000)
    target.send(sent, max_batch_events=20).checked()
    assert (target.capture.most_under_way == 1) == is_near
    order = [event["uuid"] for event in target.capture.events if event["event"] not in IDENTITIES]
    assert sorted(order) == sorted(one["uuid"] for one in sent)
    assert order == [one["uuid"] for one in sent] or not is_near
