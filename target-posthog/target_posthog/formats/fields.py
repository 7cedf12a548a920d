"""Records of any other tap: which field is the person, the time and the id.

By the setting `streams`; what it leaves open is found by the usual names. Without more, a stream
is an event: its name is the event's name, its fields are the event's properties. A record that
names groups and nobody, where no event is asked for, only updates the groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_posthog.cache import Memo
from target_posthog.formats.ids import UnfitError, described
from target_posthog.formats.mappings import NOBODY, StreamMapping
from target_posthog.formats.options import Options
from target_posthog.formats.record_ids import uuid_of_record, uuid_of_value
from target_posthog.formats.selectors import Source, picker
from target_posthog.formats.stream_notes import (
    note_group_event,
    note_parts,
    note_properties,
    note_the_rest,
)
from target_posthog.formats.stream_people import PERSON, Group, People, Who, check_person
from target_posthog.model import (
    Conversion,
    Converted,
    GroupState,
    Json,
    Rejected,
    Skipped,
    is_empty,
)
from target_posthog.posthog.groups import group_event
from target_posthog.posthog.library import add_lib
from target_posthog.posthog.names import (
    MAX_EVENT_NAME_LENGTH,
    problem_of_name,
    problem_without_person,
)
from target_posthog.posthog.people import joined, legal_id, merged_by
from target_posthog.posthog.times import storable_time
from target_posthog.posthog.uuids import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_posthog.formats.selectors import Picker, Reader
    from target_posthog.formats.trace import Trace

TIME_NAMES = ("timestamp", "event_time", "occurred_at", "created_at", "time", "updated_at", "date")

_TIME = Source(TIME_NAMES)
#: For how many names of events the answer is remembered.
_MOST_NAMES = 1024
#: What PostHog takes of a person and of groups from the properties.
_OBJECTS = ("$set", "$set_once", "$groups")


@dataclass(frozen=True)
class StreamFields:
    """How one stream's records become events.

    Attributes:
        stream: the stream's name.
        key_properties: its key.
        mapping: what the user says about the stream.
        options: the user's decisions about names and person profiles.
        aliases: fields that hold other ids of a person, in any stream.
        declared: the fields that the stream's schema names.
    """

    stream: str
    key_properties: tuple[str, ...]
    mapping: StreamMapping = field(default_factory=StreamMapping)
    options: Options = field(default_factory=Options)
    aliases: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()

    def convert(self, record: Mapping[str, Any]) -> Conversion:
        """Return the record as an event, a skip, or why it cannot be one; for any JSON object."""
        try:
            return self._converted(record)
        except UnfitError as error:
            return error.rejected

    def note(self, trace: Trace, record: Mapping[str, Any], event: Json) -> None:
        """Note which rules made an event of a record; see `trace`."""
        groups, is_nobodys = self._people.groups(record), self._people.are_nobodys(record)
        own = self.mapping.uuid or self._own_ids
        if self.mapping.uuid is None and canonical_uuid(own.first(record)) is None:
            own = NOBODY
        sources = {
            "distinct_id": NOBODY if is_nobodys else self._people.source,
            "timestamp": self._when,
            "uuid": own,
        }
        note_parts(trace, self.mapping, record, sources, groups)
        tells_group = is_nobodys and self.mapping.event is None
        note = note_group_event if tells_group else note_properties
        note(trace, self.mapping, record, event["properties"], groups)
        note_the_rest(trace, self.mapping, record)

    def left_open(self, schema: Mapping[str, Any]) -> dict[str, str]:
        """Return what stands for the parts that the mapping does not name, in words.

        Args:
            schema: the stream's JSON schema.

        Returns:
            Part → what it is; an empty text when no record of the schema can have it.
        """
        person = " or ".join(PERSON.found_in(schema))
        if self._people.may_tell_groups_only:
            person = f"{person or 'nobody'} (records without one only update groups)"
        usual = {
            "event": "the stream's name",
            "distinct_id": person,
            "timestamp": " or ".join(_TIME.found_in(schema)),
            "uuid": " or ".join([*self._own_ids.found_in(schema), "made of the whole record"]),
        }
        return {part: one for part, one in usual.items() if getattr(self.mapping, part) is None}

    @cached_property
    def _people(self) -> People:
        return People(self.mapping, self.aliases, self.declared)

    @cached_property
    def _when(self) -> Source:
        return self.mapping.timestamp or _TIME

    @cached_property
    def _own_ids(self) -> Source:
        """Where the record's own uuid may be.

        Nothing but `uuid` is one: the `event_id` of a ticket may be that of the concert. And a
        `uuid` that is a part of the key is not alone in being the record's.
        """
        key = self.key_properties
        return Source(() if len(key) > 1 and "uuid" in key else ("uuid",))

    @cached_property
    def _known_names(self) -> Memo[str, str]:
        """What events are called whose name was met before."""
        return Memo(_MOST_NAMES)

    @cached_property
    def _own_id(self) -> Reader:
        return (self.mapping.uuid or self._own_ids).first

    @cached_property
    def _picked(self) -> Picker:
        """Gives the properties of a record, as an object of their own."""
        picks = self.mapping.properties
        return dict if picks is None else picker(picks)

    @cached_property
    def _tells(self) -> tuple[tuple[str, Picker], ...]:
        """What the mapping tells of the person, and what gives it."""
        parts = (("$set", self.mapping.set), ("$set_once", self.mapping.set_once))
        return tuple((name, picker(picks)) for name, picks in parts if picks)

    def _converted(self, record: Mapping[str, Any]) -> Conversion:
        named = self._name(record)
        name = self._known_names.get(named) or self._called(named)
        if name is None:
            return Skipped("skip_events")
        if not self._people.are_nobodys(record):
            who = self._people.who(record)
            return self._event(name, record, who, personal=self._is_personal(who))
        groups = self._people.groups(record)
        if self.mapping.event is None:
            return self._group_update(record, groups)
        # Under an id that is nobody else's.
        nobody = groups[0].representative if groups else self._uuid(record)
        check_person(nobody)
        return self._event(name, record, Who(nobody), personal=False)

    def _event(
        self, name: str, record: Mapping[str, Any], who: Who, *, personal: bool
    ) -> Converted:
        """Return the event of a record.

        Args:
            name: the event's name.
            record: the record.
            who: whom it names.
            personal: whether PostHog is to make a person of it.
        """
        timestamp, groups = self._timestamp(record), self._people.groups(record)
        event: Json = {
            "uuid": self._uuid(record),
            "event": name,
            "distinct_id": who.person,
            "timestamp": timestamp,
            "properties": self._properties(record, groups, personal=personal),
        }
        # PostHog drops merges and group updates of events without a person profile.
        if not personal:
            problem = problem_without_person(name)
            if problem is not None:
                raise UnfitError(problem)
            return Converted(event)
        links, states = who.links, tuple(_states(groups, record)) if groups else ()
        merged = merged_by(event)
        merged = None if merged is None else legal_id(merged)
        own = None if merged is None else joined(who.person, merged, source=None)
        if own is not None:
            # The event itself joins them, by the rules for all.
            return Converted(event, own, states, who.user or who.person, links, joins=True)
        return Converted(event, links[0] if links else None, states, who.user, links[1:])

    def _group_update(self, record: Mapping[str, Any], groups: Sequence[Group]) -> Conversion:
        """Return what a record tells of its first group as an event, and of the others beside it.

        PostHog drops group updates without a person profile. Where a group has no properties of
        its own in the mapping, it has those that the event would have.
        """
        if self.options.person_profiles == "never":
            return Skipped("person_profiles")
        if not groups:
            raise UnfitError(Rejected("no_distinct_id", "The record names no person and no group."))
        first, *others = groups
        check_person(first.representative)
        told = first.mapped.told(record) or self._picked(record)
        state = GroupState(first.mapped.group_type, first.key, told, source=None)
        event = group_event(state, first.representative, self._timestamp(record))
        return Converted(
            {**event, "uuid": self._uuid(record)}, None, tuple(_states(others, record))
        )

    def _called(self, named: str) -> str | None:
        """Return what the user calls an event of this name, or None when it is left out.

        Raises:
            UnfitError: PostHog would not store it.
        """
        if self.options.names.skips(named):
            return None
        name = self.options.names.name_of(named)
        problem = problem_of_name(name)
        if problem is not None:
            raise UnfitError(problem)
        if len(named) <= MAX_EVENT_NAME_LENGTH:
            self._known_names.remember(named, name)
        return name

    def _name(self, record: Mapping[str, Any]) -> str:
        """Return the event's name.

        Raises:
            UnfitError: no field names it.
        """
        if self.mapping.event is None:
            return self.stream
        for _, read in self.mapping.event.readers:
            name = _name_of(read(record))
            if name is not None:
                return name
        reason = f"None of {self.mapping.event} names the event."
        raise UnfitError(Rejected("missing_event_type", reason))

    def _timestamp(self, record: Mapping[str, Any]) -> str:
        """Return the time in the first field that holds something, never that of another field.

        Raises:
            UnfitError: there is none, or it cannot be read.
        """
        for candidate, read in self._when.readers:
            value = read(record)
            time = storable_time(value)
            if time is not None:
                return time
            if is_empty(value) or value is False or (isinstance(value, str) and value.isspace()):
                continue
            reason = f"{described(candidate)} is not a time that can be read, or lies before 1900."
            raise UnfitError(Rejected("bad_time", reason))
        raise UnfitError(Rejected("bad_time", f"None of {self._when} holds a time."))

    def _is_personal(self, who: Who) -> bool:
        """Return True if PostHog is to make a person of the event (setting `person_profiles`)."""
        if self.options.person_profiles != "identified_only":
            return self.options.person_profiles == "always"
        return who.user is not None

    def _uuid(self, record: Mapping[str, Any]) -> str:
        """Return the record's own uuid, or a UUIDv5 of its own id, or of all of it."""
        own = self._own_id(record)
        found = None if own is None else canonical_uuid(own)
        if found is None and self.mapping.uuid is not None and own is not None:
            found = uuid_of_value(f"id {self.stream}", own)
        return found or uuid_of_record(f"record {self.stream}", record, self.key_properties)

    def _properties(
        self, record: Mapping[str, Any], groups: Sequence[Group], *, personal: bool
    ) -> Json:
        """Return the properties of an event.

        Raises:
            UnfitError: one that PostHog acts on is no object.
        """
        properties = self._picked(record)
        for name in _OBJECTS:
            there = properties.get(name)
            if there and not isinstance(there, dict):
                reason = "The record's $set, $set_once or $groups is no object."
                raise UnfitError(Rejected("bad_event", reason))
        for name, tell in self._tells:
            _add(properties, name, tell(record))
        if groups:
            told = {group.mapped.group_type: group.key for group in groups}
            _add(properties, "$groups", told)
        if not personal:
            properties["$process_person_profile"] = False
        properties["$geoip_disable"] = True
        add_lib(properties)
        return properties


def _add(properties: Json, name: str, told: Json) -> None:
    if told:
        properties[name] = {**(properties.get(name) or {}), **told}


def _states(groups: Sequence[Group], record: Mapping[str, Any]) -> Iterator[GroupState]:
    """Yield what a record tells of groups."""
    for group in groups:
        told = group.mapped.told(record)
        if told:
            yield GroupState(group.mapped.group_type, group.key, told, source=None)


def _name_of(value: Any) -> str | None:
    """Return an event's name; numbers are names, too."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
