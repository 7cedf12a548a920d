"""The whole target speaks v1: every event has PostHog's own word, and none is lost or doubled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import Fault, PosthogCapture
from tests.fakes.posthog_v1_envelope import V1_PATH
from tests.support.histories import held_events, identities, keys_of, people, with_states
from tests.support.rows import row, rows, uuid_of
from tests.support.singer import counts_in
from tests.support.target_in_process import no_waits

if TYPE_CHECKING:
    from tests.fakes.posthog_capture import Request
    from tests.support.singer import Json
    from tests.support.target import Target


@pytest.fixture
def config(config: Json) -> Json:
    """The settings of a target that speaks v1."""
    return {**config, "protocol": "v1"}


def uuids_of(request: Request) -> list[str]:
    """Return the uuids of the events of a request."""
    return [event["uuid"] for event in request.body["batch"]]


def attempt_of(request: Request) -> int:
    """Return which try a request says it is."""
    return int(request.headers["PostHog-Attempt"])


def test_both_protocols_leave_the_same_events_in_posthog(target: Target) -> None:
    """So they may be changed between two runs; only what v1 writes itself differs."""
    sent = people(30)
    target.send(sent).checked()
    ledger = {"ledger_url": "sqlite:///other.db"}
    with PosthogCapture() as other:
        target.send(sent, host=other.url, protocol="batch", **ledger).checked()
        held, expected = target.capture.held(), other.held()
    assert {request.path for request in target.capture.requests} == {V1_PATH}
    assert held.keys() == expected.keys()
    for key, event in expected.items():
        properties = dict(held[key]["properties"])
        assert properties.pop("$lib") == "target-posthog"
        assert properties.pop("$ignore_sent_at") is True
        assert properties.pop("$lib_version")
        properties.pop("source_lib", None)
        assert properties == event["properties"]
        assert held[key]["timestamp"] == event["timestamp"]
        assert held[key]["_historical"]


def test_every_result_is_counted(target: Target) -> None:
    """Taken, taken with a remark, and refused with PostHog's reason in the rejects."""
    sent = rows(range(20))
    target.capture.judge_v1([uuid_of(3), uuid_of(4)], "warning", "person_processing_disabled")
    target.capture.judge_v1([uuid_of(5)], "drop", "event_restriction_drop")
    target.capture.judge_v1([uuid_of(6)], "drop")
    ended = target.send(sent).checked()
    counts = counts_in(ended.stderr)
    assert (counts["accepted"], counts["rejected"]) == (18, 2)
    assert "warnings            2  person_processing_disabled 2" in ended.stderr
    assert "refused_by_posthog 2" in ended.stderr
    assert [
        (line["code"], line["stage"], line["reason"], line["record"]) for line in target.rejects
    ] == [
        ("refused_by_posthog", "send", "PostHog answered event_restriction_drop", sent[5]),
        ("refused_by_posthog", "send", "PostHog answered no reason given", sent[6]),
    ]
    assert held_events(target.capture) == keys_of([*sent[:5], *sent[7:]])
    assert len(target.capture.requests) == 1


def test_one_event_that_is_too_big_costs_no_further_request(target: Target) -> None:
    """v1 names it, where batch has to be halved down to it."""
    sent = rows(range(30))
    # Small enough as JSON, and too large once PostHog has escaped it for Kafka.
    sent[7]["event_properties"] = {"text": '"' * 300_000}
    target.send(sent).checked()
    (line,) = target.rejects
    assert (line["reason"], line["record"]) == ("PostHog answered event_too_big", sent[7])
    assert held_events(target.capture) == keys_of([*sent[:7], *sent[8:]])
    assert len(target.capture.requests) == 1


