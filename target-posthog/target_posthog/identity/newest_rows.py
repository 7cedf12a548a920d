"""The newest row wins: what to do with a row of a person or a group that is not the newest one.

PostHog applies `$set` and `$groupidentify` in the order in which they arrive (issue
PostHog/posthog#37000), and the files of an hour come one after the other. What decides which row is
the newer one, and what this cannot do: docs/decisions/0011-newest-row.md. Pure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.cache import Recent
from target_posthog.json_codec import dumps, loads
from target_posthog.posthog.events import SOMEWHERE, STATE_BYTES, state_of
from target_posthog.posthog.names import unused_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from target_posthog.model import GroupState, Json, Link
    from target_posthog.posthog.events import OutgoingEvent

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
    """Knows the newest row of each person and each group that was sent to PostHog.

    It forgets in generations, as `cache.Recent` does, and keeps 64 bits of each name: two people
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

    def attributed(  # noqa: C901 - for each event, one loop without calls
        self,
        items: Sequence[OutgoingEvent],
        users: Mapping[str, tuple[str, bool]],
        apart: AbstractSet[str],
    ) -> Iterator[OutgoingEvent]:
        """Yield events as they go out: each under its person, and what is outdated `demoted`.

        Args:
            items: some events of a stretch, in order; `settle` follows its last one.
            users: the user of each device that has one, and whether PostHog joins the two.
            apart: the devices of these that it has not joined yet.
        """
        young, unsettled = self._people.young, self._devices.unsettled
        for item in items:
            user, is_joined = item.user, False
            if user is not None:
                key = item.ordering_key = user
            elif (key := item.ordering_key) in users:
                device = key
                key, is_joined = users[device]
                is_joined = is_joined and device not in apart
                item.ordering_key = key
            if item.sets and (order := item.order):
                name = hash(key)
                newest = young.get(name)
                if newest is None or not (is_joined or key == item.person):
                    if self.is_outdated(key, item, is_joined=is_joined):
                        item = demoted(item)  # noqa: PLW2901 - the same event
                    young = self._people.young
                # The same as `is_outdated`, whose call takes longer than all of this; for a person
                # that was met, as nearly all are.
                elif newest <= order:
                    young[name] = order
                    if user is None and not is_joined:
                        unsettled[name] = item
                elif newest[-STATE_BYTES:] != order[-STATE_BYTES:]:
                    item = demoted(item)  # noqa: PLW2901 - the same event
            yield item

    def settle(self) -> None:
        """Forget the events of a stretch."""
        self._devices.settle()

    def is_outdated(self, person: str, item: OutgoingEvent, *, is_joined: bool = False) -> bool:
        """Return True if a newer row with other properties was sent; else remember this one.

        Such an event goes out as `demoted` makes it.

        Args:
            person: whose the event is: the user that owns its device, else its `distinct_id`.
            item: the event of the row.
            is_joined: PostHog has joined the device to that user, or will before this event.
        """
        order = item.order
        # Without `$set`, as with `user_properties: set_once` or `ignore`, nothing can be outdated.
        if not order or not item.sets:
            return False
        key = hash(person)
        newest = self._people.get(key) or b""
        if person != item.person and not is_joined:
            newest = max(newest, self._people.get(hash(item.person)) or b"")
        if newest > order:
            return newest[-STATE_BYTES:] != order[-STATE_BYTES:]
        self._people.remember(key, order)
        if item.user is None and not is_joined:
            self._devices.keep(hash(item.person), item)
        return False

    def join(self, link: Link, item: OutgoingEvent) -> Json | None:
        """Return what the event of a link must set, after which the device's rows are the user's.

        Of a property that both have, PostHog keeps the user's value, then applies the `$set` of the
        link's event (nodejs person-merge-service.ts, `mergePeople`).

        Args:
            link: the user and the device. No earlier event of either may arrive after the link's.
            item: the event of the row that shows them; it goes out just before or just after.

        Returns:
            The properties of the device's newest row when no row of the user is newer; else None.
        """
        user = hash(link.user_id)
        kept = self._devices.take(hash(link.device_id))
        if kept is None:
            return None
        order, state = kept
        of_user = self._people.get(user) or b""
        if order < of_user or (item.sets and order < item.order):
            return None
        self._people.remember(user, order)
        says_the_same = item.sets and item.order[-STATE_BYTES:] == order[-STATE_BYTES:]
        return None if says_the_same else _read_value(state.decode())[0]

    def outdated_groups(self, item: OutgoingEvent) -> Sequence[GroupState]:
        """Return the group states of an event that a newer row has replaced; keep the others.

        They are not sent; `with_group_properties` leaves them on the event.
        """
        outdated = []
        for group in item.groups if item.order else ():
            key = hash((group.group_type, group.group_key))
            order = item.order[:-STATE_BYTES] + state_of(dumps(group.properties))
            newest = self._groups.get(key) or b""
            if newest <= order:
                self._groups.remember(key, order)
            elif newest[-STATE_BYTES:] != order[-STATE_BYTES:]:
                outdated.append(group)
        return outdated


