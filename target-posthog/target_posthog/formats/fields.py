"""Records of any other tap: which field is the person, the time and the id.

By the setting `streams`; what it leaves open is found by the usual names. Without more, a stream
is an event: its name is the event's name, its fields are the event's properties. A record that
names groups and nobody, where no event is asked for, only updates the groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_posthog.formats.ids import UnfitError
from target_posthog.formats.mappings import NOBODY, StreamMapping
from target_posthog.formats.options import Options
from target_posthog.formats.record_ids import RecordIds
from target_posthog.formats.record_parts import USUAL_TIME, name_in, time_in
from target_posthog.formats.record_properties import RecordProperties
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
)
from target_posthog.posthog.groups import group_event
from target_posthog.posthog.names import problem_without_person
from target_posthog.posthog.people import joined, legal_id, merged_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_posthog.formats.selectors import Source
    from target_posthog.formats.trace import Trace


@dataclass(frozen=True)
class StreamFields:
    """How one stream's records become events.

    Attributes:
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
        sources = {
            "distinct_id": NOBODY if is_nobodys else self._people.source,
            "timestamp": self._when,
            "uuid": self._ids.source_in(record),
        }
        note_parts(trace, self.mapping, record, sources, groups)
        tells_group = is_nobodys and self.mapping.event is None
        note = note_group_event if tells_group else note_properties
        note(trace, self.mapping, record, event["properties"], groups)
        note_the_rest(trace, self.mapping, record)

    def left_open(self, schema: Mapping[str, Any]) -> dict[str, str]:
        """Return what stands for the parts that the mapping does not name, in words.

        Returns:
            Part → what it is; an empty text when no record of the schema can have it.
        """
        person = " or ".join(PERSON.found_in(schema))
        if self._people.may_tell_groups_only:
            person = f"{person or 'nobody'} (records without one only update groups)"
        usual = {
            "event": "the stream's name",
            "distinct_id": person,
            "timestamp": " or ".join(USUAL_TIME.found_in(schema)),
            "uuid": self._ids.usual_in(schema),
        }
        return {part: words for part, words in usual.items() if getattr(self.mapping, part) is None}

    @cached_property
    def _people(self) -> People:
        return People(self.mapping, self.aliases, self.declared)

    @cached_property
    def _when(self) -> Source:
        return self.mapping.timestamp or USUAL_TIME

    @cached_property
    def _ids(self) -> RecordIds:
        return RecordIds(self.stream, self.key_properties, self.mapping.uuid)

    @cached_property
    def _uuid(self) -> Callable[[Mapping[str, Any]], str]:
        return self._ids.uuid_of

    @cached_property
    def _properties(self) -> RecordProperties:
        return RecordProperties(self.mapping)

    def _converted(self, record: Mapping[str, Any]) -> Conversion:
        source, names = self.mapping.event, self.options.names
        named = self.stream if source is None else name_in(source, record)
        name, outcome = names.known.get(named) or names.named(named)
        if outcome is not None:
            return outcome
        if not self._people.are_nobodys(record):
            who = self._people.who(record)
            personal = self.options.makes_person(is_user=who.user is not None)
            return self._event(name, record, who, personal=personal)
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
        """Return the event of a record."""
        timestamp, groups = time_in(self._when, record), self._people.groups(record)
        event: Json = {
            "uuid": self._uuid(record),
            "event": name,
            "distinct_id": who.person,
            "timestamp": timestamp,
            "properties": self._properties.of(record, groups, personal=personal),
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
        properties = first.mapped.picked(record) or self._properties.picked(record)
        state = GroupState(first.mapped.group_type, first.key, properties, source=None)
        event = group_event(state, first.representative, time_in(self._when, record))
        return Converted(
            {**event, "uuid": self._uuid(record)}, None, tuple(_states(others, record))
        )


def _states(groups: Sequence[Group], record: Mapping[str, Any]) -> Iterator[GroupState]:
    """Yield what a record tells of groups."""
    for group in groups:
        properties = group.mapped.picked(record)
        if properties:
            yield GroupState(group.mapped.group_type, group.key, properties, source=None)
