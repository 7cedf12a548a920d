"""Records of any other tap: which field is the person, the time and the id.

By the setting `streams`; what it leaves open is found by the usual names. Without more, a stream
is an event: its name is the event's name, its fields are the event's properties. A record that
names groups and nobody, where no event is asked for, only updates the groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_posthog.amplitude.convert import Options
from target_posthog.amplitude.event_ids import canonical_uuid
from target_posthog.amplitude.event_names import problem_of_name
from target_posthog.amplitude.groups import group_event
from target_posthog.amplitude.identity import joined, legal_id
from target_posthog.any_time import any_time
from target_posthog.conversion import (
    Conversion,
    Converted,
    GroupState,
    Json,
    Rejected,
    Skipped,
)
from target_posthog.field_sources import Source
from target_posthog.ids import UnfitError, described
from target_posthog.lib import with_lib
from target_posthog.property_settings import problem_without_person
from target_posthog.record_ids import uuid_of_record, uuid_of_value
from target_posthog.sightings import merged_by
from target_posthog.stream_mappings import Picks, StreamMapping
from target_posthog.stream_people import PERSON, Group, People, Who, check_person

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TIME_NAMES = ("timestamp", "event_time", "occurred_at", "created_at", "time", "updated_at", "date")

_TIME = Source(TIME_NAMES)


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

    def _converted(self, record: Mapping[str, Any]) -> Conversion:
        name = self._name(record)
        if self.options.names.skips(name):
            return Skipped("skip_events")
        name = self.options.names.name_of(name)
        problem = problem_of_name(name)
        if problem is not None:
            raise UnfitError(problem)
        if not self._people.are_nobodys(record):
            return self._event(name, record, self._people.who(record))
        groups = self._people.groups(record)
        if self.mapping.event is None:
            return self._group_update(record, groups)
        # Under an id that is nobody else's.
        nobody = groups[0].representative if groups else self._uuid(record)
        return self._event(name, record, Who(nobody), personal=False)

    def _event(
        self, name: str, record: Mapping[str, Any], who: Who, *, personal: bool | None = None
    ) -> Converted:
        """Return the event of a record.

        Args:
            name: the event's name.
            record: the record.
            who: whom it names.
            personal: whether PostHog is to make a person of it; None as the user wants it.
        """
        check_person(who.person)
        timestamp, groups = self._timestamp(record), self._people.groups(record)
        if personal is None:
            personal = self._is_personal(who)
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
        links, states = who.links, tuple(_states(groups, record))
        merged = legal_id(merged_by(event))
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
        told = _picked(first.mapped.properties, record) or self._picked_properties(record)
        state = GroupState(first.mapped.group_type, first.key, told, source=None)
        event = group_event(state, first.representative, self._timestamp(record))
        return Converted(
            {**event, "uuid": self._uuid(record)}, None, tuple(_states(others, record))
        )

    def _name(self, record: Mapping[str, Any]) -> str:
        """Return the event's name.

        Raises:
            UnfitError: no field names it.
        """
        if self.mapping.event is None:
            return self.stream
        for value in self.mapping.event.values(record):
            name = _name_of(value)
            if name is not None:
                return name
        reason = f"None of {self.mapping.event} names the event."
        raise UnfitError(Rejected("missing_event_type", reason))

    def _timestamp(self, record: Mapping[str, Any]) -> str:
        """Return the time in the first field that holds something, never that of another field.

        Raises:
            UnfitError: there is none, or it cannot be read.
        """
        reason = f"None of {self._when} holds a time."
        for candidate, value in self._when.found(record):
            if value is False or (isinstance(value, str) and not value.strip()):
                continue
            time = any_time(value)
            if time is not None:
                return time
            reason = f"{described(candidate)} is not a time that can be read, or lies before 1900."
            break
        raise UnfitError(Rejected("bad_time", reason))

    def _is_personal(self, who: Who) -> bool:
        """Tell whether PostHog is to make a person of the event (setting `person_profiles`)."""
        if self.options.person_profiles != "identified_only":
            return self.options.person_profiles == "always"
        return who.user is not None

    def _uuid(self, record: Mapping[str, Any]) -> str:
        """Return the record's own uuid, or a UUIDv5 of its own id, or of all of it."""
        own = (self.mapping.uuid or self._own_ids).first(record)
        found = canonical_uuid(own)
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
        properties = self._picked_properties(record)
        for name, told in (
            ("$set", _picked(self.mapping.set, record)),
            ("$set_once", _picked(self.mapping.set_once, record)),
            ("$groups", {group.mapped.group_type: group.key for group in groups}),
        ):
            there = properties.get(name) or {}
            if not isinstance(there, dict):
                reason = "The record's $set, $set_once or $groups is no object."
                raise UnfitError(Rejected("bad_event", reason))
            if told:
                properties[name] = {**there, **told}
        if not personal:
            properties["$process_person_profile"] = False
        return with_lib({**properties, "$geoip_disable": True})

    def _picked_properties(self, record: Mapping[str, Any]) -> Json:
        picks = self.mapping.properties
        return dict(record) if picks is None else _picked(picks, record)


def _states(groups: Sequence[Group], record: Mapping[str, Any]) -> Iterator[GroupState]:
    """Yield what a record tells of groups."""
    for group in groups:
        told = _picked(group.mapped.properties, record)
        if told:
            yield GroupState(group.mapped.group_type, group.key, told, source=None)


def _picked(picks: Picks, record: Mapping[str, Any]) -> Json:
    """Return the picked properties; of two of one name the first counts."""
    found: Json = {}
    for pick in picks:
        found = {**pick.of(record), **found}
    return found


def _name_of(value: Any) -> str | None:
    """Return an event's name; numbers are names, too."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return str(value) if str(value).strip() else None
