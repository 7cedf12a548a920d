"""A strict stand-in for PostHog's capture service, for tests.

It speaks the protocols v0 (`POST /batch/`) and v1 (`POST /i/v1/analytics/events`), refuses what
PostHog refuses, keeps what PostHog would keep, and breaks on order. The rules stand, with their
sources, in `posthog_v0`, `posthog_v1_envelope` and `posthog_v1_events`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs
from uuid import UUID

from tests.fakes import posthog_flags
from tests.fakes import posthog_v0 as v0
from tests.fakes import posthog_v1_envelope as v1_envelope
from tests.fakes import posthog_v1_events as v1_events
from tests.fakes.local_server import StandIn
from tests.fakes.posthog_faults import Fault, FaultPlan, RetryPlan, Verdict
from tests.fakes.posthog_persons import PersonModel
from tests.fakes.posthog_requests import Answer, Request
from tests.fakes.posthog_rules import RefusedError, StoredEvent
from tests.fakes.posthog_times import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.fakes.local_server import Incoming

__all__ = ["Dropped", "Fault", "PosthogCapture", "Request"]

V0_PATHS = frozenset({"/batch", "/i/v0/e", "/e", "/capture", "/track"})
_OK = b'{"status":"Ok"}'
_JSON = "application/json"


@dataclass(frozen=True)
class Dropped:
    """An event PostHog answered for as if all were well, and threw away."""

    reason: str
    event: Mapping[str, Any]


class PosthogCapture(StandIn):
    """PostHog's ingestion on a port of its own; a context manager.

    Args:
        api_key: The key of the one project there is. Events under any other well-formed key are
            accepted and vanish, as PostHog looks keys up only later; only `/flags/` knows them.
        now: The server's clock, aware; None takes the machine's.
        max_wire_bytes: What v0 takes of a body as it was sent; capture of 2024 took 2 MB.
        max_event_bytes: `KAFKA_PRODUCER_MESSAGE_MAX_BYTES`: highest size of one event inside its
            Kafka message.
        over_quota: The project is over its billing limit, which v0 answers with 200 and v1 with
            429 (quota_limiter_shim.rs). May be set at any time.
        import_mode: `CAPTURE_MODE=import`: a batch without `historical_migration` is thrown away.
        refuse_unknown_keys: Newer capture can be set to look keys up and answer 401.
        drop_events_older_than: The project's setting `drop_events_older_than_seconds`.
        v1: An older installation does not know v1 (`absent`); a newer one may be without a place
            to write its events to (`unconfigured`, process.rs: "v1 sink router not configured").
        flags: An installation may be without the service behind `/flags/` (`absent`), or one from
            before 2026-06, which refuses in plain text (`plain`).
        port: Where it serves; 0 takes a free one.

    Attributes:
        known_tokens: Of all projects, for `/flags/`.
        key_checks: Every request for `/flags/`, in order; none of them stands in `requests`.
        requests: Every request received whole, in order.
        events: Every stored event in order of arrival, repeats included: `uuid`, `event`,
            `distinct_id`, `timestamp` (UTC, six decimals, `Z`), `properties`, and the batch's flag
            as `_historical`.
        vanished: Events under a wrong key.
        dropped: Events thrown away behind the sender's back, with the reason.
    """

    max_body_bytes = v0.MAX_WIRE_BYTES

    def __init__(
        self,
        *,
        api_key: str = "phc_test",
        now: datetime | None = None,
        max_wire_bytes: int = v0.MAX_WIRE_BYTES,
        max_event_bytes: int = 1_000_000,
        over_quota: bool = False,
        import_mode: bool = False,
        refuse_unknown_keys: bool = False,
        drop_events_older_than: timedelta | None = None,
        v1: Literal["ready", "unconfigured", "absent"] = "ready",
        flags: Literal["ready", "plain", "absent"] = "ready",
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.api_key = api_key
        self.known_tokens = {api_key}
        self.key_checks: list[Request] = []
        self._flags = flags
        self.max_wire_bytes = max_wire_bytes
        self.max_event_bytes = max_event_bytes
        self.over_quota = over_quota
        self.import_mode = import_mode
        self.refuse_unknown_keys = refuse_unknown_keys
        self.drop_events_older_than = drop_events_older_than
        self.requests: list[Request] = []
        self.events: list[StoredEvent] = []
        self.vanished: list[StoredEvent] = []
        self.dropped: list[Dropped] = []
        self._v1 = v1
        self._verdicts: dict[str, Verdict] = {}
        self._now = now
        self._faults = FaultPlan()
        self._retries = RetryPlan()
        self._lock = threading.Lock()

    def fail(self, fault: Fault, times: int = 1, **details: Any) -> None:
        """Let the next `times` requests meet a fault; see `Fault` for the details of each.

        Raises:
            TypeError: The fault has no such detail.
        """
        self._faults.add(fault, times, details)

    def be_well(self) -> None:
        """Let no coming request meet a fault that is planned."""
        self._faults.clear()

    @property
    def faults_left(self) -> int:
        """How many planned faults no request has met yet."""
        return self._faults.left

    def retry_v1(self, uuids: Iterable[str] = (), *, share: float = 0.0, times: int = 1) -> None:
        """Let v1 answer `retry` for some events, each `times` times, and keep them afterwards.

        Args:
            uuids: Events by id.
            share: Besides these, this share of all events; the same ones in every run.
            times: How often each is put off.
        """
        self._retries.add(uuids, share, times)

    def judge_v1(self, uuids: Iterable[str], result: str, details: str | None = None) -> None:
        """Let v1 say `warning`, `drop` or `limited` of some events whenever they come."""
        if result not in ("warning", "drop", "limited"):
            raise ValueError(f"v1 gives no such verdict on order: {result}")
        self._verdicts.update({str(UUID(uuid)): Verdict(result, details) for uuid in uuids})

    def held(self) -> dict[tuple[str, str, str, str], StoredEvent]:
        """Give what is left after PostHog merged repeats.

        `sharded_events` is a ReplacingMergeTree sorted by date, event, distinct_id and uuid
        (posthog/models/event/sql.py): only a repeat equal in all four is one. The last one stays.

        Returns:
            Events by (uuid, event, distinct_id, date in UTC).
        """
        with self._lock:
            return {
                (e["uuid"], e["event"], e["distinct_id"], e["timestamp"][:10]): e
                for e in self.events
            }

    def persons(self) -> PersonModel:
        """Give PostHog's persons after all stored events, in order of arrival."""
        model = PersonModel()
        with self._lock:
            events = list(self.events)
        for event in events:
            model.process(event)
        return model

    def respond(self, incoming: Incoming) -> Answer:
        """Check a key, or take a batch in, unless a fault is planned."""
        if incoming.path.removesuffix("/") == posthog_flags.PATH:
            return self._check_key(incoming)
        planned = self._faults.take() if _is_capture(incoming) else None
        if planned is not None:
            self.wait(planned.delay_before)
        # One request at a time: the order of the records is the order of the effects.
        with self._lock:
            instead = None if planned is None else planned.instead(len(incoming.wire_bytes))
            answer = instead or self._handle(incoming)
            if planned is not None and instead is None:
                answer = planned.on_the_way(answer)
            self.requests.append(Request.record(incoming, answer))
        return answer

    def _check_key(self, incoming: Incoming) -> Answer:
        answer = Answer(404, b"")
        if self._flags != "absent":
            says_json = self._flags == "ready"
            answer = posthog_flags.answer(incoming, self.known_tokens, says_json=says_json)
        self.key_checks.append(Request.record(incoming, answer))
        return answer

    def _handle(self, incoming: Incoming) -> Answer:
        is_v1 = incoming.path.removesuffix("/") == v1_envelope.V1_PATH
        if not _is_known(incoming.path) or (is_v1 and self._v1 == "absent"):
            return Answer(404, b"")
        if not _is_capture(incoming):
            return Answer(405, b"", headers={"Allow": "POST"})
        try:
            if is_v1:
                return self._capture_v1(incoming)
            return self._capture_v0(incoming)
        except RefusedError as refused:
            text = refused.text.encode()
            return Answer(refused.status, text, refused.content_type, refused.headers)

    def _capture_v0(self, incoming: Incoming) -> Answer:
        body = incoming.wire_bytes
        if len(body) > self.max_wire_bytes:
            raise RefusedError(413, "maximum event size exceeded: request body is too big")
        submission = v0.read_submission(body, gzip=_says_gzip(incoming))
        if submission is None:
            return Answer(200, _OK, _JSON)
        if self._refuses(submission.token):
            raise RefusedError(401, "API key is not valid: no project has this project API key")
        flag = submission.historical_migration
        # Both come before the events are looked at, so a bad event goes unnoticed here
        # (rust/capture/src/v0_endpoint.rs, events/analytics.rs).
        reason = self._reason_to_drop_all(historical_migration=flag)
        if reason is not None:
            self.dropped += [Dropped(reason, event) for event in submission.events]
            return Answer(200, _OK, _JSON, historical_migration=flag)
        stored = v0.store(submission, now=self._clock(), max_event_bytes=self.max_event_bytes)
        count = self._keep(submission.token, stored)
        return Answer(200, _OK, _JSON, stored=count, historical_migration=flag)

    def _capture_v1(self, incoming: Incoming) -> Answer:
        body = incoming.wire_bytes
        if len(body) > v1_envelope.MAX_WIRE_BYTES:
            raise v1_envelope.V1RefusedError(413, "payload_too_large", "payload too large")
        envelope = v1_envelope.read_envelope(incoming.headers, body)
        if self._refuses(envelope.token):
            raise v1_envelope.V1RefusedError(
                401, "invalid_api_token", "The provided API token is not valid."
            )
        outcomes = v1_events.judge(
            envelope, now=self._clock(), max_event_bytes=self.max_event_bytes
        )
        self._refuse_in_v1(outcomes)
        reason = self._reason_to_drop_all(historical_migration=envelope.historical_migration)
        for outcome in outcomes:
            if outcome.event is not None:
                self._decide(outcome, reason)
        kept = [outcome.event for outcome in outcomes if outcome.event is not None]
        retried = any(outcome.result == "retry" for outcome in outcomes)
        return Answer(
            200,
            v1_events.answer(outcomes),
            _JSON,
            headers={"Retry-After": "1"} if retried else {},
            stored=self._keep(envelope.token, kept),
            historical_migration=envelope.historical_migration,
        )

    def _refuse_in_v1(self, outcomes: list[v1_events.Outcome]) -> None:
        """Refuse all for what is found once the events are read (process.rs, in this order)."""
        if all(outcome.event is None for outcome in outcomes):
            return
        if self.over_quota:
            self.dropped += [Dropped("billing_limit_exceeded", one.sent) for one in outcomes]
            raise v1_envelope.V1RefusedError(
                429, "billing_limit_exceeded", "billing limit exceeded"
            )
        if self._v1 == "unconfigured":
            raise v1_envelope.V1RefusedError(503, "service_unavailable", "Service Unavailable")

    def _decide(self, outcome: v1_events.Outcome, reason: str | None) -> None:
        """Decide about a sound event of v1; a reason drops it with all others."""
        verdict = self._verdicts.get(outcome.uuid)
        if reason is not None:
            self.dropped.append(Dropped(reason, outcome.sent))
            outcome.become("drop", reason)
        elif (verdict is None or verdict.result == "warning") and self._retries.take(outcome.uuid):
            outcome.become("retry", "not_persisted")
        elif verdict is not None:
            outcome.become(verdict.result, verdict.details)

    def _clock(self) -> datetime:
        return self._now or datetime.now(timezone.utc)

    def _refuses(self, token: str) -> bool:
        return self.refuse_unknown_keys and token != self.api_key

    def _reason_to_drop_all(self, *, historical_migration: bool) -> str | None:
        if self.over_quota:
            return "billing_limit_exceeded"
        if self.import_mode and not historical_migration:
            return "non_historical_import_drop"
        return None

    def _keep(self, token: str, events: list[StoredEvent]) -> int:
        """Do what happens after capture said yes; gives how many events are stored."""
        if token != self.api_key:
            self.vanished += events
            return 0
        fresh = []
        for event in events:
            if self._is_too_old(event):
                self.dropped.append(Dropped("event_dropped_too_old", event))
            else:
                fresh.append(event)
        self.events += fresh
        return len(fresh)

    def _is_too_old(self, event: StoredEvent) -> bool:
        if self.drop_events_older_than is None:
            return False
        moment = parse_rfc3339(event["timestamp"])
        return moment is not None and self._clock() - moment > self.drop_events_older_than


def _is_known(path: str) -> bool:
    bare = path.removesuffix("/")
    return bare in V0_PATHS or bare == v1_envelope.V1_PATH


def _is_capture(incoming: Incoming) -> bool:
    return incoming.method == "POST" and _is_known(incoming.path)


def _says_gzip(incoming: Incoming) -> bool:
    """Say whether the request calls itself gzip (`extract_compression` in capture's utils.rs)."""
    hint = parse_qs(incoming.query).get("compression", [""])[0].lower()
    header = incoming.headers.get("content-encoding", "").lower()
    return hint in ("gzip", "gzip-js") or header == "gzip"
