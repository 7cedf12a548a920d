"""One Amplitude row → one PostHog event, a skip, or a rejection. Total and pure.

The order of the properties is the order of who wins: PostHog's standard names, over them the
row's own fields, over them the customer's event properties, and last what this migration must say
about the event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from target_posthog.formats.amplitude.event_ids import event_uuid
from target_posthog.formats.amplitude.foreign_rows import FOREIGN_TYPES, exported_row
from target_posthog.formats.amplitude.groups import first_groups, group_states, wanted_groups
from target_posthog.formats.amplitude.groups import fits as groups_fit
from target_posthog.formats.amplitude.identity import person_of
from target_posthog.formats.amplitude.newness import NO_STATE, place_of, state_of
from target_posthog.formats.amplitude.person_properties import (
    UserProperties,
    first_values,
    has_operations,
    person_updates,
    updates_by_operations,
)
from target_posthog.formats.amplitude.row_plans import Table
from target_posthog.formats.amplitude.sessions import session_uuid
from target_posthog.formats.amplitude.times import event_time, is_too_late
from target_posthog.formats.event_names import EventNames
from target_posthog.formats.property_names import PropertyNames, granted
from target_posthog.json_codec import dumps
from target_posthog.model import (
    Conversion,
    Converted,
    Json,
    Rejected,
    Skipped,
    is_empty,
)
from target_posthog.posthog.library import MIGRATION_MARKS
from target_posthog.posthog.names import (
    ACTING_NAMES,
    MAX_EVENT_NAME_LENGTH,
    OWN_NAMES,
    problem_of_name,
    problem_without_person,
    unused_name,
)
from target_posthog.posthog.times import any_time
from target_posthog.posthog.uuids import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.formats.amplitude.compiled_fields import Side
    from target_posthog.formats.amplitude.identity import Person
    from target_posthog.formats.amplitude.row_plans import Shape

PersonProfiles = Literal["always", "identified_only", "never"]


class _Named(NamedTuple):
    """What an event is called, and why it is none."""

    name: str
    outcome: Skipped | Rejected | None


class _Read(NamedTuple):
    """A row that was looked through.

    Attributes:
        told: what is told of it.
        shape: what follows from the keys of that.
        found: its values in the shape's order.
        origin: the row of which a uuid is made when it has none.
    """

    told: Mapping[str, Any]
    shape: Shape
    found: tuple[Any, ...]
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """What the user decides about the conversion; see the settings of the same names."""

    names: EventNames = field(default_factory=lambda: EventNames({}))
    person_profiles: PersonProfiles = "always"
    user_properties: UserProperties = "set"
    properties: PropertyNames = field(default_factory=lambda: PropertyNames({}))

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Options:
        """Return the options for settings as a user writes them."""
        return cls(
            names=EventNames.of(
                _renames(config["event_names"]),
                config["skip_events"],
                standard_events=config["standard_events"],
            ),
            person_profiles=config["person_profiles"],
            user_properties=config["user_properties"],
            properties=PropertyNames.of(
                _renames(config["property_names"]), config["skip_properties"]
            ),
        )

    @cached_property
    def table(self) -> Table:
        """The table of `fields.py` as these options want it."""
        return Table(self.properties)

    @cached_property
    def named(self) -> dict[str, _Named]:
        """What was decided on names so far."""
        return {}


def _renames(setting: list[dict[str, str]]) -> dict[str, str]:
    return {rename["from"]: rename["to"] for rename in setting}


def convert(row: Mapping[str, Any], options: Options) -> Conversion:
    """Convert one row of an Amplitude export.

    Args:
        row: the row as exported, as `tap-amplitude` emits it, or as a warehouse or another tap
            has it. It is never changed.
        options: the user's decisions.

    Returns:
        An event, a skip with its rule, or a rejection with its code; for any JSON object.
    """
    shape, found = options.table.read(row)
    told, origin, problem = row, row, None
    if shape.misspelt or not FOREIGN_TYPES.isdisjoint(map(type, shape.formed(row))):
        told, row, problem = _exported(row, shape)
        # To rows of its files, which have Amplitude's names, `tap-amplitude` gives a uuid made of
        # them as they are.
        origin = row if shape.misspelt else origin
        shape, found = options.table.read(told)
    event_type = row.get("event_type")
    if not isinstance(event_type, str):
        return _NO_EVENT_TYPE
    name, outcome = options.named.get(event_type) or _decide(event_type, options)
    unwanted = outcome or problem
    if unwanted is not None:
        return unwanted
    person = person_of(row)
    personal = options.person_profiles == "always" or (
        options.person_profiles == "identified_only" and person.is_user
    )
    problem = person.problem if personal else problem_without_person(name) or person.problem
    read = _Read(told, shape, found, origin)
    return problem or _event(row, read, name, person, options, personal=personal)


def _exported(row: Mapping[str, Any], shape: Shape) -> tuple[Json, Json, Rejected | None]:
    """Return what is told of a row, the row as Amplitude exports it, and why it is no event."""
    exported, problem = exported_row(row, shape.misspelt)
    told = {name: value for name, value in exported.items() if name not in shape.left_out}
    return told, exported, problem


def _event(
    row: Mapping[str, Any],
    read: _Read,
    name: str,
    person: Person,
    options: Options,
    *,
    personal: bool,
) -> Conversion:
    own_time, own_uuid = any_time(row.get("event_time")), canonical_uuid(row.get("uuid"))
    timestamp, uploaded = own_time, any_time(row.get("server_upload_time"))
    if own_time is None or is_too_late(own_time, uploaded):
        timestamp = event_time(row)
    if timestamp is None:
        return _BAD_TIME
    kept: Json = {}
    if timestamp != own_time:
        kept["event_time"] = own_time or row.get("event_time")
    if own_uuid is None:
        kept["$amplitude_uuid"] = row.get("uuid")
    if name != row["event_type"]:
        kept["$amplitude_event_type"] = row["event_type"]
    properties = _properties(read, timestamp, kept, options, personal=personal)
    event: Json = {
        "uuid": own_uuid or event_uuid(read.origin),
        "event": name,
        "distinct_id": person.distinct_id,
        "timestamp": timestamp,
        "properties": properties,
    }
    # PostHog drops merges and group updates of events without a person profile.
    if not personal:
        return Converted(event)
    has_groups = row.get("group_properties")
    groups = group_states(row, options.properties) if has_groups else ()
    # With `user_properties: set_once` or `ignore` no event has `$set`.
    sets = "$set" in properties or "$unset" in properties
    state = state_of(dumps(properties.get("$set"))) if sets else NO_STATE
    order = place_of(uploaded, timestamp, row.get("event_id"), state)
    return Converted(event, person.link, groups, order=order, sets=sets)


_NO_EVENT_TYPE = Rejected("missing_event_type", "The row has no event_type.")
_BAD_TIME = Rejected("bad_time", "None of the row's times can be read.")
_MAX_NAMED = 10_000


def _decide(event_type: str, options: Options) -> _Named:
    """Decide what an event is called, or why it is none; and remember it."""
    name = options.names.name_of(event_type)
    outcome: Skipped | Rejected | None = None
    if not event_type.strip():
        outcome = _NO_EVENT_TYPE
    elif options.names.skips(event_type):
        outcome = Skipped("skip_events")
    else:
        outcome = problem_of_name(name)
    decided = _Named(name, outcome)
    if len(options.named) < _MAX_NAMED and len(event_type) <= MAX_EVENT_NAME_LENGTH:
        options.named[event_type] = decided
    return decided


def _properties(
    read: _Read, timestamp: str, kept: Json, options: Options, *, personal: bool
) -> Json:
    """Return the event's properties.

    Args:
        read: the row.
        timestamp: the event's time.
        kept: fields that have a place of their own and do not fit it; is added to.
        options: the user's decisions.
        personal: whether PostHog makes a person of the event; else it strips `$set` and drops
            group updates.
    """
    table = options.table
    row, shape, found, _ = read
    properties, side = shape.properties_of(row, found)
    told = personal and options.user_properties != "ignore"
    updates = _add_user(row, side, properties, kept, options, told=told)
    groups = row.get("group_properties")
    if groups is not None and groups != {} and not (personal and groups_fit(row)):
        kept["group_properties"] = wanted_groups(groups, options.properties)
    _add_customer(row, shape, properties, kept)
    if table.has_sessions:
        session = session_uuid(row, timestamp)
        if session is not None:
            properties.setdefault("$session_id", session)
    if table.has_groups and row.get("groups"):
        properties.update(first_groups(row))
    if not personal:
        properties["$process_person_profile"] = False
    if updates:
        properties.update(updates)
    properties.update(MIGRATION_MARKS)
    return properties


def _add_user(
    row: Mapping[str, Any],
    side: Side,
    properties: Json,
    kept: Json,
    options: Options,
    *,
    told: bool,
) -> Json | None:
    """Add what the user's properties tell about the event; return what they set on the person.

    Args:
        row: the row.
        side: its platform.
        properties: is added to.
        kept: gets user properties that do not go to a person: nothing is lost.
        options: the user's decisions.
        told: whether user properties go to the person.
    """
    user = row.get("user_properties")
    if not isinstance(user, dict):
        kept["user_properties"] = user
        return None
    names = options.table.user_names(side, user)
    if names.adds:
        names.add_to(properties, user)
    if has_operations(row["event_type"], user):
        kept["user_properties"] = user = _wanted_within(user, options.properties)
        return updates_by_operations(user, options.user_properties) if told else None
    wanted = user if names.wishes is None else granted(names.wishes, user)
    if not told:
        kept["user_properties"] = wanted
        return None
    first = first_values(user, names.initial) if names.initial else {}
    return person_updates(wanted, first, options.user_properties)


def _add_customer(row: Mapping[str, Any], shape: Shape, properties: Json, kept: Json) -> None:
    """Add the event's own properties over all others, and move aside what is in their way."""
    customer = row.get("event_properties")
    sent: Mapping[str, Any] = {}
    special = shape.special
    if isinstance(customer, dict):
        names = shape.event_names(customer)
        if names.adds:
            names.add_to(properties, customer)
        sent = customer if names.wishes is None else granted(names.wishes, customer)
        special = special or names.special
    else:
        kept["event_properties"] = customer
    if kept:
        kept = {name: value for name, value in kept.items() if not is_empty(value)}
    if not special:
        properties.update(kept)
        properties.update(sent)
        return
    fields = shape.fields_of(row)
    crowded = [(name, kept[name]) for name in kept.keys() & fields.keys()]
    fields = {**kept, **fields}
    properties.update({**fields, **sent})
    _make_room(properties, row, fields, sent)
    for name, value in sorted(crowded, key=itemgetter(0)):
        properties[unused_name(name, properties)] = value


def _wanted_within(operations: Mapping[str, Any], names: PropertyNames) -> Json:
    """Return operations on user properties without those that the user leaves out."""
    return {
        name: names.applied(value) if isinstance(value, dict) else value
        for name, value in operations.items()
    }


def _make_room(
    properties: Json, row: Mapping[str, Any], fields: Json, customer: Mapping[str, Any]
) -> None:
    """Move aside the fields that a customer's property covers, and names that are acted upon."""
    moved = [(name, fields[name]) for name in fields.keys() & customer.keys()]
    acting = ACTING_NAMES & (fields.keys() | customer.keys())
    moved += [(name, properties.pop(name)) for name in acting]
    for name, source in OWN_NAMES.items():
        if name in acting and not is_empty(row.get(source)):
            properties[name] = row[source]
    for name, value in sorted(moved, key=itemgetter(0)):
        properties[unused_name(name, properties)] = value