def demoted(item: OutgoingEvent) -> OutgoingEvent:
    """Return an event with its user's properties as the event's, instead of as the person's.

    What counts only the first time (`$set_once`) stays.
    """
    body, start = item.body, _own_set(item)
    # Where it is known from the conversion, no property has the other name.
    if start is not None and (item.sets > 0 or _PROPERTY not in body):
        body = b"".join((body[:start], _AS_PROPERTY, body[start + len(_SET) :]))
    else:
        event = loads(body)
        properties = event["properties"]
        # The operations that it comes from stand on the event as they are.
        properties.pop("$unset", None)
        state = properties.pop("$set", None)
        if state is not None:
            _add(properties, "user_properties", state)
        body = dumps(event)
    return msgspec.structs.replace(item, body=body, sets=0, size=0)


def with_group_properties(item: OutgoingEvent, groups: Sequence[GroupState]) -> OutgoingEvent:
    """Return an event with group states as a property of its own, and without telling them."""
    event = loads(item.body)
    by_type: dict[str, Json] = {}
    for group in groups:
        by_type.setdefault(group.group_type, {})[group.group_key] = group.properties
    _add(event["properties"], "group_properties", by_type)
    left = tuple(group for group in item.groups if group not in groups)
    sets = SOMEWHERE if item.sets else 0
    return msgspec.structs.replace(item, body=dumps(event), groups=left, sets=sets, size=0)


def _add(properties: Json, name: str, value: Any) -> None:
    """Add a property; one that the event has of the name is never overwritten."""
    properties[unused_name(name, properties) if name in properties else name] = value


def _own_set(item: OutgoingEvent) -> int | None:
    """Return where in an event's JSON its own `$set` is, or None when only reading all tells.

    Another object in it may have a key of that name. In a text each quote has a backslash.
    """
    body = item.body
    if item.sets > 0:
        return len(body) - item.sets
    return body.index(_SET) if body.count(_SET) == 1 and _UNSET not in body else None


class _DeviceSets:
    """What the newest row of each device set on its person.

    Args:
        size: how many bytes a generation holds.

    Attributes:
        unsettled: the events of this stretch whose `$set` is the newest of their devices. Of the
            many that a device has in it, only the last one's is copied, by `settle`.
    """

    def __init__(self, size: int) -> None:
        self.unsettled: dict[int, OutgoingEvent] = {}
        self._size = size
        self._held = 0
        self._young: dict[int, tuple[bytes, bytes]] = {}
        self._old: dict[int, tuple[bytes, bytes]] = {}

    def keep(self, device: int, item: OutgoingEvent) -> None:
        """Remember what an event of a device sets."""
        self.unsettled.pop(device, None)
        state, before = _set_and_more(item), self._young.get(device)
        self._held += len(state) + _ENTRY_BYTES
        if before is not None:
            self._held -= len(before[1]) + _ENTRY_BYTES
        self._young[device] = item.order, state
        if self._held >= self._size:
            self._old, self._young, self._held = self._young, {}, 0

    def settle(self) -> None:
        """Remember what the events of a stretch set, and forget the events."""
        for device, item in list(self.unsettled.items()):
            self.keep(device, item)

    def take(self, device: int) -> tuple[bytes, bytes] | None:
        """Return the place of a device's newest row and the JSON of what it set; forget both.

        Something may follow behind the JSON.
        """
        item = self.unsettled.get(device)
        if item is not None:
            self.keep(device, item)
        old, young = self._old.pop(device, None), self._young.pop(device, None)
        if young is not None:
            self._held -= len(young[1]) + _ENTRY_BYTES
        return young or old


def _set_and_more(item: OutgoingEvent) -> bytes:
    """Return the JSON of what an event sets, with whatever follows behind it."""
    start = _own_set(item)
    if start is not None:
        return item.body[start + len(_SET) - 1 :]
    return dumps(loads(item.body)["properties"].get("$set", {}))
