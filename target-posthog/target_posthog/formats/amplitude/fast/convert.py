"""Rows of the usual form, from their JSON straight to the event's JSON.

The same events as `convert` makes, in a fraction of the time: what a row shares with the other
rows of its sender is taken over as text (`senders.py`), and only what is left is converted and
written. Whatever is not usual is left to `convert`: other fields, operations, renamed and skipped
properties, names that collide, and all that is skipped or rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import orjson

from target_posthog.cache import remember
from target_posthog.formats.amplitude.fast.devices import Senders
from target_posthog.formats.amplitude.fast.rows import (
    FIELDS,
    UPLOADED,
    are_too_late,
    read,
    sender_keys,
    shared_values,
    told_times,
    uploaded_of,
)
from target_posthog.formats.amplitude.newness import id_bytes
from target_posthog.formats.amplitude.row_plans import MAX_KEY_LENGTH, Shape
from target_posthog.json_codec import UNREADABLE
from target_posthog.posthog.events import MAX_NAME_UNITS, SOMEWHERE, OutgoingEvent
from target_posthog.posthog.uuids import canonical_uuids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.formats.amplitude.compiled_fields import Names
    from target_posthog.formats.amplitude.convert import Options
    from target_posthog.formats.amplitude.fast.devices import Sender
    from target_posthog.model import Json

#: Names that have rules of their own.
_UNUSUAL_EVENTS = frozenset({"$identify", "$groupidentify"})
#: How many senders are remembered, and how long what they are known by may be.
_MOST, _LONGEST = 2048, 4000
#: How many rows go from step to step together. One by one, each step's code would have left the
#: processor's cache before the next row needs it; of many more, the rows themselves would.
TOGETHER = 16
#: The end of an event that does not end as its sender's others do.
_CLOSED = b"}"
#: What stands for a sender that was not met before; None is one whose rows are not usual.
_UNKNOWN: Any = object()


class _Head(msgspec.Struct, gc=False):
    """What follows from the name of an event.

    Attributes:
        name: PostHog's.
        json: an event's JSON from behind its uuid to its name.
        was: Amplitude's, when it is another.
        keys: the names of the event's properties, as they were met last.
        names: what follows from these.
    """

    name: str
    json: bytes
    was: str | None
    keys: tuple[str, ...] = ()
    names: Names | None = None


#: An event's uuid, what follows from its name, its own fields, the customer's properties, what
#: follows from their names, and its `event_id` as it compares.
_Own: TypeAlias = "tuple[str, _Head, Json, Json, Names, bytes]"


class FastRows:
    """Converts lines of the usual form.

    Args:
        options: the user's decisions.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._shape = Shape(options.table, FIELDS)
        self._work_out = Senders(options).work_out
        self._senders: dict[bytes, Sender | None] = {}
        self._heads: dict[str | None, _Head] = {}
        self._event_id_names = tuple(name for _, name in options.table.copies_of(("event_id",)))

    @staticmethod
    def fits(options: Options) -> bool:
        """Tell whether rows are converted in the usual way with these options."""
        return (
            options.person_profiles == "always"
            and options.user_properties != "ignore"
            and not options.properties.renames
            and options.properties.skipped is None
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
            told, uuids = told_times(rows), canonical_uuids([row.uuid for row in rows])
            own = list(map(self._own_of, rows, uuids))
            return list(map(_event_of, lines, told, own, self._senders_of(rows)))
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
        names = self._names_of(head, customer)
        if names.special:
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
        return uuid, head, fields, customer, names, id_bytes(row.event_id)

    def _names_of(self, head: _Head, customer: Json) -> Names:
        """Return what follows from the names of an event's properties: mostly the last ones."""
        keys, names = tuple(customer), head.names
        if names is None or keys != head.keys:
            names = self._shape.event_names(customer)
            if len(keys) <= MAX_KEY_LENGTH:
                head.keys, head.names = keys, names
        return names

    def _head_of(self, event_type: str | None) -> _Head | None:
        """Return what follows from the event's name, and remember it; None when it is unusual.

        A name that was not met before is looked at by `convert`.
        """
        known = None if event_type is None else self._options.named.get(event_type)
        if known is None or known.outcome is not None or event_type in _UNUSUAL_EVENTS:
            return None
        # A character is at most two units.
        if len(known.name) > MAX_NAME_UNITS // 2:
            return None
        was = None if known.name == event_type else event_type
        head = _Head(known.name, b'","event":%b' % orjson.dumps(known.name), was)
        self._heads[event_type] = head
        return head

    def _senders_of(self, rows: Sequence[Any]) -> list[Sender | None]:
        """Return each row's sender, None when it is not usual.

        Raises:
            OverflowError, RecursionError: see `sender_keys`.
        """
        senders: list[Sender | None] = []
        for row, key in zip(rows, sender_keys(rows), strict=True):
            sender = self._senders.get(key, _UNKNOWN)
            if sender is _UNKNOWN:
                sender = self._work_out(*shared_values(row))
                if len(key) <= _LONGEST:
                    remember(self._senders, key, sender, _MOST)
            senders.append(sender)
        return senders


def _event_of(
    line: bytes, told: tuple[bytes, bytes] | None, own: _Own | None, sender: Sender | None
) -> OutgoingEvent | None:
    """Return the event of a line from its parts, or None when it is not usual."""
    if told is None or own is None or sender is None:
        return None
    (times, time), (uuid, head, fields, customer, names, event_id) = told, own
    # Nearly all events were before they were uploaded, which one look at the two texts tells.
    if time > times[UPLOADED] and are_too_late(times, time):
        return None
    session, timestamp = sender.session, time.decode()
    session_id = None if session is None else session.id_at(timestamp)
    if session_id is not None:
        fields["$session_id"] = session_id
    try:
        properties = _properties_of(fields, customer, names, sender)
    except TypeError:  # an integer beyond 64 bits
        return None
    parts = (
        b'{"uuid":"', uuid.encode(), head.json, sender.between, time,
        b'","properties":{', times, *properties,
    )  # fmt: skip
    uploaded, sets = uploaded_of(times), sender.sets
    order = b"".join((uploaded, time, event_id, sender.state)) if uploaded else b""
    if sets and properties[-1] is _CLOSED:
        sets = SOMEWHERE
    return OutgoingEvent(
        uuid, head.name, sender.distinct_id, timestamp,
        b"".join(parts), line, sender.key, sender.link, (), sender.user,
        order, sets,
    )  # fmt: skip


def _properties_of(own: Json, customer: Json, names: Names, sender: Sender) -> tuple[bytes, ...]:
    """Return the JSON of all properties but the times, up to the event's end, in parts.

    Args:
        own: what only this event has; is added to.
        customer: the event's properties.
        names: what follows from their names.
        sender: who sent it.

    Raises:
        TypeError: an integer is beyond 64 bits.
    """
    if names.apart and own:
        if names.adds:
            names.add_to(own, customer)
        return orjson.dumps(own)[1:-1], b",", orjson.dumps(customer)[1:-1], sender.end
    clash = not sender.properties.keys().isdisjoint(names.written)
    if clash:
        own = {**sender.properties, **own}
    if names.adds:
        names.add_to(own, customer)
    own.update(customer)
    if clash:
        own.update(sender.updates)
        return orjson.dumps(own)[1:], _CLOSED
    return (orjson.dumps(own)[1:-1], sender.end) if own else (sender.end[1:],)
