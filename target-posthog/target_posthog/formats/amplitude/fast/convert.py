"""Rows of the usual form, from their JSON straight to the event's JSON.

The same events as `convert` makes, in a fraction of the time: what a row shares with the other
rows of its device is taken over as text (`devices.py`), and only what is left is converted and
written. Whatever is not usual is left to `convert`: other fields, operations, renamed and skipped
properties, names that collide, and all that is skipped or rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import orjson

from target_posthog.cache import Memo
from target_posthog.formats.amplitude.compiled_fields import MAX_KEY_LENGTH
from target_posthog.formats.amplitude.fast.devices import DeviceContexts
from target_posthog.formats.amplitude.fast.rows import (
    FIELDS,
    FIRST,
    UPLOADED,
    are_too_late,
    context_keys,
    read,
    shared_values,
    times_of,
    uploaded_of,
)
from target_posthog.formats.amplitude.newness import id_bytes
from target_posthog.formats.amplitude.origins import HOUR
from target_posthog.formats.amplitude.row_plans import RowPlan
from target_posthog.json_codec import UNREADABLE
from target_posthog.posthog.events import MAX_NAME_UNITS, SOMEWHERE, OutgoingEvent
from target_posthog.posthog.uuids import canonical_uuids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.formats.amplitude.compiled_fields import KeySetPlan
    from target_posthog.formats.amplitude.convert import Amplitude
    from target_posthog.formats.amplitude.fast.devices import DeviceContext
    from target_posthog.formats.options import Options
    from target_posthog.model import Json

#: Names that have rules of their own.
_UNUSUAL_EVENTS = frozenset({"$identify", "$groupidentify"})
#: How many devices and names are remembered, and how long what they are known by may be.
_MOST, _LONGEST = 2048, 4000
#: How many rows go from step to step together. One by one, each step's code would have left the
#: processor's cache before the next row needs it; of many more, the rows themselves would.
TOGETHER = 16
#: The end of an event that does not end as its device's others do.
_CLOSED = b"}"
#: What stands for a device that was not met before; None is one whose rows are not usual.
_UNKNOWN: Any = object()


class _Head(msgspec.Struct, gc=False):
    """What follows from the name of an event.

    Attributes:
        name: PostHog's.
        json: an event's JSON from behind its uuid to its name.
        was: Amplitude's, when it is another.
        keys: the names of the event's properties, as they were met last.
        plan: what follows from these.
    """

    name: str
    json: bytes
    was: str | None
    keys: tuple[str, ...] = ()
    plan: KeySetPlan | None = None


#: An event's uuid, what follows from its name, its own fields, the customer's properties, what
#: follows from their names, and its `event_id` as it compares.
_Own: TypeAlias = "tuple[str, _Head, Json, Json, KeySetPlan, bytes]"


class FastRows:
    """Converts lines of the usual form."""

    def __init__(self, amplitude: Amplitude) -> None:
        self._named = amplitude.named
        self._plan = RowPlan(amplitude.fields, FIELDS)
        self._build = DeviceContexts(amplitude).build
        self._contexts: Memo[bytes, DeviceContext | None] = Memo(_MOST)
        self._heads: Memo[str | None, _Head] = Memo(_MOST)
        self._event_id_names = tuple(name for _, name in amplitude.fields.copies_of(("event_id",)))

    @staticmethod
    def fits(options: Options) -> bool:
        """Return True if rows are converted in the usual way with these options."""
        return (
            options.person_profiles == "always"
            and options.user_properties != "ignore"
            and not options.properties.renames
            and not options.properties.skipped
        )

    def events_of(self, lines: Sequence[bytes]) -> list[OutgoingEvent | None]:
        """Return the event of each line, as `/batch/` takes it, or None when it is not usual.

        What PostHog would refuse or bend is still to be looked for, but for a name that it cuts.
        """
        events: list[OutgoingEvent | None] = []
        for start in range(0, len(lines), TOGETHER):
            events += self._events_of(lines[start : start + TOGETHER])
        return events

    def _events_of(self, lines: Sequence[bytes]) -> list[OutgoingEvent | None]:
        try:
            rows = list(map(read, lines))
            times, uuids = times_of(rows), canonical_uuids([row.uuid for row in rows])
            own = list(map(self._own_of, rows, uuids))
            return list(map(_event_of, lines, times, own, self._contexts_of(rows)))
        except (*UNREADABLE, OverflowError):  # that is an integer beyond 64 bits
            if len(lines) == 1:
                return [None]
            return [event for line in lines for event in self._events_of([line])]

    def _own_of(self, row: Any, uuid: str | None) -> _Own | None:
        """Return what a row's event has for itself, but its times; None when it is not usual."""
        head = self._heads.get(row.event_type) or self._head_of(row.event_type)
        if uuid is None or head is None or row.group_properties:
            return None
        customer = row.event_properties or {}
        plan = self._plan_of(head, customer)
        if plan.special:
            return None
        fields: Json = {}
        # Without those that are empty.
        if row.event_id is not None:
            for name in self._event_id_names:
                fields[name] = row.event_id
        if row.insert_id:
            fields["$insert_id"] = row.insert_id
        if row.insert_key:
            fields["$insert_key"] = row.insert_key
        if head.was is not None:
            fields["$amplitude_event_type"] = head.was
        return uuid, head, fields, customer, plan, id_bytes(row.event_id)

    def _plan_of(self, head: _Head, customer: Json) -> KeySetPlan:
        """Return what follows from the names of an event's properties: mostly the last ones."""
        keys, plan = tuple(customer), head.plan
        if plan is None or keys != head.keys:
            plan = self._plan.event_plan(customer)
            if len(keys) <= MAX_KEY_LENGTH:
                head.keys, head.plan = keys, plan
        return plan

    def _head_of(self, event_type: str | None) -> _Head | None:
        """Return what follows from the event's name, and remember it; None when it is unusual."""
        if event_type is None or event_type in _UNUSUAL_EVENTS:
            return None
        known = self._named(event_type)
        if known.outcome is not None:
            return None
        # A character is at most two units.
        if len(known.name) > MAX_NAME_UNITS // 2:
            return None
        was = None if known.name == event_type else event_type
        head = _Head(known.name, b'","event":%b' % orjson.dumps(known.name), was)
        self._heads.remember(event_type, head)
        return head

    def _contexts_of(self, rows: Sequence[Any]) -> list[DeviceContext | None]:
        """Return the context of each row's device, None when it is not usual.

        Raises:
            OverflowError, RecursionError: see `context_keys`.
        """
        contexts: list[DeviceContext | None] = []
        for row, key in zip(rows, context_keys(rows), strict=True):
            context = self._contexts.get(key, _UNKNOWN)
            if context is _UNKNOWN:
                context = self._build(*shared_values(row))
                if len(key) <= _LONGEST:
                    self._contexts.remember(key, context)
            contexts.append(context)
        return contexts


