"""Events on their way: what is checked first, and the batches that go out as one request.

Pure. One bad event makes PostHog refuse a whole request (rust/capture, untagged `RawRequest`), so
what it would refuse is found here first. Only events that nest deeper than 125 levels are not (its
JSON reader, serde_json, stops at 127): to look for them takes longer than to write the event, so
they are found when PostHog refuses them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from isal import isal_zlib

from target_posthog.formats.amplitude.identity import legal_id
from target_posthog.input.blocks import BlockOfLines
from target_posthog.json_codec import dumps
from target_posthog.model import Converted, GroupState, Json, Link, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from target_posthog.capture.protocols import Wire

#: PostHog refuses an event whose Kafka message passes 1,000,000 bytes, in which the event is
#: escaped once more (rust/capture sinks/kafka.rs); this leaves room for that.
MAX_EVENT_BYTES = 900_000

#: PostHog cuts longer names (nodejs, `sanitizeEventName`), counted as JavaScript counts.
MAX_NAME_UNITS = 200

_REQUIRED_TEXTS = ("uuid", "event", "distinct_id", "timestamp")
#: The level of compression; a higher one costs more time than it saves on the wire.
_LEVEL = 1
_GZIP = 16 + isal_zlib.MAX_WBITS
#: How many events are compressed at a time: few enough to be still in the processor's cache.
FED_TOGETHER = 100
#: The `$set` of an event of which only is known that it has one; see `Item`.
SOMEWHERE = -1


class Item(msgspec.Struct, gc=False, array_like=True):
    """One event on its way, serialised once.

    Not frozen, because that costs time: `record`, `index` and `key` are set as it moves on.

    Attributes:
        uuid, name, person, timestamp: of the event; what PostHog knows it by.
        body: the event as the protocol wants it, JSON.
        record: the record that it was made from, or its JSON, or the block of lines that holds it,
            for the rejects file. Of an event that we add, the event itself.
        key: what must keep its order; see `lanes`. A worker gives the device, else the person; the
            target puts the user in its place that owns the device.
        link: the pair that the record shows, or for an identity event the pair that it joins.
        groups: the group states that the record shows, or that a group event tells.
        user: the user that the record names, with or without a device.
        order: of two records of a person or a group, the one of the greater order is the newer
            one; empty when the record has no place in an order.
        sets: at how many bytes before its end the body has the event's own `$set`; `SOMEWHERE` when
            that is not known, 0 when it sets nothing on its person.
        told: true for an event that we add: an identity or a group event.
        also: further pairs that the record shows.
        joins: the event of the record itself asks PostHog to join the pair of `link`.
        fingerprint: 64 bits of what PostHog keeps one event of; see `kept`.
        index: which line of its block the record is.
        shows: it may show what no event before it in its block has shown of people and groups.
        size: how many bytes the body has, when its worker has measured it; else 0.
    """

    uuid: str
    name: str
    person: str
    timestamp: str
    body: bytes
    record: Any
    key: str
    link: Link | None = None
    groups: tuple[GroupState, ...] = ()
    user: str | None = None
    order: bytes = b""
    sets: int = 0
    told: bool = False
    also: tuple[Link, ...] = ()
    joins: bool = False
    fingerprint: int = 0
    index: int = 0
    shows: bool = True
    size: int = 0


@dataclass(frozen=True)
class Limits:
    """How much goes into one request, before compression."""

    max_events: int
    max_bytes: int

    def at_rate(self, events_per_second: float | None) -> Limits:
        """Return limits under which a rate is held evenly: at most the events of one second."""
        if events_per_second is None:
            return self
        return replace(self, max_events=max(1, min(self.max_events, int(events_per_second))))


@dataclass(frozen=True)
class Batch:
    """The events of one request.

    Attributes:
        items: the events, in order; no uuid twice.
        wire: the protocol.
        historical: they go as a historical migration.
        created_at: when the batch was begun, RFC 3339; the same in every try.
        size: how many bytes its events have before compression, with a comma each.
        epoch: see `state_gate`; that of its first event.
        keys: what its events must keep their order with; more may be in it.
    """

    items: Sequence[Item]
    wire: Wire
    historical: bool
    created_at: str
    size: int
    epoch: int = 0
    keys: AbstractSet[str] = frozenset()

    @cached_property
    def packed(self) -> bytes:
        """The request body, gzip; the same in every try.

        Compression lets go of the interpreter, so the thread of the request is the one to ask.
        """
        compressor = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
        head = self.wire.head(historical=self.historical, created_at=self.created_at)
        packed = [compressor.compress(head)]
        bodies = [item.body for item in self.items]
        for start in range(0, len(bodies), FED_TOGETHER):
            together = bodies[start : start + FED_TOGETHER]
            packed.append(compressor.compress(b",".join([b"", *together] if start else together)))
        return b"".join([*packed, compressor.compress(b"]}"), compressor.flush()])

    def of(self, items: Sequence[Item]) -> Batch:
        """Return a part of this batch."""
        if len(items) == len(self.items):
            return self
        return replace(self, items=items, size=size_of(items))

    def split(self) -> tuple[Batch, Batch]:
        """Return the two halves of a batch of at least two events."""
        middle = len(self.items) // 2
        return self.of(self.items[:middle]), self.of(self.items[middle:])


class BatchBuilder:
    """A batch that still grows.

    Args:
        wire: the protocol.
        historical: its events go as a historical migration.
        created_at: now, RFC 3339.
        epoch: see `state_gate`.

    Attributes:
        by_uuid: the events so far, by uuid.
        size: how many bytes they have before compression, with a comma each.
        epoch: that of the first event.
        keys: what they must keep their order with.
    """

    def __init__(self, wire: Wire, *, historical: bool, created_at: str, epoch: int = 0) -> None:
        self.by_uuid: dict[str, Item] = {}
        self.size = 0
        self.epoch = epoch
        self.keys: set[str] = set()
        self._wire = wire
        self._historical = historical
        self._created_at = created_at

    def add(self, item: Item) -> None:
        """Add an event, of a uuid that is not there."""
        self.add_all({item.uuid: item}, len(item.body) + 1)
        self.keys.add(item.key)

    def add_all(self, by_uuid: Mapping[str, Item], size: int) -> None:
        """Add events, without their keys.

        Args:
            by_uuid: the events in order, by uuids that are not there.
            size: how many bytes they have before compression, with a comma each.
        """
        self.by_uuid.update(by_uuid)
        self.size += size

    def replace(self, item: Item) -> None:
        """Put an event at the end, in place of the one of its uuid."""
        self.size += len(item.body) - len(self.by_uuid.pop(item.uuid).body)
        self.by_uuid[item.uuid] = item
        self.keys.add(item.key)

    def build(self) -> Batch:
        """Return the batch as it is now; nothing may be added any more."""
        return Batch(
            list(self.by_uuid.values()), self._wire, self._historical, self._created_at,
            self.size, self.epoch, self.keys,
        )  # fmt: skip


def size_of(items: Sequence[Item]) -> int:
    """Return how many bytes events have before compression, with a comma each."""
    # What a worker measured stands beside the rest of the event. To ask each body, which lies
    # elsewhere, is to wait for the memory.
    return sum([item.size or len(item.body) for item in items]) + len(items)


def latest_of(items: Sequence[Item]) -> str:
    """Return the last time of events, RFC 3339; empty when there are none."""
    return max([item.timestamp for item in items], default="")


def item_of(converted: Converted, record: Any, wire: Wire, latest_time: str) -> Item | Rejected:
    """Serialise an event, or return why PostHog would refuse or bend it.

    Args:
        converted: the event, and what it tells about people and groups.
        record: see `Item.record`; None when it is set later.
        wire: the protocol.
        latest_time: RFC 3339; PostHog puts its own clock in place of a time that lies more than
            23 hours ahead (rust/common/types/src/timestamp.rs).
    """
    event = converted.event
    problem = None if _fits(event, latest_time) else _misfit(event, latest_time)
    if problem is not None:
        return problem
    shaped = wire.fitted(event)
    if isinstance(shaped, Rejected):
        return shaped
    body = dumps(shaped)
    if len(body) > MAX_EVENT_BYTES:
        return Rejected("event_too_large", f"The event has {len(body)} bytes; the limit is 900 kB.")
    person, link = event["distinct_id"], converted.link
    key, user = _key_and_user(event, link)
    return Item(
        event["uuid"], event["event"], person, event["timestamp"], body, record,
        key, link, converted.groups, user or converted.user,
        converted.order, SOMEWHERE if converted.sets else 0,
        also=converted.also, joins=converted.joins,
    )  # fmt: skip


def stored_once(item: Item) -> tuple[str, str, str, str]:
    """Return what PostHog keeps one event of: uuid, name, person and day.

    The sort key of its table (PostHog/posthog posthog/models/event/sql.py).
    """
    return item.uuid, item.name, item.person, item.timestamp[:10]


def is_repeat(item: Item, twin: Item) -> bool:
    """Tell whether two events of one uuid are the same byte for byte, or were the same line."""
    return item.body == twin.body or _line_of(item) == _line_of(twin) != b""


def _line_of(item: Item) -> bytes:
    """Return the line that an event was made from, or none."""
    record = item.record
    line = record.line(item.index) if isinstance(record, BlockOfLines) else record
    return line if isinstance(line, bytes) else b""


def group_order(group_type: object, group_key: object) -> str:
    """Return what the states of a group must keep their order with."""
    return f"group {group_type} {group_key}"


def _key_and_user(event: Json, link: Link | None) -> tuple[str, str | None]:
    """Return what an event must keep its order with, and the user of an Amplitude row.

    The key is the device, else the person: PostHog replaces only events of one person. An
    $identify of PostHog's own SDKs names the device that it joins.
    """
    properties, person = event["properties"], event["distinct_id"]
    if link is not None and link.source is not None:
        return link.device_id, link.user_id
    if event["event"] == "$groupidentify" and "$group_key" in properties:
        return group_order(properties.get("$group_type"), properties["$group_key"]), None
    if link is not None:
        return person, None
    user = properties.get("$amplitude_user_id")
    if user is not None and legal_id(user) != person:
        user = None
    device = properties.get("$anon_distinct_id") or properties.get("$device_id")
    key = device if device and isinstance(device, str) else person
    return key, None if user is None else person


def _fits(event: Json, latest_time: str) -> bool:
    """Tell whether an event surely has no misfit; the quick way, for nearly all of them."""
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
