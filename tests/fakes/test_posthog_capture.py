"""The PostHog stand-in records, breaks on order, ends cleanly, and speaks with PostHog's SDK."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import posthog
import pytest

from tests.fakes.posthog_capture import Fault, PosthogCapture
from tests.fakes.posthog_probe import NOON, UUID, batch, event, post, send
from tests.fakes.posthog_v1_envelope import V1_PATH

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
BUSY = "transient error, please retry"
# Whatever the moment at which a connection breaks, a client sees one of these.
CUT = (ConnectionError, http.client.HTTPException)


def test_every_request_is_recorded_as_it_came() -> None:
    """Refused ones too."""
    with PosthogCapture() as capture:
        body = batch(event(), historical_migration=False)
        post(capture, body, "/batch/?x=1", {"User-Agent": "me"})
        post(capture, b"{}")

    kept, refused = capture.requests
    assert (kept.method, kept.path, kept.query) == ("POST", "/batch/", "x=1")
    assert (kept.status, kept.stored, kept.historical_migration) == (200, 1, False)
    assert kept.headers["user-agent"] == "me"
    assert kept.wire_bytes == body
    assert kept.body["batch"] == [event()]
    assert (refused.status, refused.stored, refused.historical_migration) == (400, 0, None)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/batch/", 405),
        ("PUT", V1_PATH, 405),
        ("GET", "/", 404),
        ("POST", "/batch/more", 404),
        ("HEAD", "/batch", 405),
    ],
)
def test_other_methods_and_paths_are_refused(method: str, path: str, status: int) -> None:
    """Nothing is stored, and no fault is used up."""
    with PosthogCapture() as capture:
        capture.fail(Fault.STATUS)
        assert send(capture, method, path, batch(event())).status == status
        assert (capture.events, capture.faults_left) == ([], 1)


@pytest.mark.parametrize(
    ("fault", "details", "status", "headers", "text", "stored"),
    [
        (Fault.STATUS, {"retry_after": 7}, 503, {"Retry-After": "7"}, BUSY, 0),
        (Fault.STATUS, {"status": 429, "body": "slow"}, 429, {"Retry-After": None}, "slow", 0),
        (Fault.SLOW, {"seconds": 0.2}, 200, {"Location": None}, '{"status":"Ok"}', 1),
        (Fault.LATE, {"seconds": 0.2}, 200, {}, '{"status":"Ok"}', 1),
        (
            Fault.REDIRECT,
            {"location": "https://x.test"},
            307,
            {"Location": "https://x.test"},
            "",
            0,
        ),
        # The sender cannot tell these two apart.
        (Fault.LOSE_ANSWER, {}, None, {}, "", 1),
        (Fault.CUT_BEFORE_STORE, {}, None, {}, "", 0),
    ],
)
def test_a_fault_breaks_one_request(
    fault: Fault,
    details: dict[str, Any],
    status: int | None,
    headers: dict[str, str | None],
    text: str,
    stored: int,
) -> None:
    """In its own way; the next one is stored."""
    with PosthogCapture() as capture:
        capture.fail(fault, **details)
        began = time.monotonic()
        if status is None:
            with pytest.raises(CUT):
                post(capture, batch(event()))
        else:
            reply = post(capture, batch(event()))
            assert (reply.status, reply.text) == (status, text)
            assert {name: reply.headers[name] for name in headers} == headers
        assert time.monotonic() - began >= details.get("seconds", 0)
        assert (capture.requests[0].status, capture.requests[0].stored) == (status, stored)

        assert post(capture, batch(event())).status == 200
        assert (len(capture.events), len(capture.held())) == (stored + 1, 1)


def test_faults_are_met_in_the_order_they_were_planned() -> None:
    """As often as was asked for."""
    with PosthogCapture() as capture:
        capture.fail(Fault.STATUS, status=429, times=2)
        capture.fail(Fault.STATUS, status=500)
        assert [post(capture, batch(event())).status for _ in range(4)] == [429, 429, 500, 200]
        assert capture.faults_left == 0


@pytest.mark.parametrize(
    ("fault", "details"),
    [(Fault.STATUS, {"stauts": 500}), (Fault.SLOW, {"status": 1}), (Fault.REDIRECT, {})],
)
def test_a_mistyped_fault_is_refused(fault: Fault, details: dict[str, Any]) -> None:
    """A test must not pass because its fault never was one."""
    with PosthogCapture() as capture, pytest.raises(TypeError):
        capture.fail(fault, **details)


@pytest.mark.parametrize(
    ("mode", "changes", "status", "reason"),
    [
        # A 200 is no proof of storage.
        ({"over_quota": True}, {}, 200, "billing_limit_exceeded"),
        ({"import_mode": True}, {}, 200, "non_historical_import_drop"),
        ({"drop_events_older_than": timedelta(days=1)}, {}, 200, "event_dropped_too_old"),
        ({"import_mode": True}, {"historical_migration": True}, 200, None),
        # With its token validation on, newer capture refuses keys that no project has.
        ({"refuse_unknown_keys": True}, {"api_key": "phc_wrong"}, 401, ""),
        ({"refuse_unknown_keys": True}, {}, 200, None),
    ],
)
def test_a_project_may_not_keep_what_it_is_sent(
    mode: dict[str, Any], changes: dict[str, Any], status: int, reason: str | None
) -> None:
    """v0 answers ok for events that it throws away."""
    with PosthogCapture(now=NOW, **mode) as capture:
        reply = post(capture, batch(event(), **changes))

        assert reply.status == status
        assert status != 200 or reply.json == {"status": "Ok"}
        assert len(capture.events) == (reason is None)
        assert [one.reason for one in capture.dropped] == ([reason] if reason else [])
        assert capture.vanished == []


def test_persons_come_from_the_stored_events_in_order() -> None:
    """The model sees what PostHog would have kept."""
    link = event(event="$create_alias", properties={"distinct_id": "u1", "alias": "d1"})
    with PosthogCapture() as capture:
        post(capture, batch(event(distinct_id="d1"), event(), link))
        post(capture, batch(event(distinct_id="stranger"), api_key="phc_wrong"))

        assert capture.persons().people() == [frozenset({"u1", "d1"})]


def test_senders_at_the_same_time_lose_nothing() -> None:
    """Each request is stored as a whole, one after the other."""

    def sender(number: int) -> None:
        for step in range(5):
            names = [event(event=f"{number}.{step}", uuid=None)] * 20
            assert post(capture, batch(*names)).status == 200

    with PosthogCapture() as capture:
        threads = [threading.Thread(target=sender, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    names = [stored["event"] for stored in capture.events]
    assert set(Counter(names).values()) == {20}
    assert [names[at : at + 20] for at in range(0, 800, 20)] == [
        [name] * 20 for name in names[::20]
    ]


@pytest.mark.parametrize("mode", ["v0", "v1"])
@pytest.mark.parametrize("gzip", [False, True])
def test_posthog_s_own_sdk_is_understood(mode: str, gzip: bool) -> None:  # noqa: FBT001
    """alias, capture and group_identify of the package `posthog` arrive over both protocols."""
    moment = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
    with PosthogCapture() as capture:
        client = posthog.Posthog(
            "phc_test",
            host=capture.url,
            gzip=gzip,
            historical_migration=True,
            capture_mode=mode,
            super_properties={"$ignore_sent_at": True},
        )
        client.capture("viewed", distinct_id="d1", timestamp=moment, uuid=UUID)
        client.alias(previous_id="d1", distinct_id="u1")
        client.group_identify("company", "acme", {"seats": 5})
        client.shutdown()

        viewed, aliased, grouped = capture.events
        assert {request.status for request in capture.requests} == {200}
        assert capture.requests[0].path == ("/batch/" if mode == "v0" else V1_PATH)
        assert (viewed["event"], viewed["uuid"], viewed["timestamp"]) == ("viewed", UUID, NOON)
        assert viewed["properties"]["$lib"] == "posthog-python"
        assert aliased["event"] == "$create_alias"
        assert aliased["distinct_id"] == "d1"
        assert aliased["properties"]["alias"] == "u1"
        assert grouped["event"] == "$groupidentify"
        assert grouped["properties"]["$group_set"] == {"seats": 5}
        assert all(stored["_historical"] for stored in capture.events)
        assert capture.persons().person_of("u1") == capture.persons().person_of("d1")