def test_only_what_posthog_put_off_is_sent_again(target: Target) -> None:
    """As the same request's next try: its id and `created_at` stay, its clock does not."""
    sent = rows(range(10))
    target.capture.retry_v1([uuid_of(2), uuid_of(7)])
    target.capture.retry_v1([uuid_of(7)])
    with no_waits() as clock:
        ended = target.send(sent).checked()
    assert [uuids_of(request) for request in target.capture.requests] == [
        [uuid_of(number) for number in range(10)],
        [uuid_of(2), uuid_of(7)],
        [uuid_of(7)],
    ]
    assert [attempt_of(request) for request in target.capture.requests] == [1, 2, 3]
    assert len({request.headers["PostHog-Request-Id"] for request in target.capture.requests}) == 1
    assert len({request.body["created_at"] for request in target.capture.requests}) == 1
    clocks = [request.headers["PostHog-Request-Timestamp"] for request in target.capture.requests]
    assert clocks == sorted(set(clocks))
    # Retry-After is a second.
    assert clock.waits == [1, 1]
    assert counts_in(ended.stderr)["accepted"] == 10
    assert len(target.capture.events) == 10
    assert held_events(target.capture) == keys_of(sent)


def test_a_share_of_all_events_put_off_again_and_again_arrives_once(target: Target) -> None:
    """With drops among them; every record has one fate."""
    sent = people(100)
    target.capture.retry_v1(share=0.3, times=2)
    target.capture.judge_v1([uuid_of(50)], "drop", "event_restriction_drop")
    with no_waits():
        ended = target.send(sent, max_batch_events=40).checked()
    counts = counts_in(ended.stderr)
    assert (counts["accepted"], counts["rejected"], counts["links"]) == (99, 1, 10)
    assert held_events(target.capture) == keys_of([*sent[:50], *sent[51:]])
    assert len(target.capture.events) == len(target.capture.held())


def test_what_is_put_off_for_too_long_ends_the_run(target: Target) -> None:
    """No state is written, as one of its events is not there."""
    target.capture.retry_v1([uuid_of(1)], times=1000)
    with no_waits():
        ended = target.send(rows(range(3)), max_retry_seconds=2)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "did not take a batch for 2 s: it deferred 1 event." in ended.stderr
    assert "set `protocol`" not in ended.stderr


@pytest.mark.parametrize("status", [402, 429])
def test_a_project_over_its_quota_stops_the_run_at_once(target: Target, status: int) -> None:
    """Waiting would not help, and no event is taken for refused; PostHog's clients know both."""
    body = json.dumps({"error": "billing_limit_exceeded", "error_description": "no"})
    target.capture.over_quota = status == 429
    if status != 429:
        target.capture.fail(Fault.STATUS, status=status, body=body)
    ended = target.send(rows(range(5)), max_retry_seconds=600)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "its quota is used up" in ended.stderr
    assert "Raise the billing limit" in ended.stderr
    assert len(target.capture.requests) == 1
    assert target.rejects == []


def test_a_quota_of_one_kind_of_event_stops_the_run_too(target: Target) -> None:
    """All of that kind would end in the rejects; the next run sends the same ids again."""
    sent = rows(range(10))
    target.capture.judge_v1([uuid_of(4)], "drop", "billing_limit_exceeded")
    ended = target.send(sent)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "its quota is used up" in ended.stderr
    assert target.rejects == []

    with PosthogCapture() as raised:
        raised.events += target.capture.events
        target.send(sent, host=raised.url).checked()
        assert held_events(raised) == keys_of(sent)


def test_a_posthog_for_imports_wants_the_flag(target: Target) -> None:
    """It says so in v1, where batch loses everything with 200s."""
    sent = rows(range(3))
    with PosthogCapture(import_mode=True) as capture:
        ended = target.send(sent, host=capture.url, historical_migration="false")
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert "Set `historical_migration` to `true`" in ended.stderr
        target.send(sent, host=capture.url, historical_migration="true").checked()
        assert held_events(capture) == keys_of(sent)


@pytest.mark.parametrize(
    ("v1", "exit_code", "words"),
    [
        ("absent", 2, "does not take events: it answered 404"),
        ("unconfigured", 1, "longer than `max_retry_seconds` (1): it answered 503"),
    ],
)
def test_an_installation_without_v1_is_told_as_such(
    target: Target, v1: Any, exit_code: int, words: str
) -> None:
    """With the setting that helps; and it does."""
    sent = rows(range(3))
    with PosthogCapture(v1=v1) as capture:
        ended = target.send(sent, host=capture.url, max_retry_seconds=1)
        assert (ended.exit_code, ended.stdout) == (exit_code, "")
        assert words in ended.stderr
        assert "et `protocol` to `batch`." in ended.stderr
        target.send(sent, host=capture.url, protocol="batch").checked()
        assert held_events(capture) == keys_of(sent)


