"""Records that already are PostHog events (`source_format: posthog`): checked, and left alone.

Events of the API have objects in them; those of a database, such as PostHog's own batch exports to
PostgreSQL, often hold the same as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.amplitude.event_ids import canonical_uuid
from target_posthog.amplitude.identity import problem_of_person
from target_posthog.any_time import any_time
from target_posthog.codec import loads
from target_posthog.conversion import Conversion, Converted, Json, Rejected, Skipped
from target_posthog.record_ids import uuid_of_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.amplitude.convert import Options

#: PostHog reads these inside the properties only (rust/capture v1) or in both places (v0).
_PERSON_KEYS = ("$set", "$set_once")
#: What has a place of its own; PostHog leaves out everything else beside it (`RawEvent`).
_EVENT_KEYS = frozenset({"uuid", "event", "distinct_id", "timestamp", "properties", *_PERSON_KEYS})

#: PostHog answers 200 and keeps none of them (rust/capture v0_endpoint.rs).
_NOT_STORED = frozenset({"$performance_event"})


def convert(record: Mapping[str, Any], options: Options) -> Conversion:
    """Return the record as an event with a checked person, time and uuid.

    Args:
        record: `{"event", "distinct_id", "timestamp", "uuid"?, "properties"?, "$set"?,
            "$set_once"?}`. Any other field becomes a property, unless there is one of its name.
        options: the user's decisions about names; the person is the event's own matter.
    """
    name = record.get("event")
    if not isinstance(name, str) or not name.strip():
        return Rejected("missing_event_type", "The record has no event.")
    if options.names.skips(name):
        return Skipped("skip_events")
    properties = _properties(record)
    if properties is None:
        return Rejected("bad_event", "The record's properties, $set or $set_once is no object.")
    name = options.names.name_of(name)
    if name in _NOT_STORED:
        return Rejected("reserved_event_name", f"PostHog does not store {name}.")
    person = _id(record.get("distinct_id")) or _id(properties.get("distinct_id"))
    timestamp = any_time(record.get("timestamp"))
    problem = problem_of_person(person, absent="The record has no distinct_id.")
    if problem is not None or timestamp is None:
        return problem or Rejected("bad_time", "The record's timestamp cannot be read.")
    event: Json = {
        "uuid": canonical_uuid(record.get("uuid")) or uuid_of_record("posthog", record),
        "event": name,
        "distinct_id": person,
        "timestamp": timestamp,
        "properties": {"$geoip_disable": True, **properties},
    }
    return Converted(event)


def _properties(record: Mapping[str, Any]) -> Json | None:
    inner = _object(record.get("properties"))
    if inner is None:
        return None
    properties = {key: value for key, value in record.items() if key not in _EVENT_KEYS} | inner
    for key in _PERSON_KEYS:
        inside, beside = _object(inner.get(key)), _object(record.get(key))
        if inside is None or beside is None:
            return None
        if beside:
            # As PostHog merges them itself on /batch/ (nodejs, `sanitizeEvent`).
            properties[key] = inside | beside
    return properties


def _object(value: Any) -> Json | None:
    """Return an object, also one that is written as text; nothing is an empty one."""
    if isinstance(value, str) and value.strip():
        try:
            value = loads(value)
        except ValueError:
            return None
    found = value or {}
    return found if isinstance(found, dict) else None


def _id(value: Any) -> str | None:
    """Return an id as PostHog stores it: numbers as text (rust/capture, v0_request.rs)."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return str(value) if str(value).strip() else None
