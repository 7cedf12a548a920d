"""What the records of a stretch show of people and groups, and the events that follow from it.

Plain data between `delivery/identity_stage.py`, which observes, and `resolver.py`, which decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from target_posthog.json_codec import dumps, loads
from target_posthog.model import Rejected
from target_posthog.posthog.events import OutgoingEvent
from target_posthog.posthog.groups import group_ordering_key
from target_posthog.posthog.people import MERGED_IDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.capture.protocols import Wire
    from target_posthog.model import GroupState, Json, Link


class Observation(msgspec.Struct, frozen=True, gc=False):
    """What one record shows.

    Attributes:
        index: which record of the stretch.
        person: the event's `distinct_id`.
        timestamp: the event's time, RFC 3339.
        user: the user, when the record names one, with or without a device.
        link: the pair of user and device, when both are legal.
        groups: the groups whose properties the record carries.
        joins: the record's own event asks PostHog to join the pair.
    """

    index: int
    person: str
    timestamp: str
    user: str | None = None
    link: Link | None = None
    groups: tuple[GroupState, ...] = ()
    joins: bool = False


class DerivedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event to send beside the record of this index: an identity or a group event.

    Attributes:
        index: which record of the stretch showed it.
        link: the pair that it joins.
        groups: the group state that it tells.
    """

    index: int
    event: Json
    link: Link | None = None
    groups: tuple[GroupState, ...] = ()


class DerivedEvents(msgspec.Struct, frozen=True):
    """The events to add because of a stretch of records.

    Attributes:
        events: the events to add, in the order of their records.
        after: each goes just behind its record, else just before it.
        newly_shared: how many (device, further user) pairs were seen for the first time.
        conflicting: the records whose own event would join two users, and must not.
    """

    events: Sequence[DerivedEvent] = ()
    after: bool = False
    newly_shared: int = 0
    conflicting: Sequence[int] = ()


def note_what_is_shown(items: Sequence[OutgoingEvent]) -> None:
    """Mark each event that may show something that those before it do not."""
    shown: set[tuple[str | None, str]] = set()
    for item in items:
        # Of other taps, a person keeps the order of all its ids.
        pair = item.user, item.ordering_key if (link := item.link) is None else link.device_id
        if pair not in shown:
            shown.add(pair)
        elif not (item.groups or item.joins or item.also):
            item.shows = False
            item.link = None


def observations_of(items: Sequence[OutgoingEvent]) -> list[Observation]:
    """Return what a stretch of records shows; those that show nothing new in it are left out."""
    observations = []
    shown: set[tuple[str | None, str | None]] = set()
    for index, item in [(index, item) for index, item in enumerate(items) if item.shows]:
        user, link, groups = item.user, item.link, item.groups
        if user is None and link is None and not groups:
            continue
        pair = user, None if link is None else link.device_id
        if groups or item.joins or pair not in shown:
            shown.add(pair)
            observations.append(
                Observation(index, item.person, item.timestamp, user, link, groups, item.joins)
            )
        for link in item.also:
            if (user, link.device_id) not in shown:
                shown.add((user, link.device_id))
                observations.append(Observation(index, item.person, item.timestamp, user, link))
    return observations


def outgoing(derived: DerivedEvent, wire: Wire) -> OutgoingEvent:
    """Return a derived event, ready to be sent.

    An identity event keeps its order with its user, whose events the device's are from now on. A
    group event keeps it with its group: two states of one group must not change places, whoever
    showed them, and no other event depends on them.
    """
    event, link = derived.event, derived.link
    if link is None:
        (group,) = derived.groups
        key = group_ordering_key(group.group_type, group.group_key)
    else:
        key = link.user_id
    return OutgoingEvent(
        event["uuid"], event["event"], event["distinct_id"], event["timestamp"],
        _body(event, wire), event, key, link, derived.groups, is_derived=True,
    )  # fmt: skip


def _body(event: Json, wire: Wire) -> bytes:
    """Return a derived event as JSON; its person is that of a record that fits."""
    shaped = wire.fitted(event)
    return dumps(event if isinstance(shaped, Rejected) else shaped)


def without_merge(item: OutgoingEvent) -> OutgoingEvent:
    """Return a record's event without its request to join two users; the other id stays on it."""
    event = loads(item.body)
    properties = event["properties"]
    properties["not_joined_id"] = properties.pop(MERGED_IDS[item.name])
    return msgspec.structs.replace(item, body=dumps(event), link=None, joins=False, size=0)
