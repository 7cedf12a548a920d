"""The whole target at an agreed speed and over a slow link: never too fast, never out of order."""

from __future__ import annotations

import itertools
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from target_posthog.capture import client
from tests.fakes.posthog_capture import Fault
from tests.support.histories import IDENTITIES, held_events, keys_of, people, with_states
from tests.support.rows import rows, uuid_of
from tests.support.singer import counts_in
from tests.support.target_in_process import no_waits, run_here

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json

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


def test_one_request_holds_no_more_than_a_second_of_the_speed(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """Else the whole of a batch would arrive at once; half an event a second is one in two."""
    settings = {**config, "max_events_per_second": 60}
    run_here(settings, with_states(rows(range(130)), every=130), tmp_path).checked()
    assert [len(request.body["batch"]) for request in capture.requests] == [60, 60, 10]
    assert_held(capture, 60)

    capture.requests.clear()
    settings["max_events_per_second"] = 1.5
    run_here(settings, with_states(rows(range(3)), every=3), tmp_path).checked()
    assert [len(request.body["batch"]) for request in capture.requests] == [1] * 3
    assert_held(capture, 1.5)


@BOTH
def test_an_agreed_speed_is_held_and_repeats_count_as_events(
    tmp_path: Path, config: Json, capture: PosthogCapture, protocol: str
) -> None:
    """PostHog has to read them, too, whether it was down or put them off."""
    sent = rows(range(160))
    settings = {**config, "protocol": protocol, "max_events_per_second": 160}
    capture.fail(Fault.STATUS, times=2, status=503)
    capture.fail(Fault.LOSE_ANSWER, times=2)
    capture.retry_v1([uuid_of(number) for number in range(100, 120)])
    with no_waits():
        ended = run_here(
            {**settings, "max_batch_events": 20}, with_states(sent, every=160), tmp_path
        ).checked()
    assert len(capture.requests) == 8 + 4 + (protocol == "v1")
    assert_held(capture, 160)
    assert held_events(capture) == keys_of(sent)
    assert counts_in(ended.stderr)["accepted"] == 160


def test_an_agreed_speed_is_held_over_all_requests_under_way(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """They share it, however many there are."""
    sent = people(800)
    settings = {**config, "max_events_per_second": 400, "max_batch_events": 20}
    capture.fail(Fault.SLOW, times=10_000, seconds=0.3)
    run_here(settings, with_states(sent, every=800), tmp_path).checked()
    assert capture.most_under_way > 2
    assert_held(capture, 400)
    assert_in_order(capture, sent)
    assert held_events(capture) == keys_of(sent)


@BOTH
def test_over_a_slow_link_several_requests_are_under_way(
    tmp_path: Path, config: Json, capture: PosthogCapture, protocol: str
) -> None:
    """Each device's events arrive in order all the same, and exactly once."""
    sent = people(1000)
    settings = {**config, "protocol": protocol, "max_batch_events": 10}
    capture.fail(Fault.SLOW, times=10_000, seconds=0.05)
    ended = run_here(settings, with_states(sent, every=1000), tmp_path).checked()
    assert 1 < capture.most_under_way <= 8
    assert_in_order(capture, sent)
    assert len(capture.events) == len(capture.held()) == 1010
    assert held_events(capture) == keys_of(sent)
    counts = counts_in(ended.stderr)
    assert (counts["accepted"], counts["links"]) == (1000, 10)


@BOTH
def test_over_a_slow_link_faults_do_not_change_the_order(
    tmp_path: Path, config: Json, capture: PosthogCapture, protocol: str
) -> None:
    """A device's later events wait while its request is tried again, halved or put off."""
    sent = people(1000)
    settings = {**config, "protocol": protocol, "max_batch_events": 10}
    for fault, details in (
        (Fault.LOSE_ANSWER, {}),
        (Fault.STATUS, {"status": 503}),
        (Fault.CUT_BEFORE_STORE, {}),
        (Fault.STATUS, {"status": 413}),
    ):
        capture.fail(Fault.SLOW, times=20, seconds=0.05)
        capture.fail(fault, **details)
    capture.fail(Fault.SLOW, times=10_000, seconds=0.05)
    capture.retry_v1([uuid_of(number) for number in (500, 911)])
    with no_waits():
        ended = run_here(settings, with_states(sent, every=1000), tmp_path).checked()
    assert capture.most_under_way > 1
    assert held_events(capture) == keys_of(sent)
    assert counts_in(ended.stderr)["accepted"] == 1000
    if protocol == "batch":
        assert_in_order(capture, sent)


@pytest.mark.parametrize(("seconds", "is_near"), [(0.0, True), (1.0, False)])
def test_a_near_server_has_one_request_at_a_time(
    tmp_path: Path,
    config: Json,
    capture: PosthogCapture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    seconds: float,
    is_near: bool,
) -> None:
    """All rows keep their order then, not only those of one device.

    How far it is, its answers tell: by a clock of their own here, as a busy machine is late, too.
    """
    moments = itertools.count(step=seconds)
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    # Far servers take a while, so that requests overlap.
    capture.fail(Fault.SLOW, times=0 if is_near else 10_000, seconds=0.05)
    sent = people(1000)
    run_here({**config, "max_batch_events": 20}, with_states(sent, every=1000), tmp_path).checked()
    assert (capture.most_under_way == 1) == is_near
    order = [event["uuid"] for event in capture.events if event["event"] not in IDENTITIES]
    assert sorted(order) == sorted(one["uuid"] for one in sent)
    assert order == [one["uuid"] for one in sent] or not is_near
