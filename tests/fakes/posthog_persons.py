"""Who is who in PostHog after a sequence of events: persons, their merges and refusals.

The rules are those of PostHog's nodejs service, in `ingestion/common/persons/`:
`person-merge-service.ts` (merging), `person-property-service.ts` and `person-create-service.ts`
(persons come into being), `person-event-processor.ts` (the order of both), and of
`common/persons/person-utils.ts` (`$process_person_profile`, ids that never merge).

Out of scope: limits on the size of a person, races between servers, `$feature_flag_called`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import orjson

from tests.fakes.posthog_person_properties import Properties, initial, updated
from tests.fakes.posthog_times import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

# Errors and heatmaps travel in other pipelines, which write no persons (person-update.ts:
# NO_PERSON_UPDATE_EVENTS).
_NO_PERSON_EVENTS = frozenset({"$exception", "$$heatmap", "$$client_ingestion_warning"})
_NEEDS_PERSON = frozenset({"$identify", "$create_alias", "$merge_dangerously", "$groupidentify"})
_PERSON_KEYS = ("$set", "$set_once", "$unset")
# A personless event this much after its person was made is processed like any other.
_UPGRADE_AFTER = timedelta(minutes=1)


def _with_quotes(ids: tuple[str, ...]) -> frozenset[str]:
    return frozenset(f"{quote}{id_}{quote}" for id_ in ids for quote in ("", "'", '"'))


_ILLEGAL_IN_ANY_CASE = _with_quotes(
    (
        *("anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated"),
        *("email", "undefined", "true", "false"),
    )
)
_ILLEGAL_AS_WRITTEN = _with_quotes(
    ("[object Object]", "NaN", "None", "none", "null", "0", "undefined")
)


@dataclass(frozen=True)
class Warned:
    """An ingestion warning, as on PostHog's ingestion warnings page.

    Attributes:
        type: PostHog's own name of the warning.
        event: Name of the event.
        distinct_id: Of the event.
        other_id: The id that was to be merged, "" when none was.
    """

    type: str
    event: str
    distinct_id: str
    other_id: str = ""


@dataclass
class _Person:
    number: int
    created_at: datetime
    is_identified: bool
    properties: Properties
    ids: set[str] = field(default_factory=set)


def is_illegal_for_merging(distinct_id: str) -> bool:
    """Say whether PostHog refuses to merge this id (`isDistinctIdIllegal`)."""
    return (
        not distinct_id.strip()
        or distinct_id.lower() in _ILLEGAL_IN_ANY_CASE
        or distinct_id in _ILLEGAL_AS_WRITTEN
    )


class PersonModel:
    """PostHog's persons, fed with one event after the other.

    Persons are numbered in the order in which they came into being.

    Attributes:
        warnings: Ingestion warnings in order.
        dropped: Events the pipeline threw away, in order.
    """

    def __init__(self) -> None:
        self.warnings: list[Warned] = []
        self.dropped: list[Mapping[str, Any]] = []
        self._by_id: dict[str, _Person] = {}
        self._made = 0

    def process(self, event: Mapping[str, Any]) -> None:
        """Take one event in.

        Args:
            event: With `event`, `distinct_id`, `properties` and `timestamp` (RFC 3339). A true
                `_person_processing_disabled` stands for the header by which capture switches
                person processing off.
        """
        name, properties = event["event"], event.get("properties") or {}
        if name in _NO_PERSON_EVENTS or event.get("_person_processing_disabled"):
            return
        mode = properties.get("$process_person_profile", True)
        if mode is False:
            self._process_personless(event, properties)
            return
        if mode is not True:
            self._warn("invalid_process_person_profile", event)
        if name == "$groupidentify":
            properties = _without_person_keys(properties)
        if not self._merge_asked_for(event, properties):
            self._see(event, properties)

    def person_of(self, distinct_id: str) -> int | None:
        """Give the number of an id's person; None when the id has none."""
        person = self._by_id.get(distinct_id)
        return None if person is None else person.number

    def who_is_who(self) -> dict[str, int]:
        """Give every known id with the number of its person."""
        return {distinct_id: person.number for distinct_id, person in self._by_id.items()}

    def people(self) -> list[frozenset[str]]:
        """Give the ids of each person that still exists, in order of their making."""
        ids = defaultdict(set)
        for distinct_id, person in self._by_id.items():
            ids[person.number].add(distinct_id)
        return [frozenset(ids[number]) for number in sorted(ids)]

    def person_properties(self, distinct_id: str) -> Properties:
        """Give a copy of the properties of an id's person, without `$creator_event_uuid`.

        Raises:
            KeyError: The id has no person.
        """
        return dict(self._by_id[distinct_id].properties)

    def is_identified(self, distinct_id: str) -> bool:
        """Say whether an id's person is protected from being merged into another.

        Raises:
            KeyError: The id has no person.
        """
        return self._by_id[distinct_id].is_identified

    def created_at(self, distinct_id: str) -> datetime:
        """Give the time an id's person counts as made.

        Raises:
            KeyError: The id has no person.
        """
        return self._by_id[distinct_id].created_at

    def _process_personless(self, event: Mapping[str, Any], properties: Properties) -> None:
        """Keep persons out of an event, as the normalize and personless steps do."""
        if event["event"] in _NEEDS_PERSON:
            self._warn("invalid_event_when_process_person_profile_is_false", event)
            self.dropped.append(event)
            return
        person = self._by_id.get(event["distinct_id"])
        if person is not None and _time(event) > person.created_at + _UPGRADE_AFTER:
            person.properties = updated(person.properties, _without_person_keys(properties))

    def _see(self, event: Mapping[str, Any], properties: Properties) -> None:
        """Update the event's person, or make one that is not identified yet."""
        person = self._by_id.get(event["distinct_id"])
        if person is None:
            self._make(event, properties, [event["distinct_id"]], is_identified=False)
        else:
            person.properties = updated(person.properties, properties)

    def _merge_asked_for(self, event: Mapping[str, Any], properties: Properties) -> bool:
        """Do the merge an event asks for; False when it asks for none, or for an impossible one."""
        into, other = event["distinct_id"], _other_id(event["event"], properties)
        if other is None or other == into:
            return False
        for distinct_id in (into, other):
            if is_illegal_for_merging(distinct_id):
                self._warn("cannot_merge_with_illegal_distinct_id", event, other)
                return False
        self._merge(event, properties, into, other)
        return True

    def _merge(
        self, event: Mapping[str, Any], properties: Properties, into_id: str, other_id: str
    ) -> None:
        """Bring two ids together (`mergeDistinctIds`)."""
        into, other = self._by_id.get(into_id), self._by_id.get(other_id)
        if into is None and other is None:
            self._make(event, properties, [into_id, other_id], is_identified=True)
            return
        if into is None or other is None:
            kept = into or other
            assert kept is not None
            self._add_ids(kept, {into_id, other_id})
        else:
            kept = into
            if other is not into:
                self._merge_people(event, into, other, other_id)
        # After every merge, even a refused one, the event updates the person it ended at, and
        # that person counts as identified (`updateIsIdentified`).
        kept.properties = updated(kept.properties, properties)
        kept.is_identified = True

    def _merge_people(
        self, event: Mapping[str, Any], into: _Person, other: _Person, other_id: str
    ) -> None:
        """Merge one existing person into another, unless it is already identified."""
        if other.is_identified and event["event"] != "$merge_dangerously":
            self._warn("cannot_merge_already_identified", event, other_id)
            return
        into.properties = {**other.properties, **into.properties}
        into.created_at = min(into.created_at, other.created_at)
        self._add_ids(into, other.ids)

    def _make(
        self,
        event: Mapping[str, Any],
        properties: Properties,
        ids: list[str],
        *,
        is_identified: bool,
    ) -> None:
        self._made += 1
        person = _Person(self._made, _time(event), is_identified, initial(properties))
        self._add_ids(person, set(ids))

    def _add_ids(self, person: _Person, ids: set[str]) -> None:
        person.ids |= ids
        self._by_id.update(dict.fromkeys(ids, person))

    def _warn(self, type_: str, event: Mapping[str, Any], other_id: str = "") -> None:
        self.warnings.append(Warned(type_, event["event"], event["distinct_id"], other_id))


def _other_id(name: str, properties: Properties) -> str | None:
    """Find the id an event wants merged (`handleIdentifyOrAlias`)."""
    if name in ("$create_alias", "$merge_dangerously"):
        alias = properties.get("alias")
        # In JavaScript an empty list or object counts as true.
        return _js_string(alias) if alias or isinstance(alias, list | dict) else None
    if name == "$identify" and "$anon_distinct_id" in properties:
        return _js_string(properties["$anon_distinct_id"])
    return None


def _js_string(value: Any) -> str:
    """Do as JavaScript's `String(value)`."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, list):
        return ",".join("" if item is None else _js_string(item) for item in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return orjson.dumps(value).decode()


def _without_person_keys(properties: Properties) -> Properties:
    return {key: value for key, value in properties.items() if key not in _PERSON_KEYS}


def _time(event: Mapping[str, Any]) -> datetime:
    moment = parse_rfc3339(event.get("timestamp") or "")
    return moment or datetime.now(timezone.utc)
