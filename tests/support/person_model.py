"""Who ends how in PostHog: its people and groups after events in their order of arrival.

Made for tests of what a run left behind: the events may come from a driver within the test, or be
those that a capture stand-in received. What is right follows from the rows alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from target_posthog.formats.amplitude.times import event_time
from target_posthog.posthog.people import legal_id
from tests.fakes.posthog_person_properties import LIFTED_PROPERTIES
from tests.fakes.posthog_persons import PersonModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from target_posthog.model import Json

    Row = Mapping[str, Any]
    Group = tuple[str, str]


class World:
    """PostHog's people and groups.

    Attributes:
        people: who is who, and what is known of them.
        groups: what is known of each group, by type and key.
        events: all that came, in order.
    """

    def __init__(self) -> None:
        self.people = PersonModel()
        self.groups: dict[Group, Json] = defaultdict(dict)
        self.events: list[Json] = []

    def receive(self, events: Iterable[Json]) -> None:
        """Take events in, in their order of arrival."""
        for event in events:
            self.events.append(event)
            self.people.process(event)
            properties = event["properties"]
            if event["event"] == "$groupidentify":
                group = (properties["$group_type"], properties["$group_key"])
                self.groups[group] |= properties["$group_set"]


def old_people(world: World, rows: Iterable[Row]) -> list[tuple[frozenset[str], Json, Json]]:
    """Return the people that ended with something else than their newest row says.

    Args:
        world: PostHog after the run.
        rows: all rows that were delivered, in any order, as Amplitude exports them.

    Returns:
        Of each its ids, its newest row, and what it has instead. Names that PostHog takes over from
        any event are not compared: their order is that of the events.
    """
    by_id: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        person = legal_id(row.get("user_id")) or legal_id(row.get("device_id"))
        has_state = isinstance(row["user_properties"], dict) and row["user_properties"]
        if person is not None and has_state:
            by_id[person].append(row)
    old = []
    for ids in world.people.people():
        newest = _newest([row for one in ids for row in by_id[one]])
        if newest is not None:
            told = {
                name: value
                for name, value in newest["user_properties"].items()
                if name not in LIFTED_PROPERTIES
            }
            held = world.people.person_properties(next(iter(ids)))
            differs = {name: held.get(name) for name in told if held.get(name) != told[name]}
            if differs:
                old.append((ids, dict(newest), differs))
    return old


def old_groups(world: World, rows: Iterable[Row]) -> list[tuple[Group, Json, Json]]:
    """Return the groups that ended with something else than their newest row says."""
    by_group: dict[Group, list[Row]] = defaultdict(list)
    for row in rows:
        for group_type, groups in (row.get("group_properties") or {}).items():
            for key in groups:
                by_group[group_type, key].append(row)
    old = []
    for group, its_rows in by_group.items():
        newest = _newest(its_rows)
        assert newest is not None
        told = newest["group_properties"][group[0]][group[1]]
        held = world.groups[group]
        differs = {name: held.get(name) for name in told if held.get(name) != told[name]}
        if differs:
            old.append((group, dict(newest), differs))
    return old


def _newest(rows: Sequence[Row]) -> Row | None:
    """Return the row that Amplitude processed last; see docs/decisions/0011-newest-row.md."""
    return max(rows, key=_place, default=None)


def _place(row: Row) -> tuple[str, str, int]:
    return row["server_upload_time"], event_time(row) or "", row.get("event_id") or 0
