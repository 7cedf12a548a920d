"""What the v1 protocol of PostHog capture decides about each event of a batch.

Rules of PostHog's `rust/capture/src/v1/analytics/`: `process.rs`, `types.rs` and `response.rs`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tests.fakes.posthog_rules import StoredEvent, cut_event_name, message_fits, parse_uuid
from tests.fakes.posthog_times import canonical, clamp, parse_rfc3339, shift
from tests.fakes.posthog_v1_envelope import V1RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tests.fakes.posthog_v1_envelope import Envelope

# v1/analytics/constants.rs
_MAX_NAME_BYTES = 200
_MAX_DISTINCT_ID_BYTES = 200
_ILLEGAL_DISTINCT_IDS = frozenset(
    {
        *("0", "00000000-0000-0000-0000-000000000000", "[object object]", "anonymous"),
        *("anonymous-user", "backend", "distinct_id", "distinctid", "email", "false", "guest"),
        *("id", "nan", "none", "not_authenticated", "null", "system", "true", "undefined", "user"),
    }
)


@dataclass
class Outcome:
    """The answer for one event, and the event when it is kept."""

    uuid: str
    result: str = "ok"
    details: str | None = None
    event: StoredEvent | None = None
    sent: Mapping[str, Any] = field(default_factory=dict)

    def become(self, result: str, details: str | None = None) -> Outcome:
        """Say `warning` of the event, which is kept, or another result, with which it is not."""
        self.result, self.details = result, details
        if result != "warning":
            self.event = None
        return self


def judge(envelope: Envelope, *, now: datetime, max_event_bytes: int) -> list[Outcome]:
    """Judge each event of a batch, in order (`validate_events` in v1/analytics/process.rs).

    Args:
        envelope: What `read_envelope` gave.
        now: The server's clock.
        max_event_bytes: Highest size of the Kafka message of one event.

    Raises:
        V1RefusedError: An id is missing, malformed or stands twice in the batch.
    """
    ids = _event_ids(envelope.events)
    return [
        _judge_one(event, uuid, envelope, now, max_event_bytes)
        for event, uuid in zip(envelope.events, ids, strict=True)
    ]


def answer(outcomes: list[Outcome]) -> bytes:
    """Write the body of a 200 (v1/analytics/response.rs)."""
    results = {
        outcome.uuid: {"result": outcome.result}
        | ({"details": outcome.details} if outcome.details else {})
        for outcome in outcomes
    }
    return orjson.dumps({"results": results})


def _event_ids(events: list[dict[str, Any]]) -> list[str]:
    ids: dict[str, None] = {}
    for event in events:
        text = event["uuid"].strip()
        if not text:
            raise V1RefusedError(400, "missing_event_uuid", "event submitted without a uuid")
        uuid = parse_uuid(text)
        if uuid is None:
            raise V1RefusedError(
                400, "invalid_event_uuid", f"event submitted with invalid uuid: {text}"
            )
        if uuid in ids:
            raise V1RefusedError(400, "duplicate_event_uuid", f"duplicate event uuid: {text}")
        ids[uuid] = None
    return list(ids)


def _judge_one(
    event: dict[str, Any], uuid: str, envelope: Envelope, now: datetime, max_event_bytes: int
) -> Outcome:
    outcome = Outcome(uuid, sent=event)
    distinct_id = event["distinct_id"].strip()
    fault = _fault(event, distinct_id)
    if fault is not None:
        return outcome.become("drop", fault)
    options = _options(event.get("options"))
    if options is None:
        return outcome.become("drop", "invalid_options")
    properties = event.get("properties", {}) | _injected(event, options, envelope)
    data = {"event": event["event"], "distinct_id": distinct_id, "uuid": uuid}
    data |= {"properties": properties, "timestamp": event["timestamp"]}
    if not message_fits(data, distinct_id, envelope.token, max_event_bytes):
        return outcome.become("drop", "event_too_big")
    moment = parse_rfc3339(event["timestamp"]) or now
    if not options.get("$ignore_sent_at"):
        moment = clamp(shift(moment, envelope.client_clock, now), now)
    outcome.event = {
        "uuid": uuid,
        "event": cut_event_name(event["event"]),
        # nodejs `sanitizeEvent` replaces NUL, which Postgres cannot hold.
        "distinct_id": distinct_id.replace("\0", "\ufffd"),
        "timestamp": canonical(moment),
        "properties": properties,
        "_historical": envelope.historical_migration,
    }
    if distinct_id.lower() in _ILLEGAL_DISTINCT_IDS:
        outcome.details = "person_processing_disabled"
        outcome.event["_person_processing_disabled"] = True
    return outcome


def _fault(event: Mapping[str, Any], distinct_id: str) -> str | None:
    """Name why an event is dropped, in the order of `validate_event` (v1/analytics/process.rs)."""
    name = event["event"]
    checks = (
        (name == "$performance_event", "dropped_performance_event"),
        (not name, "missing_event_name"),
        (len(name.encode()) > _MAX_NAME_BYTES, "event_name_too_long"),
        (not distinct_id, "missing_distinct_id"),
        (len(distinct_id.encode()) > _MAX_DISTINCT_ID_BYTES, "distinct_id_too_large"),
        (parse_rfc3339(event["timestamp"]) is None, "invalid_event_timestamp"),
        (not isinstance(event.get("properties", {}), dict), "malformed_event_properties"),
    )
    return next((tag for failed, tag in checks if failed), None)


def _options(raw: Any) -> dict[str, Any] | None:
    """Read the options under the names of the properties they become; None when unreadable."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        return None
    read: dict[str, Any] = {}
    for key, name in (
        ("cookieless_mode", "$cookieless_mode"),
        ("disable_skew_correction", "$ignore_sent_at"),
        ("process_person_profile", "$process_person_profile"),
    ):
        if raw.get(key) is not None:
            read[name] = _coerce_bool(raw[key])
    tour = raw.get("product_tour_id")
    if tour is not None:
        is_integer = type(tour) is int
        read["$product_tour_id"] = str(tour) if is_integer or isinstance(tour, str) else None
    return None if None in read.values() else read


def _coerce_bool(value: Any) -> bool | None:
    """Read a bool as `coerce_bool` (v1/analytics/types.rs): also "true", "1" and numbers."""
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, bool | int | float) else None


def _injected(
    event: Mapping[str, Any], options: Mapping[str, Any], envelope: Envelope
) -> dict[str, Any]:
    """List the properties the server appends, which win over the sender's own."""
    added: dict[str, Any] = dict(options)
    for key in ("session_id", "window_id"):
        if event.get(key) is not None:
            added[f"${key}"] = event[key]
    if envelope.sdk is not None:
        added["$lib"], added["$lib_version"] = envelope.sdk
    return added
