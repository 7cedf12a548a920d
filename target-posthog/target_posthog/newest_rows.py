"""The newest row wins: what to do with a row of a person or a group that is not the newest one.

PostHog applies `$set` and `$groupidentify` in the order in which they arrive (issue
PostHog/posthog#37000), and the files of an hour come one after the other. What decides which row is
the newer one, and what this cannot do: docs/decisions/0011-newest-row.md. Pure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.amplitude.newness import STATE_BYTES
from target_posthog.amplitude.property_names import free_name
from target_posthog.codec import dumps, loads
from target_posthog.memory import Recent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.batches import Item
    from target_posthog.conversion import GroupState, Json, Link

#: How many people and groups are remembered at least, each; twice as many at most. A row is older
#: than one of another file of its hour, so those of an hour are enough.
_PEOPLE, _GROUPS = 100_000, 20_000
#: How many bytes of properties of devices are remembered at least; twice as many at most.
_DEVICE_BYTES = 10 * 1024 * 1024
#: What a device takes beside its properties.
_ENTRY_BYTES = 200

_SET, _UNSET = b'"$set":{', b'"$unset":['
_AS_PROPERTY, _PROPERTY = b'"user_properties":{', b'"user_properties"'
_read_value = json.JSONDecoder().raw_decode


class NewestRows:
    """Knows the newest row that PostHog was told of each person and each group.

    It forgets in generations, as `memory.Recent` does, and keeps 64 bits of each name: two people
    of one hash would take each other's rows for their own.

    Args:
        people, groups: how many a generation holds.
        device_bytes: how much of the properties of devices one holds.
    """

    def __init__(
        self,
        people: int = _PEOPLE,
        groups: int = _GROUPS,
        device_bytes: int = _DEVICE_BYTES,
    ) -> None:
        self._people: Recent[int, bytes] = Recent(people)
        self._groups: Recent[int, bytes] = Recent(groups)
        self._devices = _DeviceSets(device_bytes)

    def is_outdated(self, person: str, item: Item) -> bool:
        """Tell whether a newer row told PostHog something else; else remember this one.

        Such an event goes out as `demoted` makes it.

        Args:
            person: whose person PostHog has for the event's `distinct_id` by now: the user's if it
                is a device that was joined to one, by a link that was accepted, or that goes out
                before this event; else the `distinct_id`. That a link is only claimed, or comes
                after this event, does not count.
            item: the event of the row.
        """
        order = item.order
        # Without `$set`, as with `user_properties: set_once` or `ignore`, nothing can be outdated.
        if not order or not item.sets:
            return False
        key = hash(person)
        newest = self._people.get(key)
        if newest is not None and newest > order:
            return newest[-STATE_BYTES:] != order[-STATE_BYTES:]
        self._people.remember(key, order)
        if item.user is None and person == item.person:
            # A device that nobody is known of: a user may come.
            self._devices.keep(key, item.body)
        return False

    def join(self, link: Link, item: Item) -> Json | None:
        """Let a user have what is known of a device, as PostHog does at the event of a link.

        Of a property that both have PostHog keeps the user's value, then it applies the `$set` of
        the link's event (nodejs person-merge-service.ts, `mergePeople`).

        Args:
            link: the user and the device, of a link that goes out now.
            item: the event of the row that shows it; just before it or just after.

        Returns:
            What the link's event must set: the properties of the newest row of the two, when that
            was the device's. None when nothing: the person ends right without.
        """
        device, user = hash(link.device_id), hash(link.user_id)
        of_device, kept = self._people.get(device), self._devices.take(device)
        # Without its properties the device's place is worth nothing: the user's next row counts.
        if of_device is None or kept is None:
            return None
        newest = max(self._people.get(user) or b"", item.order if item.sets else b"")
        if of_device <= newest:
            return None
        self._people.remember(user, of_device)
        # The row says the same, and will.
        if newest[-STATE_BYTES:] == of_device[-STATE_BYTES:]:
            return None
        return kept

    def outdated_groups(self, item: Item) -> Sequence[GroupState]:
        """Return the group states of an event that are older than what PostHog was told of them.

        They are not told; `with_group_properties` leaves them on the event. The others are
        remembered.
        """
        outdated = []
        order = item.order
        for group in item.groups if order else ():
            key = hash((group.group_type, group.group_key))
            newest = self._groups.get(key)
            if newest is not None and newest > order:
                outdated.append(group)
            else:
                self._groups.remember(key, order)
        return outdated


def demoted(item: Item) -> Item:
    """Return an event with its user's properties as the event's, instead of as the person's.

    What counts only the first time (`$set_once`) stays.
    """
    body = item.body
    if _is_plain(body) and _PROPERTY not in body:
        body = body.replace(_SET, _AS_PROPERTY)
    else:
        event = loads(body)
        properties = event["properties"]
        # The operations that it comes from stand on the event as they are.
        properties.pop("$unset", None)
        state = properties.pop("$set", None)
        if state is not None:
            _add(properties, "user_properties", state)
        body = dumps(event)
    return msgspec.structs.replace(item, body=body, sets=False)


def with_group_properties(item: Item, groups: Sequence[GroupState]) -> Item:
    """Return an event with group states as a property of its own, and without telling them.

    Args:
        item: the event.
        groups: some of its group states.
    """
    event = loads(item.body)
    by_type: dict[str, Json] = {}
    for group in groups:
        by_type.setdefault(group.group_type, {})[group.group_key] = group.properties
    _add(event["properties"], "group_properties", by_type)
    left = tuple(group for group in item.groups if group not in groups)
    return msgspec.structs.replace(item, body=dumps(event), groups=left)


def _add(properties: Json, name: str, value: Any) -> None:
    """Add a property; one that the event has of the name is never overwritten."""
    properties[free_name(name, properties) if name in properties else name] = value


def _is_plain(body: bytes) -> bool:
    """Tell whether an event that sets something does so by the one `$set` in its JSON.

    Another object in it may have a key of that name. In a text each quote has a backslash.
    """
    return body.count(_SET) == 1 and _UNSET not in body


class _DeviceSets:
    """What the newest row of each device set on its person.

    Args:
        size: how many bytes a generation holds.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._young: dict[int, bytes] = {}
        self._old: dict[int, bytes] = {}

    def keep(self, device: int, body: bytes) -> None:
        """Remember what an event sets."""
        state = _set_and_more(body)
        before = self._young.get(device)
        self._held += len(state) + _ENTRY_BYTES if before is None else len(state) - len(before)
        self._young[device] = state
        if self._held >= self._size:
            self._old, self._young, self._held = self._young, {}, 0

    def take(self, device: int) -> Json | None:
        """Return what was remembered of a device, and forget it."""
        old, young = self._old.pop(device, None), self._young.pop(device, None)
        if young is not None:
            self._held -= len(young) + _ENTRY_BYTES
        state = old if young is None else young
        return None if state is None else _read_value(state.decode())[0]


def _set_and_more(body: bytes) -> bytes:
    """Return the JSON of what an event sets, with whatever follows behind it."""
    if _is_plain(body):
        return body[body.index(_SET) + len(_SET) - 1 :]
    return dumps(loads(body)["properties"].get("$set", {}))
