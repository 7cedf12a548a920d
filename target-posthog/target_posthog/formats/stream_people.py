"""Whom a record of any other tap names: its person, the person's other ids, its groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.cache import Memo
from target_posthog.formats.ids import UnfitError, all_ids, first_id, group_key
from target_posthog.formats.mappings import NOBODY, MappedGroup, StreamMapping
from target_posthog.formats.selectors import Source
from target_posthog.model import Rejected
from target_posthog.posthog.people import joined, problem_of_person, stored_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_posthog.formats.selectors import Candidate, Reader
    from target_posthog.model import Link

#: The names of ids that devices have, before anybody is known.
ANONYMOUS_NAMES = ("anonymous_id", "device_id")
PERSON_NAMES = ("distinct_id", "user_id", "person_id", "customer_id", *ANONYMOUS_NAMES)

PERSON, _ANONYMOUS = Source(PERSON_NAMES), Source(ANONYMOUS_NAMES)
#: The same names in capitals, or in words joined (`anonymousId`).
_ANONYMOUS_LETTERS = frozenset(name.replace("_", "") for name in ANONYMOUS_NAMES)


#: How many users are remembered.
_MOST_MET = 16_384
#: How the `distinct_id` begins of who is not known to Mixpanel yet.
_MIXPANELS_DEVICE = "$device:"


class Who(NamedTuple):
    """Whom a record names.

    Attributes:
        person: the event's `distinct_id`.
        user: the same, when it is a user and no device or visitor who is nobody yet.
        links: the pairs of the person and its other ids.
    """

    person: str
    user: str | None = None
    links: tuple[Link, ...] = ()


class Group(NamedTuple):
    """A group that a record names, as the mapping says, and its key."""

    mapped: MappedGroup
    key: str

    @property
    def representative(self) -> str:
        """The `distinct_id` of what no person did, as PostHog's server SDKs write it."""
        return f"${self.mapped.group_type}_{self.key}"


def check_person(person: str) -> None:
    """Look whether PostHog would find a person again.

    Raises:
        UnfitError: it would not.
    """
    problem = problem_of_person(person, absent="")
    if problem is not None:
        raise UnfitError(problem)


@dataclass(frozen=True)
class People:
    """Finds whom the records of a stream name.

    Attributes:
        aliases: fields that hold other ids of a person, in this or another stream: who is known
            by such a field is nobody yet.
        declared: the fields that the stream's schema names.
    """

    mapping: StreamMapping
    aliases: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()

    def who(self, record: Mapping[str, Any]) -> Who:
        """Return whom a record names.

        Raises:
            UnfitError: nobody, or somebody whom PostHog would not find again.
        """
        value = self._first(record)
        known = self._met.get(value) if isinstance(value, str) else None
        if known is not None:
            return known
        found = first_id(self.source, record)
        if found is None:
            raise UnfitError(Rejected("no_distinct_id", f"None of {self.source} names a person."))
        person, source = found
        check_person(person)
        alias = self.mapping.alias
        others = () if alias is None else all_ids(alias, record)
        if not self._is_user(person, source, record, others):
            # A device belongs to its first user, and to no other device before.
            return Who(person)
        if not others:
            who = Who(person, person)
            if value == person and self._is_told_by_id:
                self._met.remember(person, who)
            return who
        links = [joined(person, other, source=None) for other in others]
        return Who(person, person, tuple(link for link in links if link is not None))

    def groups(self, record: Mapping[str, Any]) -> Sequence[Group]:
        """Return the groups that a record names.

        Raises:
            UnfitError: a key is none.
        """
        if not self.mapping.groups:
            return ()
        found = [(mapped, group_key(mapped.key, record)) for mapped in self.mapping.groups]
        return [Group(mapped, key) for mapped, key in found if key is not None]

    def are_nobodys(self, record: Mapping[str, Any]) -> bool:
        """Return True if no person is meant to have done what a record tells."""
        if self.mapping.distinct_id is not None:
            return not self._is_named
        return self.may_tell_groups_only and record.keys().isdisjoint(PERSON_NAMES)

    @cached_property
    def may_tell_groups_only(self) -> bool:
        """Whether records may tell only of groups: nothing asks for an event of a person.

        A schema that names one of the usual fields does, though a record may leave it out.
        """
        mapping = self.mapping
        if mapping.event is not None or not mapping.groups or self._is_named:
            return False
        return mapping.distinct_id == NOBODY or self.declared.isdisjoint(PERSON_NAMES)

    @cached_property
    def _is_named(self) -> bool:
        return self.mapping.distinct_id is not None and self.mapping.distinct_id != NOBODY

    @cached_property
    def source(self) -> Source:
        """Where the person is found, when the record is somebody's."""
        return PERSON if self.mapping.distinct_id is None else self.mapping.distinct_id

    def _is_user(
        self, person: str, source: Candidate, record: Mapping[str, Any], others: Sequence[str]
    ) -> bool:
        """Return True if an id is a user's, by the field that holds it.

        A `distinct_id` may be either: it is a device's when the record's device is the same, or
        when Mixpanel says so (docs.mixpanel.com, "Simplified ID merge").
        """
        if not isinstance(source, str) or source not in self._of_users:
            return False
        if not source.endswith("distinct_id") or source.rpartition(".")[2] != "distinct_id":
            return True
        if person.startswith(_MIXPANELS_DEVICE):
            return False
        devices = {stored_id(value) for _, value in _ANONYMOUS.found(record)}
        return person not in devices.union(others)

    @cached_property
    def _met(self) -> Memo[str, Who]:
        """Users who were met before, by their id: one has many records."""
        return Memo(_MOST_MET)

    @cached_property
    def _first(self) -> Reader:
        return self.source.readers[0][1] if self.source.readers else lambda _: None

    @cached_property
    def _is_told_by_id(self) -> bool:
        """Whether the id in the first field alone tells who it is."""
        name = self.source.candidates[0]
        is_user = isinstance(name, str) and name in self._of_users
        return is_user and self.mapping.alias is None and not str(name).endswith("distinct_id")

    @cached_property
    def _of_users(self) -> frozenset[str]:
        """The fields that hold users, and no devices or other ids of them."""
        own = self.mapping.alias
        others = self.aliases if own is None else self.aliases.union(own.fields)
        return frozenset(
            name
            for name in self.source.fields
            if name not in others
            and name.rpartition(".")[2].replace("_", "").lower() not in _ANONYMOUS_LETTERS
        )
