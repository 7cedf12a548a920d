"""Records that already are PostHog events (`source_format: posthog`): checked, and left alone.

`posthog_columns` puts each column of an export into its place first. An event that asks PostHog to
join people does so under the rules of `docs/identity.md`, as the events do that this target adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.formats.posthog_columns import NoObjectError, placed
from target_posthog.formats.record_ids import uuid_of_record
from target_posthog.model import Conversion, Converted, Json, Rejected, Skipped
from target_posthog.posthog.library import add_lib
from target_posthog.posthog.people import joined, legal_id, merged_by, problem_of_person, stored_id
from target_posthog.posthog.times import storable_time
from target_posthog.posthog.uuids import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.formats.options import Options

#: PostHog answers 200 and keeps none of them (rust/capture v0_endpoint.rs).
_NOT_STORED = frozenset({"$performance_event"})
_NO_OBJECT = "The record's properties, or those of its person, are no object."


def convert(record: Mapping[str, Any], options: Options) -> Conversion:
    """Return the record as an event with a checked person, time and uuid.

    Args:
        record: `{"event", "distinct_id", "timestamp", "uuid"?, "properties"?, "$set"?,
            "$set_once"?}`, or a row of one of PostHog's exports. Any other field becomes a
            property, unless there is one of its name.
        options: the user's decisions about names; the person is the event's own matter.
    """
    try:
        event = placed(record)
    except NoObjectError:
        return Rejected("bad_event", _NO_OBJECT)
    name = event["event"]
    if not isinstance(name, str) or not name.strip():
        return Rejected("missing_event_type", "The record has no event.")
    event["event"] = options.names.name_of(name)
    if event["event"] is None:
        return Skipped("skip_events")
    if event["event"] in _NOT_STORED:
        return Rejected("reserved_event_name", f"PostHog does not store {event['event']}.")
    person, timestamp = _person(event), storable_time(event["timestamp"])
    problem = problem_of_person(person, absent="The record has no distinct_id.")
    if problem is not None or timestamp is None:
        return problem or Rejected(
            "bad_time", "The record's timestamp cannot be read, or lies before 1900."
        )
    properties = {"$geoip_disable": True, **event["properties"]}
    add_lib(properties)
    event |= {
        "uuid": canonical_uuid(event["uuid"]) or uuid_of_record("posthog", record),
        "distinct_id": person,
        "timestamp": timestamp,
        "properties": properties,
    }
    return _with_people(event)


def _person(event: Json) -> str | None:
    """Return the id in the first place that holds one, as PostHog stores it."""
    for value in (event["distinct_id"], event["properties"].get("distinct_id")):
        found = stored_id(value)
        if found is not None and found.strip():
            return found
        if isinstance(value, (dict, list)):
            return None
    return None


def _with_people(event: Json) -> Converted:
    """Return an event with what it shows of people.

    PostHog's SDKs name the user once somebody is known; before that, the `distinct_id` is a
    device's (posthog-js, posthog-core.ts, `$user_id` and `$is_identified`).
    """
    properties, person = event["properties"], event["distinct_id"]
    merged = legal_id(merged_by(event))
    link = None
    if merged is not None and legal_id(person) is not None:
        link = joined(person, merged, source=None)
    is_user = (
        properties.get("$is_identified") is True
        or stored_id(properties.get("$user_id")) == person
        or (link is not None and event["event"] == "$identify")
    )
    user = legal_id(person) if is_user else None
    return Converted(event, link, user=user, joins=link is not None)