def test_a_posthog_that_took_events_and_is_down_now_is_no_one_without_v1(target: Target) -> None:
    """Another protocol would not help."""
    sent = rows(range(4))
    target.capture.fail(Fault.SLOW, seconds=0)
    target.capture.fail(Fault.STATUS, times=100)
    with no_waits():
        ended = target.run(with_states(sent, every=2), max_batch_events=2)
    assert ended.exit_code == 1
    assert ended.messages == [{"at": 2}]
    assert "it answered 503" in ended.stderr
    assert "set `protocol`" not in ended.stderr


@pytest.mark.parametrize("status", [400, 413])
def test_a_body_that_is_refused_whole_is_halved(target: Target, status: int) -> None:
    """Each half is a request of its own, and all of it arrives in order."""
    sent = rows(range(8))
    target.capture.fail(Fault.STATUS, status=status, body='{"error":"no"}')
    ended = target.send(sent).checked()
    assert [len(request.body["batch"]) for request in target.capture.requests] == [8, 4, 4]
    assert len({request.headers["PostHog-Request-Id"] for request in target.capture.requests}) == 3
    assert [attempt_of(request) for request in target.capture.requests] == [1, 1, 1]
    assert [event["uuid"] for event in target.capture.events] == [one["uuid"] for one in sent]
    assert counts_in(ended.stderr)["accepted"] == 8


def test_an_event_that_is_refused_alone_is_rejected(target: Target) -> None:
    """Halved down to it; its reason is PostHog's, and all others arrive."""
    sent = rows(range(16))
    target.capture.fail(Fault.STATUS, times=5, status=400, body='{"error":"request_parsing_error"}')
    ended = target.send(sent).checked()
    sizes = [len(request.body["batch"]) for request in target.capture.requests]
    assert sizes == [16, 8, 4, 2, 1, 1, 2, 4, 8]
    (line,) = target.rejects
    assert (line["code"], line["record"]) == ("refused_by_posthog", sent[0])
    assert line["reason"] == 'PostHog answered 400: {"error":"request_parsing_error"}'
    assert counts_in(ended.stderr)["accepted"] == 15
    assert held_events(target.capture) == keys_of(sent[1:])


def test_a_refusal_after_a_partial_answer_halves_only_what_is_left(target: Target) -> None:
    """What PostHog has taken is not sent again."""
    sent = rows(range(8))
    target.capture.retry_v1([uuid_of(n) for n in (1, 3, 5, 6)])
    target.capture.fail(Fault.SLOW, seconds=0)
    target.capture.fail(Fault.STATUS, status=400, body="no")
    with no_waits():
        ended = target.send(sent).checked()
    assert [uuids_of(request) for request in target.capture.requests] == [
        [uuid_of(number) for number in range(8)],
        [uuid_of(number) for number in (1, 3, 5, 6)],
        [uuid_of(number) for number in (1, 3)],
        [uuid_of(number) for number in (5, 6)],
    ]
    assert counts_in(ended.stderr)["accepted"] == len(target.capture.events) == 8


@pytest.mark.parametrize("fault", [Fault.LOSE_ANSWER, Fault.CUT_BEFORE_STORE])
def test_a_lost_answer_is_asked_for_again(target: Target, fault: Fault) -> None:
    """The very body goes again as the next try of its request; PostHog merges the two."""
    sent = people(40)
    target.capture.fail(fault, times=2)
    with no_waits():
        ended = target.send(sent).checked()
    first = target.capture.requests[:3]
    assert [attempt_of(request) for request in first] == [1, 2, 3]
    assert len({request.headers["PostHog-Request-Id"] for request in first}) == 1
    assert len({request.wire_bytes for request in first}) == 1
    assert held_events(target.capture) == keys_of(sent)
    assert len(identities(target.capture)) == 10
    assert counts_in(ended.stderr)["accepted"] == 40


def test_a_wrong_key_is_told(target: Target) -> None:
    """It is in a header here, and shown nowhere."""
    with PosthogCapture(refuse_unknown_keys=True) as capture:
        ended = target.send([row(1)], host=capture.url, api_key="phc_wrong_one")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "does not know the project token (401" in ended.stderr
    assert "phc_wrong_one" not in ended.stderr
