"""What a preview says of PostHog's own events: which column stands where; see `trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.formats.posthog_columns import COLUMNS, SOURCE, in_lower_case, object_of
from target_posthog.formats.trace import NO_FIELD, OWN_NAME, Reason
from target_posthog.model import is_empty
from target_posthog.posthog.library import OWN_LIB
from target_posthog.posthog.uuids import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.formats.names import EventNames
    from target_posthog.formats.trace import Trace
    from target_posthog.model import Json

#: The columns that hold what a property of another name has.
_COLUMNS_OF = {
    "$elements_chain": ("elements_chain", "elements"),
    "$ip": ("ip",),
    "$process_person_profile": ("person_mode",),
    "$set": ("$set", "set", "people_set", "person_properties", "person"),
    "$set_once": ("$set_once", "set_once", "people_set_once", "person_properties", "person"),
}
#: What is written where the event has nothing of its own.
_FILLED = frozenset({"$geoip_disable", SOURCE, *OWN_LIB, *_COLUMNS_OF})
_ITS_OWN = "the event's own"


def note_event(trace: Trace, record: Mapping[str, Any], event: Json, names: EventNames) -> None:
    """Note why an event has what it has."""
    columns = in_lower_case(record)
    trace.columns = {name.lower(): name for name in record if name not in columns}
    there = {name for name, value in columns.items() if not is_empty(value)}
    own = object_of(columns.get("properties"))
    source = "uuid" if "uuid" in there else "id"
    has_uuid = canonical_uuid(columns.get(source)) is not None
    whole = Reason(tuple(columns), "a UUIDv5 of the whole record")
    person = "distinct_id" if "distinct_id" in there else "properties.distinct_id"
    trace.parts = {
        "event": Reason(("event",), names.rule_of(columns["event"])),
        "distinct_id": Reason((person,), _ITS_OWN),
        "timestamp": Reason(("timestamp",), "in UTC"),
        "uuid": Reason((source,), _ITS_OWN) if has_uuid else whole,
    }
    properties: Json = event["properties"]
    trace.properties = {name: _reason_of(name, own, there) for name in properties}
    if SOURCE in properties and SOURCE not in own:
        trace.properties[SOURCE] = Reason(
            tuple(properties[SOURCE]), "what only the project knew that it came from"
        )
    if "id" in there and "id" not in properties and source == "uuid":
        trace.leave_out(["id"], "another name of `uuid`, which the event has")
    covered = [name for name in there & own.keys() - COLUMNS if name not in _FILLED]
    trace.leave_out(covered, "the event's own property of the name goes before it")
    if source in there and not has_uuid and source not in properties:
        trace.leave_out([source], "it is none")
    for holder in ("$set", "$set_once", "$unset", "$groups"):
        held = properties.get(holder)
        if isinstance(held, (dict, list)):
            trace.inside |= {(holder, str(name)): trace.properties[holder] for name in held}


def _reason_of(name: str, own: Json, there: set[str]) -> Reason:
    if not is_empty(own.get(name)) or (name in own and name not in _FILLED):
        return Reason((f"properties.{name}",), OWN_NAME)
    if columns := tuple(column for column in _COLUMNS_OF.get(name, ()) if column in there):
        return Reason(columns, "its place in PostHog")
    if name in there:
        return Reason((name,), OWN_NAME)
    rule = "it names no library" if name in OWN_LIB else "on every event"
    return Reason(NO_FIELD, rule)