def _event_of(
    line: bytes,
    when: tuple[bytes, bytes] | None,
    own: _Own | None,
    device: DeviceContext | None,
) -> OutgoingEvent | None:
    """Return the event of a line from its parts, or None when it is not usual."""
    if when is None or own is None or device is None:
        return None
    (times, time), (uuid, head, fields, customer, plan, event_id) = when, own
    # Nearly all events were before they were uploaded, which one look at the two texts tells.
    if time < FIRST or (time > times[UPLOADED] and are_too_late(times, time)):
        return None
    session, timestamp = device.session, time.decode()
    session_id = None if session is None else session.id_at(timestamp)
    if session_id is not None:
        fields["$session_id"] = session_id
    try:
        properties = _properties_of(fields, customer, plan, device)
    except TypeError:  # an integer beyond 64 bits
        return None
    parts = (
        b'{"uuid":"', uuid.encode(), head.json, device.between, time,
        b'","properties":{', times, *properties,
    )  # fmt: skip
    uploaded, sets = uploaded_of(times), device.sets
    order = b"".join((uploaded, time, event_id, device.state)) if uploaded else b""
    if sets and properties[-1] is _CLOSED:
        sets = SOMEWHERE
    return OutgoingEvent(
        uuid, head.name, device.distinct_id, timestamp,
        b"".join(parts), line, device.ordering_key, device.link, (), device.user,
        order, sets, origin=device.app + uploaded[:HOUR],
    )  # fmt: skip


def _properties_of(
    own: Json, customer: Json, plan: KeySetPlan, device: DeviceContext
) -> tuple[bytes, ...]:
    """Return the JSON of all properties but the times, up to the event's end, in parts.

    Args:
        own: what only this event has; is added to.
        customer: the event's properties.
        plan: what follows from their names.
        device: what the rows of its device share.

    Raises:
        TypeError: an integer is beyond 64 bits.
    """
    if plan.apart and own:
        if plan.adds:
            plan.add_to(own, customer)
        return orjson.dumps(own)[1:-1], b",", orjson.dumps(customer)[1:-1], device.end
    clash = not device.properties.keys().isdisjoint(plan.written)
    if clash:
        own = {**device.properties, **own}
    if plan.adds:
        plan.add_to(own, customer)
    own.update(customer)
    if clash:
        own.update(device.updates)
        return orjson.dumps(own)[1:], _CLOSED
    return (orjson.dumps(own)[1:-1], device.end) if own else (device.end[1:],)
