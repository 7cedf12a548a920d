"""Records of any other tap: which field is the person, the time and the id.

By the setting `streams`; what it leaves open is found by the usual names. Without more, a stream
is an event: its name is the event's name, its fields are the event's properties.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_posthog.amplitude.convert import Options
from target_posthog.amplitude.event_ids import canonical_uuid
from target_posthog.amplitude.event_names import problem_of_name
from target_posthog.amplitude.groups import group_key
from target_posthog.amplitude.identity import joined, legal_id, problem_of_person
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
from target_posthog.record_ids import uuid_of_record, uuid_of_value
from target_posthog.stream_mappings import Picks, StreamMapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: The names of ids that devices have, before anybody is known.
ANONYMOUS_NAMES = ("anonymous_id", "device_id")
PERSON_NAMES = ("distinct_id", "user_id", "person_id", "customer_id", *ANONYMOUS_NAMES)
TIME_NAMES = ("timestamp", "event_time", "occurred_at", "created_at", "time", "updated_at", "date")

_PERSON, _TIME, _ANONYMOUS = Source(PERSON_NAMES), Source(TIME_NAMES), Source(ANONYMOUS_NAMES)


@dataclass(frozen=True)
class StreamFields:
    """How one stream's records become events.

    Attributes:
        stream: the stream's name.
        key_properties: its key.
        mapping: what the user says about the stream.
        options: the user's decisions about names and person profiles.
    """

    stream: str
    key_properties: tuple[str, ...]
    mapping: StreamMapping = field(default_factory=StreamMapping)
    options: Options = field(default_factory=Options)

    def convert(self, record: Mapping[str, Any]) -> Conversion:
        """Return the record as an event, a skip, or why it cannot be one; for any JSON object."""
        name = self._name(record)
        if name is None:
            return Rejected("missing_event_type", f"None of {self.mapping.event} names the event.")
        if self.options.names.skips(name):
            return Skipped("skip_events")
        name = self.options.names.name_of(name)
        person = _first(map(legal_id, self._who.values(record)))
        timestamp = _first(map(any_time, self._when.values(record)))
        problem = self._problem(name, person, timestamp)
        if problem is not None or person is None:
            return problem or Rejected("no_distinct_id", "")
        alias = self._alias(record)
        personal = self._is_personal(record, person, alias)
        properties = self._properties(record, personal=personal)
        if properties is None:
            return Rejected("bad_event", "The record's $set, $set_once or $groups is no object.")
        event: Json = {
            "uuid": self._uuid(record),
            "event": name,
            "distinct_id": person,
            "timestamp": timestamp,
            "properties": properties,
        }
        # PostHog drops merges and group updates of events without a person profile.
        if not personal:
            return Converted(event)
        link = None if alias is None else joined(person, alias, source=None)
        return Converted(event, link, tuple(self._group_states(record)))

    def left_open(self, schema: Mapping[str, Any]) -> dict[str, str]:
        """Return what stands for the parts that the mapping does not name, in words.

        Args:
            schema: the stream's JSON schema.

        Returns:
            Part → what it is; an empty text when no record of the schema can have it.
        """
        usual = {
            "event": "the stream's name",
            "distinct_id": " or ".join(_PERSON.found_in(schema)),
            "timestamp": " or ".join(_TIME.found_in(schema)),
            "uuid": " or ".join([*self._own_ids.found_in(schema), "made of the whole record"]),
        }
        return {part: one for part, one in usual.items() if getattr(self.mapping, part) is None}

    @cached_property
    def _who(self) -> Source:
        return self.mapping.distinct_id or _PERSON

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

    def _problem(self, name: str, person: str | None, timestamp: str | None) -> Rejected | None:
        problem = problem_of_name(name) or problem_of_person(
            person, absent=f"None of {self._who} names a person."
        )
        if problem is None and timestamp is None:
            return Rejected("bad_time", f"None of {self._when} is a time.")
        return problem

    def _name(self, record: Mapping[str, Any]) -> str | None:
        if self.mapping.event is None:
            return self.stream
        return _first(map(_name_of, self.mapping.event.values(record)))

    def _alias(self, record: Mapping[str, Any]) -> str | None:
        source = self.mapping.alias
        return None if source is None else _first(map(legal_id, source.values(record)))

    def _is_personal(self, record: Mapping[str, Any], person: str, alias: str | None) -> bool:
        """Tell whether PostHog is to make a person of the event (setting `person_profiles`)."""
        if self.options.person_profiles != "identified_only":
            return self.options.person_profiles == "always"
        return person not in {alias, *map(legal_id, _ANONYMOUS.values(record))}

    def _uuid(self, record: Mapping[str, Any]) -> str:
        """Return the record's own uuid, or a UUIDv5 of its own id, or of all of it."""
        own = (self.mapping.uuid or self._own_ids).first(record)
        found = canonical_uuid(own)
        if found is None and self.mapping.uuid is not None and own is not None:
            found = uuid_of_value(f"id {self.stream}", own)
        return found or uuid_of_record(f"record {self.stream}", record, self.key_properties)

    def _properties(self, record: Mapping[str, Any], *, personal: bool) -> Json | None:
        mapping = self.mapping
        properties = (
            dict(record) if mapping.properties is None else _picked(mapping.properties, record)
        )
        groups = {kind: key for kind, key, _ in self._groups(record)}
        for name, told in (
            ("$set", _picked(mapping.set, record)),
            ("$set_once", _picked(mapping.set_once, record)),
            ("$groups", groups),
        ):
            there = properties.get(name) or {}
            if not isinstance(there, dict):
                return None
            if told:
                properties[name] = {**there, **told}
        if not personal:
            properties["$process_person_profile"] = False
        return {**properties, "$geoip_disable": True}

    def _groups(self, record: Mapping[str, Any]) -> Iterator[tuple[str, str, Picks]]:
        """Yield type, key and properties of the groups that the record names."""
        for group in self.mapping.groups:
            key = _first(map(group_key, group.key.values(record)))
            if key is not None:
                yield group.group_type, key, group.properties

    def _group_states(self, record: Mapping[str, Any]) -> Iterator[GroupState]:
        for kind, key, picks in self._groups(record):
            told = _picked(picks, record)
            if told:
                yield GroupState(kind, key, told, source=None)


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


def _first(candidates: Iterable[str | None]) -> str | None:
    return next((candidate for candidate in candidates if candidate is not None), None)
