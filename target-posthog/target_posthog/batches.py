"""Events into request bodies: what is checked first, how many go together, how to halve.

Pure. One bad event makes PostHog refuse a whole request (rust/capture, untagged `RawRequest`), so
everything that it would refuse is found here first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_posthog.codec import dumps
from target_posthog.conversion import Converted, GroupState, Json, Link, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: PostHog refuses an event whose Kafka message passes 1,000,000 bytes, in which the event is
#: escaped once more (rust/capture sinks/kafka.rs); this leaves room for that.
MAX_EVENT_BYTES = 900_000

#: PostHog cuts longer names (nodejs, `sanitizeEventName`), counted as JavaScript counts.
MAX_NAME_UNITS = 200

#: How deep an event may nest. PostHog's JSON reader stops at 127 levels (serde_json), of which the
#: envelope and its list take two.
MAX_EVENT_DEPTH = 125

_REQUIRED_TEXTS = ("uuid", "event", "distinct_id", "timestamp")


@dataclass(frozen=True)
class Item:
    """One event on its way, serialised once.

    Attributes:
        event: the event.
        body: the event as JSON.
        record: the record that it was made from, for the rejects file.
        link: the pair that the record shows, or for an identity event the pair that it joins.
        groups: the group states that the record shows, or that a group event tells.
        told: true for an event that we add: an identity or a group event.
    """

    event: Json
    body: bytes
    record: Json
    link: Link | None = None
    groups: tuple[GroupState, ...] = ()
    told: bool = False


@dataclass(frozen=True)
class Limits:
    """How much goes into one request, before compression."""

    max_events: int
    max_bytes: int


def item_of(converted: Converted, record: Json) -> Item:
    """Serialise an event."""
    return Item(converted.event, dumps(converted.event), record, converted.link, converted.groups)


def problem_of(item: Item, *, latest_time: str) -> Rejected | None:
    """Return why PostHog would refuse or bend this event, or None.

    Args:
        item: the event.
        latest_time: RFC 3339; PostHog puts its own clock in place of a time that lies more than
            23 hours ahead (rust/common/types/src/timestamp.rs).
    """
    event = item.event
    misshapen = _misshapen(event)
    if misshapen is None and _nests_too_deep(item):
        misshapen = f"The event nests deeper than {MAX_EVENT_DEPTH} levels."
    if misshapen is not None:
        return Rejected("bad_event", misshapen)
    if len(event["event"].encode("utf-16-le", "surrogatepass")) > 2 * MAX_NAME_UNITS:
        return Rejected("event_name_too_long", "PostHog would cut the event's name.")
    if event["timestamp"] > latest_time:
        return Rejected("future_time", "The time lies in the future; PostHog would replace it.")
    if len(item.body) > MAX_EVENT_BYTES:
        return Rejected(
            "event_too_large", f"The event has {len(item.body)} bytes; the limit is 900 kB."
        )
    return None


def _misshapen(event: Json) -> str | None:
    """Return which part has a type that fits none of PostHog's shapes of an event."""
    for name in _REQUIRED_TEXTS:
        if not isinstance(event.get(name), str) or not event[name]:
            return f"The event's {name} is not a text."
    properties = event.get("properties")
    if not isinstance(properties, dict):
        return "The event's properties are not an object."
    if not isinstance(properties.get("$cookieless_mode", False), bool):
        return "The property $cookieless_mode is not a boolean."
    return None


def _nests_too_deep(item: Item) -> bool:
    # Without that many brackets it cannot be deep; counting bytes is nearly free.
    if item.body.count(b"[") + item.body.count(b"{") <= MAX_EVENT_DEPTH:
        return False
    level: list[Any] = [item.event]
    for _ in range(MAX_EVENT_DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, (dict, list))
        ]
    return bool(level)


def stored_once(event: Json) -> tuple[str, ...]:
    """Return what PostHog keeps one event of: uuid, name, person and day.

    The sort key of its table (PostHog/posthog posthog/models/event/sql.py).
    """
    return event["uuid"], event["event"], event["distinct_id"], event["timestamp"][:10]


def pack(items: Sequence[Item], limits: Limits) -> Iterator[list[Item]]:
    """Yield the items in order, as many together as the limits allow; each at least alone."""
    batch: list[Item] = []
    size = 0
    for item in items:
        full = len(batch) >= limits.max_events or size + len(item.body) > limits.max_bytes
        if batch and full:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.body) + 1
    if batch:
        yield batch


def by_age(items: Sequence[Item], oldest_recent: str) -> tuple[list[Item], list[Item]]:
    """Return the items older than a time, and the rest, each in order."""
    old = [item for item in items if item.event["timestamp"] < oldest_recent]
    recent = [item for item in items if item.event["timestamp"] >= oldest_recent]
    return old, recent


def halves(batch: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    """Return the two halves of a batch of at least two."""
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]


def body_of(batch: Sequence[Item], *, api_key: str, historical: bool) -> bytes:
    """Return the request body of `POST /batch/`.

    There is no `sent_at`: PostHog would shift every timestamp by the difference between it and
    its own clock (posthog.com, docs/data/timestamps).
    """
    head = dumps({"api_key": api_key, "historical_migration": historical})
    return b'%b,"batch":[%b]}' % (head[:-1], b",".join(item.body for item in batch))
