"""Records that already are PostHog events (`source_format: posthog`): checked, and left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.amplitude.event_ids import canonical_uuid, derived_uuid
from target_posthog.amplitude.identity import MAX_DISTINCT_ID_LENGTH
from target_posthog.amplitude.times import to_rfc3339
from target_posthog.conversion import Conversion, Converted, Json, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

#: PostHog reads these inside the properties only (rust/capture v1) or in both places (v0).
_PERSON_KEYS = ("$set", "$set_once")
#: What has a place of its own; PostHog leaves out everything else beside it (`RawEvent`).
_EVENT_KEYS = frozenset({"uuid", "event", "distinct_id", "timestamp", "properties", *_PERSON_KEYS})


def convert(record: Mapping[str, Any]) -> Conversion:
    """Return the record as an event with a checked person, time and uuid.

    Args:
        record: `{"event", "distinct_id", "timestamp", "uuid"?, "properties"?, "$set"?,
            "$set_once"?}`. Any other field becomes a property, unless there is one of its name.
    """
    name = record.get("event")
    if not isinstance(name, str) or not name:
        return Rejected("missing_event_type", "The record has no event.")
    person = record.get("distinct_id")
    if not isinstance(person, str) or not person.strip():
        return Rejected("no_distinct_id", "The record has no distinct_id.")
    if len(person) > MAX_DISTINCT_ID_LENGTH:
        return Rejected("distinct_id_too_long", f"The id has {len(person)} characters.")
    timestamp = to_rfc3339(record.get("timestamp"))
    if timestamp is None:
        return Rejected("bad_time", "The record's timestamp cannot be read.")
    properties = _properties(record)
    if properties is None:
        return Rejected("bad_event", "The record's properties, $set or $set_once is no object.")
    event: Json = {
        "uuid": canonical_uuid(record.get("uuid")) or derived_uuid("posthog", _own(record)),
        "event": name,
        "distinct_id": person,
        "timestamp": timestamp,
        "properties": {"$geoip_disable": True, **properties},
    }
    return Converted(event)


def _properties(record: Mapping[str, Any]) -> Json | None:
    inner = record.get("properties") or {}
    if not isinstance(inner, dict):
        return None
    properties = {key: value for key, value in record.items() if key not in _EVENT_KEYS} | inner
    for key in _PERSON_KEYS:
        inside, beside = inner.get(key) or {}, record.get(key) or {}
        if not isinstance(inside, dict) or not isinstance(beside, dict):
            return None
        if beside:
            # As PostHog merges them itself on /batch/ (nodejs, `sanitizeEvent`).
            properties[key] = inside | beside
    return properties


def _own(record: Mapping[str, Any]) -> Json:
    """Return the record without Singer's columns, which differ from run to run."""
    return {name: value for name, value in record.items() if not name.startswith("_sdc_")}
