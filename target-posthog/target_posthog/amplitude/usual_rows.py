"""Rows of the usual form, from their JSON straight to the event's JSON.

The same events as `convert` makes, in a fraction of the time: what a row shares with the other
rows of its sender is taken over as text (`senders.py`), and only what is left is converted and
written. Whatever is not usual is left to `convert`: other fields, operations, renamed and skipped
properties, names that collide, and all that is skipped or rejected.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from target_posthog.amplitude.event_ids import canonical_uuid
from target_posthog.amplitude.senders import SENDER_FIELDS, Senders
from target_posthog.amplitude.shapes import Shape, remember
from target_posthog.amplitude.times import TIME_FIELDS, to_rfc3339, usual_times
from target_posthog.amplitude.values import is_empty
from target_posthog.codec import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from target_posthog.amplitude.convert import Options
    from target_posthog.amplitude.senders import Sender
    from target_posthog.amplitude.shapes import Names
    from target_posthog.conversion import Json

#: The event's own time is the last.
_TIMES = (*sorted(TIME_FIELDS - {"event_time", *SENDER_FIELDS}), "event_time")
_COUNTED = ("event_id", "$insert_id")
#: The fields of a row (Amplitude docs, "Export API").
_TYPES: dict[str, Any] = {
    **dict.fromkeys(SENDER_FIELDS, Any),
    # Kept as text at first: they come again with each of the user's rows.
    "user_properties": msgspec.Raw,
    "uuid": str | None,
    "event_type": str | None,
    "event_properties": dict[str, Any] | None,
    "group_properties": dict[str, Any] | None,
    "event_id": int | None,
    "$insert_id": str | None,
    **dict.fromkeys(_TIMES, str | None),
}
#: In the order of Amplitude's rows: msgspec looks for each key from where it found the last one.
_FIELDS = tuple(sorted(_TYPES))
_NULL = msgspec.Raw(b"null")
_Row = msgspec.defstruct(
    "_Row",
    [
        (f"f{number}", _TYPES[name], _NULL if _TYPES[name] is msgspec.Raw else None)
        for number, name in enumerate(_FIELDS)
    ],
    rename={f"f{number}": name for number, name in enumerate(_FIELDS)},
    forbid_unknown_fields=True,
    gc=False,
)
_decode = msgspec.json.Decoder(_Row).decode
_values_of = msgspec.structs.astuple
#: Not a row, or not of these fields; the last is an integer beyond 64 bits.
_NO_ROW = (*UNREADABLE, TypeError)


def _getter(names: Iterable[str]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    return itemgetter(*map(_FIELDS.index, names))


_sender_fields = _getter(SENDER_FIELDS)
_event_fields = _getter(
    ("user_properties", "uuid", "event_type", "event_properties", "group_properties")
)
_times = _getter(_TIMES)
#: Names that have rules of their own.
_UNUSUAL_EVENTS = frozenset({"$identify", "$groupidentify"})
#: How many senders are remembered, and how long what they are known by may be.
_MOST, _LONGEST = 2048, 4000


class Usual(msgspec.Struct, gc=False):
    """An event on its way.

    Attributes:
        uuid, name, timestamp: of the event.
        sender: who sent it.
        body: the event as JSON.
    """

    uuid: str
    name: str
    timestamp: str
    sender: Sender
    body: bytes


class _Head(msgspec.Struct, gc=False):
    """What follows from the name of an event.

    Attributes:
        name: PostHog's.
        json: an event's JSON from behind its uuid to its name.
        was: Amplitude's, when it is another.
    """

    name: str
    json: bytes
    was: str | None


class UsualRows:
    """Converts lines of the usual form.

    Args:
        options: the user's decisions.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._shape = Shape(options.table, _FIELDS)
        self._work_out = Senders(options).work_out
        self._senders: dict[bytes, Sender | None] = {}
        self._heads: dict[str | None, _Head] = {}
        copies = options.table.copies_of(_COUNTED)
        self._counted_of = _getter(source for source, _ in copies)
        #: What the event's own fields are called; its time is taken out before it is sent.
        self._own_names = (*(name for _, name in copies), *_TIMES)

    @staticmethod
    def fit(options: Options) -> bool:
        """Tell whether rows are converted in the usual way with these options."""
        return (
            options.person_profiles == "always"
            and options.user_properties != "ignore"
            and not options.properties.renames
            and options.properties.skipped is None
        )

    def event_of(self, line: bytes) -> Usual | None:
        """Convert a line, or return None when it is not usual."""
        try:
            values = _values_of(_decode(line))
            fields = _sender_fields(values)
            user, uuid, event_type, customer, of_groups = _event_fields(values)
            key = orjson.dumps(fields) + bytes(user)
        except _NO_ROW:
            return None
        own_uuid = canonical_uuid(uuid)
        head = self._heads.get(event_type) or self._head_of(event_type)
        if head is None or own_uuid is None or of_groups:
            return None
        try:
            sender = self._senders[key]
        except KeyError:
            sender = self._sender_of(key, fields, bytes(user))
        own = self._own_of(self._counted_of(values), _times(values))
        customer = customer or {}
        names = self._shape.event_names(customer)
        if sender is None or own is None or names.special:
            return None
        timestamp, session = own.pop("event_time"), sender.session
        if head.was is not None:
            own["$amplitude_event_type"] = head.was
        session_id = None if session is None else session.id_at(timestamp)
        if session_id is not None:
            own["$session_id"] = session_id
        try:
            properties, end = _properties_of(own, customer, names, sender)
        except TypeError:  # an integer beyond 64 bits
            return None
        parts = (
            b'{"uuid":"', own_uuid.encode(), head.json, sender.between, timestamp.encode(),
            b'","properties":', properties, end,
        )  # fmt: skip
        return Usual(own_uuid, head.name, timestamp, sender, b"".join(parts))

    def _head_of(self, event_type: str | None) -> _Head | None:
        """Return what follows from the event's name, and remember it; None when it is unusual.

        A name that was not met before is looked at by `convert`.
        """
        known = None if event_type is None else self._options.named.get(event_type)
        if known is None or known.outcome is not None or event_type in _UNUSUAL_EVENTS:
            return None
        was = None if known.name == event_type else event_type
        head = _Head(known.name, b'","event":%b' % orjson.dumps(known.name), was)
        self._heads[event_type] = head
        return head

    def _sender_of(
        self, key: bytes, values: tuple[Any, ...], user_properties: bytes
    ) -> Sender | None:
        """Work the sender of a row out, and remember it under its key."""
        sender = self._work_out(values, user_properties)
        if len(key) <= _LONGEST:
            remember(self._senders, key, sender, _MOST)
        return sender

    def _own_of(self, counted: tuple[Any, ...], times: tuple[Any, ...]) -> Json | None:
        """Return the fields that only this event has, or None when that is not usual.

        Args:
            counted: what tells events from each other; some may be empty.
            times: some may be null, but not the last one, the event's own.
        """
        read: Sequence[str | None] | None = usual_times(times)
        if read is not None and all(counted):
            return dict(zip(self._own_names, (*counted, *read), strict=True))
        read = [to_rfc3339(value) for value in times]
        if read[-1] is None or read.count(None) != times.count(None):
            return None
        own = zip(self._own_names, (*counted, *read), strict=True)
        there = {name: value for name, value in own if not is_empty(value)}
        return there if len(there) > 1 else None


def _properties_of(own: Json, customer: Json, names: Names, sender: Sender) -> tuple[bytes, bytes]:
    """Return the JSON of all properties up to the event's end, in two parts.

    Args:
        own: what only this event has, something; is added to.
        customer: the event's properties.
        names: what follows from their names.
        sender: who sent it.

    Raises:
        TypeError: an integer is beyond 64 bits.
    """
    clash = not sender.properties.keys().isdisjoint(names.written)
    if clash:
        own = {**sender.properties, **own}
    if names.adds:
        names.add_to(own, customer)
    own.update(customer)
    if clash:
        own.update(sender.updates)
        return orjson.dumps(own), b"}"
    return orjson.dumps(own)[:-1], sender.end
