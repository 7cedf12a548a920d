"""The real process over real HTTP: nothing lost, nothing doubled, and no state ahead of PostHog."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.histories import (
    IDENTITIES,
    check_the_repeat,
    held_events,
    identities,
    keys_of,
    people,
    with_states,
)
from tests.support.processes import FREQUENT_STATES, start
from tests.support.rows import row, rows
from tests.support.singer import counts_in, record, schema, state
from tests.support.target import run_apart, started
from tests.support.target_in_process import no_waits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Running
    from tests.support.singer import Json
    from tests.support.target import Target


def test_no_state_is_written_before_posthog_has_answered(target: Target) -> None:
    """A batch that is stored but not acknowledged may as well be lost."""
    target.capture.fail(Fault.SLOW, seconds=2)
    with started(target) as running:
        running.write([schema(), record(row(1)), state({"at": 1})])
        running.wait_for(lambda: target.capture.requests)
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            assert running.stdout == ""
            time.sleep(0.05)
        running.wait_for(lambda: running.stdout)
        assert running.stdout == '{"at": 1}\n'
        assert running.finish().exit_code == 0


@pytest.mark.parametrize("fault", [Fault.STATUS, Fault.CUT_BEFORE_STORE])
def test_no_state_is_written_for_what_posthog_does_not_take(target: Target, fault: Fault) -> None:
    """The run stops with exit code 1, and the next one goes on from the last state."""
    sent = rows(range(4))
    target.capture.fail(Fault.SLOW, seconds=0)
    target.capture.fail(fault, times=100)
    with no_waits():
        ended = target.run(with_states(sent, every=2), max_batch_events=2)
    assert ended.exit_code == 1
    assert ended.messages == [{"at": 2}]
    assert "max_retry_seconds" in ended.stderr
    assert held_events(target.capture) == keys_of(sent[:2])


def test_states_come_in_the_taps_order_and_the_last_one_always(target: Target) -> None:
    """Some may be left out, as a later one says the same and more."""
    sent = rows(range(40))
    target.capture.fail(Fault.SLOW, times=100, seconds=0.3)
    ended = run_apart(target, with_states(sent, every=5), FREQUENT_STATES, max_batch_events=5)
    places = [value["at"] for value in ended.checked().messages]
    assert places == sorted(set(places))
    assert len(places) > 2
    assert (places[0], places[-1]) == (5, 40)


def test_a_state_that_does_not_change_is_written_once(target: Target) -> None:
    """And it is passed on as the tap wrote it."""
    value = {"bookmarks": {"é": [1, 2.5, None, 2**70]}, "currently_syncing": None}
    ended = target.run([schema(), *[state(value)] * 3]).checked()
    assert ended.messages == [value]
    assert target.capture.requests == []


def test_one_bad_event_is_rejected_alone(target: Target) -> None:
    """PostHog refuses the whole request that holds it; all others arrive, in order."""
    sent = rows(range(60))
    # Small enough as JSON, and too large once PostHog has escaped it for Kafka.
    sent[33]["event_properties"] = {"text": '"' * 300_000}
    ended = target.send(sent).checked()
    assert ended.messages == [{"at": 60}]
    good = [*sent[:33], *sent[34:]]
    assert [event["uuid"] for event in target.capture.events] == [one["uuid"] for one in good]
    assert counts_in(ended.stderr)["rejected"] == 1
    (path,) = (target.folder / "rejects").iterdir()
    (line,) = target.rejects
    assert (line["code"], line["stage"], line["record"]) == ("refused_by_posthog", "send", sent[33])
    assert "target-posthog-rejects" in ended.stderr
    assert str(path.relative_to(target.folder)) in ended.stderr


def test_every_record_has_one_fate(target: Target) -> None:
    """Exported = accepted + skipped + rejected, whatever the records are."""
    odd: list[Json] = [
        row(1),
        row(1),
        row(2, event_type="left out"),
        row(3, event_time="no", server_upload_time="no"),
        row(4, event_type=" "),
        row(5, user_id="x" * 201),
        row(6, user_id="null", amplitude_id=None),
        row(7, event_time="9999-12-31 00:00:00.000000"),
        row(8, event_properties={"text": "x" * 900_000}),
        {"event_type": "only", "amplitude_id": None},
        {"uuid": 5},
        {},
    ]
    ended = target.send(odd, skip_events=["left*"], source_format="amplitude").checked()
    counts = counts_in(ended.stderr)
    assert (counts["exported"], counts["skipped"], counts["rejected"]) == (len(odd), 2, 9)
    assert counts["accepted"] == len(target.capture.events) == 1
    assert [line["record"] for line in target.rejects] == odd[3:]


def test_too_many_rejects_are_exit_code_3_and_no_state(target: Target) -> None:
    """A wrong mapping must not fill a disk, nor count as done."""
    bad = row(1, event_time="no", server_upload_time="no")
    messages = [schema(), *[record(bad)] * 10_002, state({"at": 1})]
    ended = target.run(messages, max_reject_ratio=0.1)
    assert ended.exit_code == 3
    assert ended.stdout == ""
    assert "10,001 of 10,001 records were rejected" in ended.stderr
    assert "max_reject_ratio" in ended.stderr
    assert target.capture.requests == []


@dataclass(frozen=True)
class Moment:
    """When a run is killed: what PostHog does until then, and what must have been seen."""

    fault: Fault
    times: int
    details: dict[str, Any]
    seen: Callable[[Running, PosthogCapture], object]
    protocol: str = "batch"
    #: The share of events that PostHog defers.
    deferred: float = 0


MOMENTS = {
    "at once": Moment(Fault.SLOW, 0, {}, lambda *_: True),
    "first batch is stored and not answered": Moment(
        Fault.SLOW, 1, {"seconds": 30}, lambda _, capture: capture.requests
    ),
    "a later batch is stored and not answered": Moment(
        Fault.SLOW, 30, {"seconds": 0.2}, lambda _, capture: len(capture.requests) > 3
    ),
    "an answer is lost": Moment(
        Fault.LOSE_ANSWER, 2, {}, lambda _, capture: len(capture.requests) > 1
    ),
    "posthog takes nothing": Moment(
        Fault.STATUS, 2, {"retry_after": 1}, lambda target, _: "Trying again" in target.stderr
    ),
    "a state is written": Moment(Fault.SLOW, 30, {"seconds": 0.1}, lambda target, _: target.stdout),
    "a second state is written": Moment(
        Fault.SLOW, 30, {"seconds": 0.1}, lambda target, _: target.stdout.count("\n") > 1
    ),
    "v1: first batch is stored and not answered": Moment(
        Fault.SLOW, 1, {"seconds": 30}, lambda _, capture: capture.requests, "v1"
    ),
    "v1: an answer is lost": Moment(
        Fault.LOSE_ANSWER, 2, {}, lambda _, capture: len(capture.requests) > 1, "v1"
    ),
    "v1: some of a batch are deferred": Moment(
        Fault.SLOW, 0, {}, lambda target, _: "Trying again" in target.stderr, "v1", deferred=0.3
    ),
    "v1: a state is written": Moment(
        Fault.SLOW, 30, {"seconds": 0.1}, lambda target, _: target.stdout, "v1"
    ),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
@pytest.mark.parametrize("goes_on", ["from the state", "from the start"])
def test_a_killed_run_and_its_repeat_hold_exactly_the_source(
    tmp_path: Path, config: Json, capture: PosthogCapture, moment: Moment, goes_on: str
) -> None:
    """From the state on nothing is missing; from the start on nothing is doubled."""
    sent = people(100)
    config |= {"max_batch_events": 10, "protocol": moment.protocol}
    capture.retry_v1(share=moment.deferred)
    capture.fail(moment.fault, times=moment.times, **moment.details)
    with start("target-posthog", config, tmp_path, environment=FREQUENT_STATES) as target:
        target.write(with_states(sent, every=10))
        target.wait_for(lambda: moment.seen(target, capture))
        killed = target.stop(signal.SIGKILL)
    check_the_repeat(config, sent, killed, goes_on, tmp_path, capture)


def test_a_second_run_sends_the_same_events_and_no_link_again(target: Target) -> None:
    """The ledger remembers what PostHog was told; PostHog merges the rest."""
    sent = people(30)
    first = target.run(with_states(sent, every=10)).checked()
    assert counts_in(first.stderr)["links"] == 10
    held, seen = target.capture.held(), len(target.capture.events)
    second = target.run(with_states(sent, every=10)).checked()
    assert counts_in(second.stderr)["links"] == 0
    assert target.capture.held() == held
    again = target.capture.events[seen:]
    assert [event["uuid"] for event in again] == [one["uuid"] for one in sent]


def test_a_run_that_lost_its_ledger_joins_no_device_to_two_users(target: Target) -> None:
    """It cannot know whose a device is; PostHog does, and the user learns what is wrong."""
    sent = [row(n, user_id=user, device_id="tablet") for n, user in enumerate(["u1", "u2", "u2"])]
    first = target.send(sent[:1]).checked()
    assert "ledger" not in first.stderr
    (target.folder / "target-posthog.db").unlink()
    for warnings in (1, 0):  # said once: a later run cannot mend it
        again = target.run(with_states(sent, every=3, first=1)).checked()
        assert again.stderr.count("Keep the ledger between runs") == warnings
    persons = target.capture.persons()
    assert persons.person_of("tablet") == persons.person_of("u1")
    assert persons.person_of("u2") != persons.person_of("u1")
    assert held_events(target.capture) == keys_of(sent)


def test_a_shared_device_stays_with_its_first_user(target: Target) -> None:
    """Linking it to both would make one person of them; the further user is counted."""
    sent = [row(n, user_id=user, device_id="tablet") for n, user in enumerate(["u1", "u2", "u1"])]
    ended = target.send(sent).checked()
    counts = counts_in(ended.stderr)
    assert (counts["links"], counts["shared"]) == (1, 1)
    persons = target.capture.persons()
    assert persons.person_of("tablet") == persons.person_of("u1")
    assert persons.person_of("u2") != persons.person_of("u1")
    assert persons.warnings == []


@pytest.mark.parametrize(
    ("kind", "names"), [("alias", ["$create_alias"]), ("identify", ["$identify"]), ("none", [])]
)
def test_identities_are_told_as_the_user_says(target: Target, kind: str, names: list[str]) -> None:
    """The device's anonymous past joins the user either way, or not at all."""
    sent = [row(1, user_id=None, device_id="phone"), row(2, user_id="u1", device_id="phone")]
    target.send(sent, identity_events=kind).checked()
    assert [event["event"] for event in identities(target.capture)] == names
    persons = target.capture.persons()
    joined = persons.person_of("phone") == persons.person_of("u1")
    assert joined is (kind != "none")


def test_events_arrive_in_the_taps_order_with_each_link_before_its_record(target: Target) -> None:
    """PostHog applies person properties and merges in order of arrival."""
    sent = people(50)
    target.send(sent, max_batch_events=7).checked()
    order = [event["uuid"] for event in target.capture.events if event["event"] not in IDENTITIES]
    assert order == [one["uuid"] for one in sent]
    places = {event["uuid"]: place for place, event in enumerate(target.capture.events)}
    for number in range(10):
        shown = places[sent[10 + number]["uuid"]]
        added = target.capture.events[shown - 1]
        assert (added["event"], added["distinct_id"]) == ("$create_alias", f"user-{number}")
