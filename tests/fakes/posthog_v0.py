"""The v0 protocol of PostHog capture (`POST /batch/`): from a body to events or a refusal.

Every rule is that of PostHog's Rust service, whose file is named beside it. One bad event refuses
the whole request, and a refused request stores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fakes import posthog_body as body_rules
from tests.fakes.posthog_rules import (
    MAX_DISTINCT_ID_CHARS,
    RefusedError,
    StoredEvent,
    check_token,
    cut_event_name,
    message_fits,
    parse_uuid,
    uuid_v7,
)
from tests.fakes.posthog_times import canonical, parse_rfc3339, place_event

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# rust/capture/src/router.rs: BATCH_BODY_SIZE; the decompressed budget is five times as much.
MAX_WIRE_BYTES = 20 * 1024 * 1024
MAX_DECOMPRESSED_BYTES = 5 * MAX_WIRE_BYTES
_INT64 = range(-(2**63), 2**63)
_TOKEN_NAMES = ("token", "$token", "api_key")
# The fields of `RawEvent`; serde drops all others of the top level.
_RAW_EVENT_FIELDS = (
    *(*_TOKEN_NAMES, "distinct_id", "$distinct_id", "uuid", "event"),
    *("properties", "timestamp", "offset", "$set", "$set_once"),
)


@dataclass(frozen=True)
class Submission:
    """A v0 request that parsed and carries a well-formed key."""

    token: str
    events: list[dict[str, Any]]
    historical_migration: bool
    sent_at: datetime | None


def read_submission(wire: bytes, *, gzip: bool) -> Submission | None:
    """Parse a v0 body.

    Args:
        wire: The body as it came.
        gzip: Whether a header or `?compression=` calls it gzip; the magic bytes are seen anyway.

    Returns:
        The events, or None when all of them were `$performance_event`, which PostHog answers
        with 200 and ignores (`rust/capture/src/v0_endpoint.rs`).

    Raises:
        RefusedError: With the status and text of PostHog.
    """
    document = _read_document(wire, gzip=gzip)
    envelope = _envelope(document)
    events = envelope["batch"]
    if not events:
        raise RefusedError(400, "request holds no event")
    kept = [event for event in events if event["event"] != "$performance_event"]
    if not kept:
        return None
    # rust/capture/src/v0_request.rs: a sent_at that cannot be read counts as none.
    sent_at = envelope.get("sent_at")
    return Submission(
        token=_token_of(envelope, kept),
        events=kept,
        historical_migration=envelope.get("historical_migration") is True,
        sent_at=None if sent_at is None else parse_rfc3339(sent_at),
    )


def store(submission: Submission, *, now: datetime, max_event_bytes: int) -> list[StoredEvent]:
    """Turn a submission into the events PostHog would keep.

    Args:
        submission: What `read_submission` gave.
        now: The server's clock.
        max_event_bytes: Highest size of the Kafka message of one event.

    Raises:
        RefusedError: An event has no name or id, or is too big; nothing may be stored then.
    """
    return [_store_one(event, submission, now, max_event_bytes) for event in submission.events]


def _read_document(wire: bytes, *, gzip: bool) -> Any:
    if not wire:
        raise RefusedError(400, "request missing data payload")
    plain = wire
    if gzip or wire.startswith(body_rules.GZIP_MAGIC):
        try:
            plain = body_rules.decompress(wire, "gzip", MAX_DECOMPRESSED_BYTES)
        except body_rules.BadEncodingError:
            raise RefusedError(400, "failed to decode request: invalid GZIP data") from None
        except body_rules.TooBigError as too_big:
            raise RefusedError(413, f"maximum event size exceeded: {too_big}") from None
    try:
        plain.decode()
    except UnicodeDecodeError:
        reason = "invalid UTF8 in request payload" if plain is wire else "invalid gzip data"
        raise RefusedError(400, f"failed to decode request: {reason}") from None
    try:
        document = body_rules.read_json(plain)
    except body_rules.BadJsonError as bad:
        raise RefusedError(400, f"failed to parse request: {bad}") from None
    if body_rules.too_deep(document):
        raise RefusedError(400, "failed to parse request: recursion limit exceeded")
    return document


def _envelope(document: Any) -> Mapping[str, Any]:
    """Fit a document to the arms of the untagged enum `RawRequest` (`v0_request.rs`), in order.

    A bare list and a single event count as an envelope without a key of its own. An envelope with
    one event of a wrong type fits neither `Batch` nor `One`, but it does fit `Engage`, where every
    field is optional; on all paths but `/engage` that is refused for want of a name.
    """
    if isinstance(document, list) and all(map(_is_raw_event, document)):
        return {"batch": document}
    if isinstance(document, dict):
        if _is_envelope(document):
            return document
        if _is_raw_event(document):
            return {"batch": [document]}
        if _is_raw_event({**document, "event": ""}):
            raise RefusedError(
                400,
                "failed to hydrate events from request: "
                "non-engage request missing event name attribute",
            )
    raise RefusedError(
        400,
        "failed to parse request: data did not match any variant of untagged enum RawRequest",
    )


def _token_of(envelope: Mapping[str, Any], events: list[dict[str, Any]]) -> str:
    """Return the key of an envelope, else that of all its events (`rust/capture/src/utils.rs`)."""
    tokens: set[str] = {envelope[name] for name in ("api_key", "token") if name in envelope}
    tokens = tokens or {token for token in map(_token_in, events) if token is not None}
    if not tokens:
        raise RefusedError(401, "event submitted without an api_key")
    if len(tokens) > 1:
        raise RefusedError(401, "batch submitted with inconsistent api_key values")
    return check_token(tokens.pop())


def _token_in(event: Mapping[str, Any]) -> str | None:
    """Find the key of an event as `extract_token` (`rust/common/types/src/event.rs`) does."""
    token = next((event[name] for name in _TOKEN_NAMES if name in event), None)
    inside = event.get("properties", {}).get("token")
    return token if token is not None else inside if isinstance(inside, str) else None


def _is_envelope(document: Mapping[str, Any]) -> bool:
    token_keys = document.keys() & {"api_key", "token"}
    historical = document.get("historical_migration")
    sent_at = document.get("sent_at")
    batch = document.get("batch")
    return (
        len(token_keys) == 1
        and isinstance(document[token_keys.pop()], str)
        and (historical is None or isinstance(historical, bool))
        and (sent_at is None or isinstance(sent_at, str))
        and isinstance(batch, list)
        and all(_is_raw_event(event) for event in batch)
    )


def _is_raw_event(event: Any) -> bool:
    """Say whether serde would read this as `RawEvent` (`rust/common/types/src/event.rs`)."""
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return False
    get = event.get
    timestamp, uuid, offset = get("timestamp"), get("uuid"), get("offset")
    return (
        (timestamp is None or isinstance(timestamp, str))
        and isinstance(get("properties", {}), dict)
        and (uuid is None or (isinstance(uuid, str) and (not uuid or parse_uuid(uuid) is not None)))
        and _one_optional(event, _TOKEN_NAMES, str)
        and _one_optional(event, ("distinct_id", "$distinct_id"), object)
        and isinstance(get("$set"), dict | None)
        and isinstance(get("$set_once"), dict | None)
        and (offset is None or (type(offset) is int and offset in _INT64))
    )


def _one_optional(event: Mapping[str, Any], aliases: tuple[str, ...], kind: type) -> bool:
    """Serde counts two aliases of one field as a duplicate field, and null as absent."""
    present = [event[alias] for alias in aliases if alias in event]
    return not present or (
        len(present) == 1 and (present[0] is None or isinstance(present[0], kind))
    )


def _store_one(
    event: dict[str, Any], submission: Submission, now: datetime, max_event_bytes: int
) -> StoredEvent:
    """Do for one event what `process_single_event` (`events/analytics.rs`) does, in its order."""
    if not event["event"]:
        raise RefusedError(400, "event submitted with an empty event name")
    properties = dict(event.get("properties", {}))
    distinct_id = _distinct_id(event, properties)
    if distinct_id is None:
        raise RefusedError(400, "event submitted without a distinct_id")
    if not isinstance(properties.get("$cookieless_mode", False), bool):
        raise RefusedError(400, "event submitted with invalid cookieless mode")
    data = {key: event[key] for key in _RAW_EVENT_FIELDS if key in event}
    if not message_fits(data, distinct_id, submission.token, max_event_bytes):
        raise RefusedError(413, "maximum event size exceeded: Event rejected by kafka during send")
    ignore_sent_at = properties.get("$ignore_sent_at") is True
    moment = place_event(
        event.get("timestamp"),
        now=now,
        sent_at=None if ignore_sent_at else submission.sent_at,
        offset=event.get("offset"),
    )
    _merge_top_level(event, properties)
    return {
        "uuid": parse_uuid(event.get("uuid") or "") or uuid_v7(),
        "event": cut_event_name(event["event"]),
        "distinct_id": distinct_id,
        "timestamp": canonical(moment),
        "properties": properties,
        "_historical": submission.historical_migration,
    }


def _distinct_id(event: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
    """Find the id as `extract_distinct_id` (`rust/common/types/src/event.rs`) does."""
    value = event.get("distinct_id", event.get("$distinct_id"))
    if value is None:
        value = properties.get("distinct_id")
    if value is None:
        return None
    text = value if isinstance(value, str) else body_rules.compact(value).decode()
    text = text.replace("\0", "\ufffd")
    return text[:MAX_DISTINCT_ID_CHARS] if text.strip() else None


def _merge_top_level(event: Mapping[str, Any], properties: dict[str, Any]) -> None:
    """Move `$set` and `$set_once` beside the properties into them (nodejs `sanitizeEvent`)."""
    for key in ("$set", "$set_once"):
        if event.get(key):
            inside = properties.get(key)
            properties[key] = {**(inside if isinstance(inside, dict) else {}), **event[key]}
