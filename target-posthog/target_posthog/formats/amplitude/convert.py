"""One Amplitude row → one PostHog event, a skip, or a rejection. Total and pure.

The order of the properties is the order of who wins: PostHog's standard names, over them the
row's own fields, over them the customer's event properties, and last what this migration must say
about the event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.common.amplitude_columns import FOREIGN_TYPES
from target_posthog.formats.amplitude.compiled_fields import CompiledFields
from target_posthog.formats.amplitude.event_ids import event_uuid
from target_posthog.formats.amplitude.fields import USER_PREFIX
from target_posthog.formats.amplitude.foreign_rows import exported_row
from target_posthog.formats.amplitude.groups import first_groups, group_states, wanted_groups
from target_posthog.formats.amplitude.groups import fits as groups_fit
from target_posthog.formats.amplitude.identity import person_of
from target_posthog.formats.amplitude.newness import place_of
from target_posthog.formats.amplitude.notes import (
    note_added,
    note_columns,
    note_group_updates,
    note_operations,
    note_parts,
    note_user,
    table_note,
)
from target_posthog.formats.amplitude.origins import origin_of
from target_posthog.formats.amplitude.own_properties import add_customer
from target_posthog.formats.amplitude.person_properties import (
    first_values,
    has_operations,
    person_updates,
    updates_by_operations,
    wanted_within,
)
from target_posthog.formats.amplitude.row_plans import RowPlans
from target_posthog.formats.amplitude.sessions import session_uuid
from target_posthog.formats.amplitude.times import cannot_be, event_time
from target_posthog.formats.names import NamedEvent, apply_renames
from target_posthog.json_codec import dumps
from target_posthog.model import Conversion, Converted, Json, Rejected
from target_posthog.posthog.events import NO_STATE, state_of
from target_posthog.posthog.library import MIGRATION_MARKS
from target_posthog.posthog.names import problem_without_person
from target_posthog.posthog.times import any_time
from target_posthog.posthog.uuids import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.formats.amplitude.compiled_fields import PlatformFields
    from target_posthog.formats.amplitude.identity import Person
    from target_posthog.formats.amplitude.row_plans import RowPlan
    from target_posthog.formats.options import Options
    from target_posthog.formats.trace import Trace

_NO_EVENT_TYPE = Rejected("missing_event_type", "The row has no event_type.")
_BAD_TIME = Rejected("bad_time", "None of the row's times can be read.")


class _Read(NamedTuple):
    """A row that was looked through.

    Attributes:
        row: the row without the fields that the user leaves out by the names of their columns.
        plan: what follows from the keys of that.
        found: its values in the plan's order.
        origin: the row of which a uuid is made when it has none.
        trace: takes notes, if there is one.
    """

    row: Mapping[str, Any]
    plan: RowPlan
    found: tuple[Any, ...]
    origin: Mapping[str, Any]
    trace: Trace | None


class Amplitude:
    """Converts Amplitude's rows, and remembers what was worked out for its options.

    One class, as its methods are the rules in the order in which they act upon a row.

    Attributes:
        fields: the table of `fields.py` as they want it.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.fields = CompiledFields(options.properties)
        self._read = RowPlans(self.fields).read
        self._known = options.names.known

    def convert(self, row: Mapping[str, Any], trace: Trace | None = None) -> Conversion:
        """Convert one row of an Amplitude export; a trace notes which rule made what of it.

        It may be as exported, as `tap-amplitude` emits it, or as a warehouse or another tap has it.
        It is never changed.

        Returns:
            An event, a skip with its rule, or a rejection with its code; for any JSON object.
        """
        plan, found = self._read(row)
        kept, origin, problem = row, row, None
        if plan.misspelt or not FOREIGN_TYPES.isdisjoint(map(type, plan.formed(row))):
            if trace is not None:
                note_columns(trace, plan.misspelt, plan.left_out)
            kept, row, problem = _exported(row, plan)
            # To rows of its files, which have Amplitude's names, `tap-amplitude` gives a uuid made
            # of them as they are.
            origin = row if plan.misspelt else origin
            plan, found = self._read(kept)
        event_type = row.get("event_type")
        if not isinstance(event_type, str):
            return _NO_EVENT_TYPE
        name, outcome = self._known.get(event_type) or self.named(event_type)
        unwanted = outcome or problem
        if unwanted is not None:
            return unwanted
        person = person_of(row)
        personal = self.options.makes_person(is_user=person.is_user)
        problem = person.problem if personal else problem_without_person(name) or person.problem
        read = _Read(kept, plan, found, origin, trace)
        return problem or self._event(row, read, name, person, personal=personal)

    def named(self, event_type: str) -> NamedEvent:
        """Return what an event is called, or why it is left out or rejected."""
        if not event_type.strip():
            return NamedEvent(event_type, _NO_EVENT_TYPE)
        return self.options.names.named(event_type)

    def _event(
        self, row: Mapping[str, Any], read: _Read, name: str, person: Person, *, personal: bool
    ) -> Conversion:
        own_time, own_uuid = any_time(row.get("event_time")), canonical_uuid(row.get("uuid"))
        timestamp, uploaded = own_time, any_time(row.get("server_upload_time"))
        if own_time is None or cannot_be(own_time, uploaded):
            timestamp = event_time(row)
        if timestamp is None:
            return _BAD_TIME
        misplaced: Json = {}
        if timestamp != own_time:
            misplaced["event_time"] = own_time or row.get("event_time")
        if own_uuid is None:
            misplaced["$amplitude_uuid"] = row.get("uuid")
        if name != row["event_type"]:
            misplaced["$amplitude_event_type"] = row["event_type"]
        if read.trace is not None:
            note_parts(read.trace, row, read.origin, self.options.names, person)
        properties = self._properties(read, timestamp, misplaced, personal=personal)
        event: Json = {
            "uuid": own_uuid or event_uuid(read.origin),
            "event": name,
            "distinct_id": person.distinct_id,
            "timestamp": timestamp,
            "properties": properties,
        }
        of = origin_of(row.get("app"), uploaded)
        # PostHog drops merges and group updates of events without a person profile.
        if not personal:
            return Converted(event, origin=of)
        has_groups = row.get("group_properties")
        groups = group_states(row, self.options.properties) if has_groups else ()
        # With `user_properties: set_once` or `ignore` no event has `$set`.
        sets = "$set" in properties or "$unset" in properties
        state = state_of(dumps(properties.get("$set"))) if sets else NO_STATE
        order = place_of(uploaded, timestamp, row.get("event_id"), state)
        return Converted(event, person.link, groups, order=order, sets=sets, origin=of)

    def _properties(self, read: _Read, timestamp: str, misplaced: Json, *, personal: bool) -> Json:
        """Return the event's properties.

        `misplaced` has the fields that do not fit the place of their own, and is added to.
        `personal`: PostHog makes a person of the event; else it strips `$set` and drops group
        updates.
        """
        row, plan, found, _, trace = read
        properties, platform = plan.properties_of(row, found, trace)
        updates = self._add_user(read, platform, properties, misplaced, personal=personal)
        groups = row.get("group_properties")
        if groups is not None and groups != {} and not (personal and groups_fit(row)):
            misplaced["group_properties"] = wanted_groups(groups, self.options.properties)
        elif groups and trace is not None:
            note_group_updates(trace)
        add_customer(row, plan, properties, misplaced, trace)
        added = self._added(row, timestamp, personal=personal)
        if "$session_id" in properties:
            added.pop("$session_id", None)
        added.update(updates or {})
        properties.update(added)
        properties.update(MIGRATION_MARKS)
        if trace is not None:
            note_added(trace, added)
        return properties

    def _added(self, row: Mapping[str, Any], timestamp: str, *, personal: bool) -> Json:
        """Return the properties of the event's session, groups and person."""
        added: Json = {}
        if self.fields.has_sessions:
            session = session_uuid(row, timestamp)
            if session is not None:
                added["$session_id"] = session
        if self.fields.has_groups and row.get("groups"):
            added.update(first_groups(row))
        if not personal:
            added["$process_person_profile"] = False
        return added

    def _add_user(
        self,
        read: _Read,
        platform: PlatformFields,
        properties: Json,
        misplaced: Json,
        *,
        personal: bool,
    ) -> Json | None:
        """Add what the user's properties tell about the event; return what they set on the person.

        `properties` is added to; `misplaced` gets user properties that do not go to a person:
        nothing is lost.
        """
        row, trace = read.row, read.trace
        user, setting = row.get("user_properties"), self.options.user_properties
        if not isinstance(user, dict):
            misplaced["user_properties"] = user
            return None
        goes_to_person = personal and setting != "ignore"
        plan = self.fields.user_plan(platform, user)
        if plan.adds:
            plan.add_to(properties, user, None if trace is None else table_note(trace, USER_PREFIX))
        if has_operations(row["event_type"], user):
            within = misplaced["user_properties"] = wanted_within(user, self.options.properties)
            updates = updates_by_operations(within, setting) if goes_to_person else None
            if trace is not None:
                note_operations(trace, user, within, updates)
            return updates
        wanted = user if plan.renames is None else apply_renames(plan.renames, user)
        updates = None
        if goes_to_person:
            first = first_values(user, plan.initial) if plan.initial else {}
            updates = person_updates(wanted, first, setting)
        else:
            misplaced["user_properties"] = wanted
        if trace is not None:
            note_user(trace, user, plan.renames, plan.initial, updates)
        return updates


def _exported(row: Mapping[str, Any], plan: RowPlan) -> tuple[Json, Json, Rejected | None]:
    """Return what is kept of a row, the row as Amplitude exports it, and why it is no event."""
    exported, problem = exported_row(row, plan.misspelt)
    kept = {name: value for name, value in exported.items() if name not in plan.left_out}
    return kept, exported, problem
