"""What the records of a stretch show of people and groups, and what PostHog is told because of it.

Plain data: the two halves, `delivery` and `links`, may be in different processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from target_posthog.batches import Item
from target_posthog.codec import dumps
from target_posthog.conversion import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.conversion import GroupState, Json, Link
    from target_posthog.protocols import Wire


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """What one record shows.

    Attributes:
        index: which record of the stretch.
        person: the event's `distinct_id`.
        timestamp: the event's time, RFC 3339.
        user: the user, when the record names one, with or without a device.
        link: the pair of user and device, when both are legal.
        groups: the groups whose properties the record carries.
    """

    index: int
    person: str
    timestamp: str
    user: str | None = None
    link: Link | None = None
    groups: tuple[GroupState, ...] = ()


class Added(msgspec.Struct, frozen=True, gc=False):
    """An event to send beside the record of this index: an identity or a group event.

    Attributes:
        index: which record of the stretch showed it.
        event: the event.
        link: the pair that it joins.
        groups: the group state that it tells.
    """

    index: int
    event: Json
    link: Link | None = None
    groups: tuple[GroupState, ...] = ()


class News(msgspec.Struct, frozen=True):
    """What PostHog must be told because of a stretch of records.

    Attributes:
        added: the events to add, in the order of their records.
        after: each goes just behind its record, else just before it.
        newly_shared: how many (device, further user) pairs were seen for the first time.
    """

    added: Sequence[Added] = ()
    after: bool = False
    newly_shared: int = 0


def sightings_of(items: Sequence[Item]) -> list[Sighting]:
    """Return what a stretch of records shows; those that show nothing new in it are left out."""
    sightings = []
    shown: set[tuple[str | None, str | None]] = set()
    for index, item in enumerate(items):
        user, link, groups = item.user, item.link, item.groups
        if user is None and not groups:
            continue
        pair = user, None if link is None else link.device_id
        if groups or pair not in shown:
            shown.add(pair)
            seen = Sighting(index, item.person, item.timestamp, user, link, groups)
            sightings.append(seen)
    return sightings


def told_beside(items: Sequence[Item], news: News, wire: Wire) -> list[Item]:
    """Return a stretch of records with the events to add in their places."""
    if not news.added:
        return list(items)
    beside: dict[int, list[Item]] = {}
    for one in news.added:
        beside.setdefault(one.index, []).append(_item(one, wire))
    result: list[Item] = []
    for index, item in enumerate(items):
        added = beside.get(index, ())
        result += [item, *added] if news.after else [*added, item]
    return result


def _item(added: Added, wire: Wire) -> Item:
    """Return an event to add, on its way.

    An identity event keeps its order with its device, as the record does that showed it. A group
    event keeps it with its group: two states of one group must not change places, whoever showed
    them, and no other event depends on them.
    """
    event = added.event
    key = added.link.device_id if added.link is not None else _group_key(*added.groups)
    return Item(
        event["uuid"], event["event"], event["distinct_id"], event["timestamp"],
        _body(event, wire), event, key, added.link, added.groups, told=True,
    )  # fmt: skip


def _body(event: Json, wire: Wire) -> bytes:
    """Return an event to add as JSON; its person is that of a record that fits."""
    shaped = wire.fitted(event)
    return dumps(event if isinstance(shaped, Rejected) else shaped)


def _group_key(group: GroupState) -> str:
    return f"group {group.group_type} {group.group_key}"
