"""One Amplitude row → one PostHog event, a skip, or a rejection. Total and pure.

The order of the properties is the order of who wins: the row's own fields, over them the
customer's event properties, then PostHog's standard names where they are still free, and last
what this migration must say about the event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from target_posthog.amplitude.event_ids import canonical_uuid, event_uuid
from target_posthog.amplitude.event_names import EventNames
from target_posthog.amplitude.fields import ELSEWHERE
from target_posthog.amplitude.groups import first_groups, group_states
from target_posthog.amplitude.groups import fits as groups_fit
from target_posthog.amplitude.identity import MIGRATION_MARKS, distinct_id, legal_id, link
from target_posthog.amplitude.sessions import session_uuid
from target_posthog.amplitude.standard_names import standard_names
from target_posthog.amplitude.times import TIME_FIELDS, event_time, to_rfc3339
from target_posthog.amplitude.values import is_empty
from target_posthog.conversion import (
    Conversion,
    Converted,
    Json,
    Rejected,
    Skipped,
)
from target_posthog.event_parts import problem_of_name, problem_of_person

if TYPE_CHECKING:
    from collections.abc import Mapping

PersonProfiles = Literal["always", "identified_only", "never"]
UserProperties = Literal["set", "set_once", "ignore"]

#: Names that PostHog acts upon. A customer's property of such a name was only data in Amplitude;
#: it is kept as `$amplitude_<name>` so that it stays only data.
ACTING_NAMES = frozenset(
    {
        "$anon_distinct_id",
        "$cookieless_mode",
        "$geoip_disable",
        "$group_set",
        "$groups",
        "$ignore_sent_at",
        "$process_person_profile",
        "$set",
        "$set_once",
        "$unset",
        "analytics_source",
        "historical_migration",
    }
)

#: Amplitude's browser SDK writes this where there was no first value
#: (Amplitude docs, Browser SDK 2, `initialEmptyValue`).
_NO_INITIAL_VALUE = "EMPTY"


@dataclass(frozen=True)
class Options:
    """What the user decides about the conversion; see the settings of the same names."""

    names: EventNames = field(default_factory=lambda: EventNames({}))
    person_profiles: PersonProfiles = "always"
    user_properties: UserProperties = "set"


def convert(row: Mapping[str, Any], options: Options) -> Conversion:
    """Convert one row of an Amplitude export.

    Args:
        row: the row as exported, or as `tap-amplitude` emits it. It is never changed.
        options: the user's decisions.

    Returns:
        An event, a skip with its rule, or a rejection with its code; for any JSON object.
    """
    event_type = row.get("event_type")
    if not isinstance(event_type, str) or not event_type.strip():
        return Rejected("missing_event_type", "The row has no event_type.")
    if options.names.skips(event_type):
        return Skipped("skip_events")
    name = options.names.name_of(event_type)
    person = distinct_id(row)
    timestamp = event_time(row)
    problem = _problem(name, person, timestamp)
    if problem is not None or person is None or timestamp is None:
        return problem or Rejected("no_distinct_id", "")
    personal = options.person_profiles == "always" or (
        options.person_profiles == "identified_only" and legal_id(row.get("user_id")) is not None
    )
    event: Json = {
        "uuid": event_uuid(row),
        "event": name,
        "distinct_id": person,
        "timestamp": timestamp,
        "properties": _properties(row, name, timestamp, options, personal=personal),
    }
    # PostHog drops merges and group updates of events without a person profile.
    return Converted(event, link(row), group_states(row)) if personal else Converted(event)


def _problem(name: str, person: str | None, timestamp: str | None) -> Rejected | None:
    problem = problem_of_name(name) or problem_of_person(
        person, absent="The row has no legal user_id, device_id, amplitude_id."
    )
    if problem is None and timestamp is None:
        return Rejected("bad_time", "None of the row's times can be read.")
    return problem


def _properties(
    row: Mapping[str, Any], name: str, timestamp: str, options: Options, *, personal: bool
) -> Json:
    customer = _object(row.get("event_properties"))
    user = _object(row.get("user_properties"))
    told = personal and options.user_properties != "ignore"
    fields = _row_fields(row)
    for one, value in _misplaced(row, name, timestamp, personal=personal, told=told).items():
        fields[_free_name(one, fields) if one in fields else one] = value
    properties = {**standard_names(row, customer), **fields, **customer}
    _make_room(properties, fields, customer)
    _keep_ids(properties, row)
    session = session_uuid(row, timestamp)
    if session is not None:
        properties.setdefault("$session_id", session)
    groups = first_groups(row)
    if groups:
        properties["$groups"] = groups
    if not personal:
        properties["$process_person_profile"] = False
    if told and user:
        properties |= _person(user, options)
    properties |= MIGRATION_MARKS
    return properties


def _row_fields(row: Mapping[str, Any]) -> Json:
    """Return every field that holds something and has no other place, under its own name."""
    fields = {name: value for name, value in row.items() if value or not is_empty(value)}
    for name in ELSEWHERE:
        fields.pop(name, None)
    for name in TIME_FIELDS:
        if name in fields:
            fields[name] = to_rfc3339(fields[name]) or fields[name]
    return fields


def _misplaced(
    row: Mapping[str, Any], name: str, timestamp: str, *, personal: bool, told: bool
) -> Json:
    """Return the fields that have a place of their own and do not fit it: nothing is lost.

    Args:
        row: the row.
        name: the event's name.
        timestamp: the event's time.
        personal: whether PostHog makes a person of the event; else it strips `$set` and drops
            group updates.
        told: whether user properties go to the person.
    """
    kept: Json = {}
    if not isinstance(row.get("event_properties"), dict):
        kept["event_properties"] = row.get("event_properties")
    if not told or not isinstance(row.get("user_properties"), dict):
        kept["user_properties"] = row.get("user_properties")
    if not personal or not groups_fit(row.get("group_properties")):
        kept["group_properties"] = row.get("group_properties")
    if to_rfc3339(row.get("event_time")) != timestamp:
        kept["event_time"] = row.get("event_time")
    if canonical_uuid(row.get("uuid")) is None:
        kept["$amplitude_uuid"] = row.get("uuid")
    if name != row["event_type"]:
        kept["$amplitude_event_type"] = row["event_type"]
    return {key: value for key, value in kept.items() if not is_empty(value)}


def _make_room(properties: Json, fields: Json, customer: Mapping[str, Any]) -> None:
    """Move aside the fields that a customer's property covers, and names that PostHog acts on."""
    if fields.keys().isdisjoint(customer) and ACTING_NAMES.isdisjoint(properties):
        return
    moved = {name: fields[name] for name in fields.keys() & customer.keys()}
    for name in ACTING_NAMES & properties.keys():
        moved[name] = properties.pop(name)
    for name in sorted(moved):
        properties[_free_name(name, properties)] = moved[name]


def _keep_ids(properties: Json, row: Mapping[str, Any]) -> None:
    """Keep both ids as the row had them, also where another value took `$amplitude_<id>`."""
    for name in ("user_id", "device_id"):
        value = row.get(name)
        if not is_empty(value) and properties.get(f"$amplitude_{name}") is not value:
            properties[_free_name(name, properties)] = value


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    free = f"$amplitude_{name}"
    while free in taken:
        free = f"$amplitude_{free}"
    return free


def _person(user: Mapping[str, Any], options: Options) -> Json:
    """Return `$set` and `$set_once` for the user properties."""
    first = {
        f"${name}": value
        for name, value in user.items()
        if name.startswith("initial_") and value != _NO_INITIAL_VALUE
    }
    if options.user_properties == "set_once":
        return {"$set_once": {**user, **first}}
    return {"$set": user, "$set_once": first} if first else {"$set": user}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
