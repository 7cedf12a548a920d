"""An event on its way, and what PostHog would refuse or bend of it. Pure.

One bad event makes PostHog refuse a whole request (rust/capture, untagged `RawRequest`), so what
it would refuse is found here first. Only events that nest deeper than 125 levels are not (its JSON
reader, serde_json, stops at 127): to look for them takes longer than to write the event, so they
are found when PostHog refuses them.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.json_codec import dumps
from target_posthog.model import BlockOfLines, Converted, GroupState, Json, Link, Rejected
from target_posthog.posthog.groups import group_ordering_key
from target_posthog.posthog.people import legal_id

if TYPE_CHECKING:
    from collections.abc import Callable

#: PostHog refuses an event whose Kafka message passes 1,000,000 bytes, in which the event is
#: escaped once more (rust/capture sinks/kafka.rs); this leaves room for that.
MAX_EVENT_BYTES = 900_000

#: PostHog cuts longer names (nodejs, `sanitizeEventName`), counted as JavaScript counts.
MAX_NAME_UNITS = 200

_REQUIRED_TEXTS = ("uuid", "event", "distinct_id", "timestamp")
#: How many bytes at the end of `OutgoingEvent.order` tell what the event sets on its person.
STATE_BYTES = 8
NO_STATE = bytes(STATE_BYTES)
#: The `$set` of an event of which only is known that it has one; see `OutgoingEvent`.
SOMEWHERE = -1


class OutgoingEvent(msgspec.Struct, gc=False, array_like=True):
    """One event on its way, serialised once.

    Not frozen, because that costs time: `record`, `index` and `ordering_key` are set on its way.

    Attributes:
        uuid, name, person, timestamp: of the event; what PostHog knows it by.
        body: the event as the protocol wants it, JSON.
        record: the record that it was made from, or its JSON, or the block of lines that holds it,
            for the rejects file. Of an event that we add, the event itself.
        ordering_key: events of one key keep their order; see `lanes`. A worker gives the device,
            else the person; the target puts the user in its place that owns the device.
        link: the pair that the record shows, or for an identity event the pair that it joins.
        groups: the group states that the record shows, or that a group event tells.
        user: the user that the record names, with or without a device.
        order: of two records of a person or a group, the one of the greater order is the newer
            one; empty when the record has no place in an order.
        sets: at how many bytes before its end the body has the event's own `$set`; `SOMEWHERE` when
            that is not known, 0 when it sets nothing on its person.
        is_derived: true for an event that we add: an identity or a group event.
        also: further pairs that the record shows.
        joins: the event of the record itself asks PostHog to join the pair of `link`.
        fingerprint: 64 bits of what PostHog keeps one event of; see `kept_events`.
        index: which line of its block the record is.
        shows: it may show what no event before it in its block has shown of people and groups.
        size: how many bytes the body has, when its worker has measured it; else 0.
        origin: whose the record is in the book: `app/2024-01-31T05`, Amplitude's number of the
            project and the export hour; empty when the record has neither.
        stream: the stream of a record that stands in no block.
    """

    uuid: str
    name: str
    person: str
    timestamp: str
    body: bytes
    record: Any
    ordering_key: str
    link: Link | None = None
    groups: tuple[GroupState, ...] = ()
    user: str | None = None
    order: bytes = b""
    sets: int = 0
    is_derived: bool = False
    also: tuple[Link, ...] = ()
    joins: bool = False
    fingerprint: int = 0
    index: int = 0
    shows: bool = True
    size: int = 0
    origin: bytes = b""
    stream: str = ""


def prepare(
    converted: Converted,
    record: Any,
    fitted: Callable[[Json], Json | Rejected],
    latest_time: str,
) -> OutgoingEvent | Rejected:
    """Serialise an event, or return why PostHog would refuse or bend it.

    Args:
        converted: the event, and what it tells about people and groups.
        record: see `OutgoingEvent.record`; None when it is set later.
        fitted: shapes an event for the protocol, or says why the protocol would not take it.
        latest_time: RFC 3339; PostHog puts its own clock in place of a time that lies more than
            23 hours ahead (rust/common/types/src/timestamp.rs).
    """
    event = converted.event
    problem = None if _fits(event, latest_time) else _misfit(event, latest_time)
    if problem is not None:
        return problem
    shaped = fitted(event)
    if isinstance(shaped, Rejected):
        return shaped
    body = dumps(shaped)
    if len(body) > MAX_EVENT_BYTES:
        return Rejected("event_too_large", f"The event has {len(body)} bytes; the limit is 900 kB.")
    person, link = event["distinct_id"], converted.link
    key, user = _key_and_user(event, link)
    return OutgoingEvent(
        event["uuid"], event["event"], person, event["timestamp"], body, record,
        key, link, converted.groups, user or converted.user,
        converted.order, SOMEWHERE if converted.sets else 0,
        also=converted.also, joins=converted.joins, origin=converted.origin,
    )  # fmt: skip


def state_of(json: bytes) -> bytes:
    """Return what tells one state of a person or group from another, of its JSON."""
    return blake2b(json, digest_size=STATE_BYTES).digest()


def stored_once(item: OutgoingEvent) -> tuple[str, str, str, str]:
    """Return what PostHog keeps one event of: uuid, name, person and day.

    The sort key of its table (PostHog/posthog posthog/models/event/sql.py).
    """
    return item.uuid, item.name, item.person, item.timestamp[:10]


def is_repeat(item: OutgoingEvent, twin: OutgoingEvent) -> bool:
    """Return True if two events of one uuid are the same byte for byte, or were the same line."""
    if item.body == twin.body:
        return True
    # As workers made them, and measured: of one line, both would be the same.
    if item.size and twin.size:
        return False
    return _line_of(item) == _line_of(twin) != b""


def _line_of(item: OutgoingEvent) -> bytes:
    """Return the line that an event was made from, or none."""
    record = item.record
    line = record.line(item.index) if isinstance(record, BlockOfLines) else record
    return line if isinstance(line, bytes) else b""


def _key_and_user(event: Json, link: Link | None) -> tuple[str, str | None]:
    """Return what an event must keep its order with, and the user of an Amplitude row.

    The key is the device, else the person: PostHog replaces only events of one person. An
    $identify of PostHog's own SDKs names the device that it joins.
    """
    properties, person = event["properties"], event["distinct_id"]
    if link is not None and link.source is not None:
        return link.device_id, link.user_id
    if event["event"] == "$groupidentify" and "$group_key" in properties:
        return group_ordering_key(properties.get("$group_type"), properties["$group_key"]), None
    if link is not None:
        return person, None
    user = properties.get("$amplitude_user_id")
    if user is not None and legal_id(user) != person:
        user = None
    device = properties.get("$anon_distinct_id") or properties.get("$device_id")
    key = device if device and isinstance(device, str) else person
    return key, None if user is None else person


def _fits(event: Json, latest_time: str) -> bool:
    """Return True if an event certainly has no misfit; the fast way, for nearly all."""
    get = event.get
    uuid, person, properties = get("uuid"), get("distinct_id"), get("properties")
    name, timestamp = get("event"), get("timestamp")
    return (
        uuid.__class__ is name.__class__ is person.__class__ is timestamp.__class__ is str
        and properties.__class__ is dict
        and uuid != ""
        and person != ""
        # A character is at most two units.
        and 0 < len(name) <= MAX_NAME_UNITS // 2
        and "" < timestamp <= latest_time
        and "$cookieless_mode" not in properties
    )


def _misfit(event: Json, latest_time: str) -> Rejected | None:
    """Return which part PostHog would refuse or bend."""
    for name in _REQUIRED_TEXTS:
        value = event.get(name)
        if not value or not isinstance(value, str):
            return Rejected("bad_event", f"The event's {name} is not a text.")
    properties = event.get("properties")
    if not isinstance(properties, dict):
        return Rejected("bad_event", "The event's properties are not an object.")
    if not isinstance(properties.get("$cookieless_mode", False), bool):
        return Rejected("bad_event", "The property $cookieless_mode is not a boolean.")
    if len(event["event"].encode("utf-16-le", "surrogatepass")) > 2 * MAX_NAME_UNITS:
        return Rejected("event_name_too_long", "PostHog would cut the event's name.")
    if event["timestamp"] > latest_time:
        return Rejected("future_time", "The time lies in the future; PostHog would replace it.")
    return None
