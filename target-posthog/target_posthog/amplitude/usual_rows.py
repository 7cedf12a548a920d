"""Rows of the usual form, from their JSON straight to the event's JSON.

The same events as `convert` makes, in two thirds of the time: what is there is read into a struct
instead of a dictionary, and a user's properties, which come again with each of the user's events,
are taken over as text. Whatever is not usual is left to `convert`: other fields, operations,
renamed and skipped properties, names that collide, and all that is skipped or rejected.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson

from target_posthog.amplitude.event_ids import canonical_uuid
from target_posthog.amplitude.groups import first_groups
from target_posthog.amplitude.identity import MIGRATION_MARKS, person_of_ids
from target_posthog.amplitude.person import first_values, person_updates
from target_posthog.amplitude.sessions import session_of
from target_posthog.amplitude.shapes import (
    DEVICE_FIELDS,
    PLACE_FIELDS,
    RARE_FIELDS,
    Shape,
    remember,
)
from target_posthog.amplitude.times import TIME_FIELDS, to_rfc3339
from target_posthog.codec import dumps

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_posthog.amplitude.convert import Options
    from target_posthog.amplitude.identity import Person
    from target_posthog.amplitude.shapes import Side
    from target_posthog.conversion import Json

#: The fields of a row (Amplitude docs, "Export API"), those of one use side by side.
_FIELDS = (
    *DEVICE_FIELDS,
    *PLACE_FIELDS,
    *("$insert_id", "amplitude_id", "app", "data", "device_id", "event_id", "groups"),
    *("ip_address", "location_lat", "location_lng", "plan", "session_id", "user_id"),
    *RARE_FIELDS,
    *sorted(TIME_FIELDS),
    *("uuid", "event_type", "event_properties", "user_properties", "group_properties"),
)
_NULL = msgspec.Raw(b"null")
#: Kept as text at first: they come again and again.
_RAW = frozenset({"user_properties", "groups"})
_Row = msgspec.defstruct(
    "_Row",
    [
        (f"f{index}", msgspec.Raw, _NULL) if name in _RAW else (f"f{index}", Any, None)
        for index, name in enumerate(_FIELDS)
    ],
    rename={f"f{index}": name for index, name in enumerate(_FIELDS)},
    forbid_unknown_fields=True,
    gc=False,
)
_INDEX = {name: index for index, name in enumerate(_FIELDS)}
_decode = msgspec.json.Decoder(_Row).decode
_values_of = msgspec.structs.astuple


def _getter(*names: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    return itemgetter(*map(_INDEX.__getitem__, names))


_WHO = _getter("uuid", "event_type", "event_time", "user_id", "device_id", "amplitude_id")
_WHAT = _getter(
    *("device_id", "session_id", "event_properties", "user_properties", "group_properties"),
    "groups",
)
#: Names that have rules of their own.
_UNUSUAL_EVENTS = frozenset({"$identify", "$groupidentify"})
_NOTHING = (b"null", b"{}")
#: How much is remembered of users' properties and of groups.
_MOST, _LONGEST = 4096, 2000


class Usual(NamedTuple):
    """An event on its way.

    Attributes:
        uuid, name, timestamp: of the event.
        person: who it belongs to.
        device: the row's `device_id`, when it is a text.
        body: the event as JSON.
    """

    uuid: str
    name: str
    timestamp: str
    person: Person
    device: str | None
    body: bytes


class _User(NamedTuple):
    """What follows from a user's properties: names on the event, and updates of the person."""

    added: Json
    updates: Json


class UsualRows:
    """Converts lines of the usual form.

    Args:
        options: the user's decisions.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._table = options.table
        self._shape = Shape(options.table, _FIELDS)
        self._found = _getter(*self._shape.sources)
        self._converted = _getter(*self._shape.converted)
        self._users: dict[tuple[bytes, int], _User] = {}
        self._groups: dict[bytes, Json] = {}

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
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None
        uuid, event_type, event_time, user_id, device_id, amplitude_id = _WHO(values)
        own_uuid, timestamp = canonical_uuid(uuid), to_rfc3339(event_time)
        # A name that was not met before is looked at by `convert`.
        known = self._options.named.get(event_type) if type(event_type) is str else None
        if known is None or own_uuid is None or timestamp is None or known.outcome is not None:
            return None
        person = person_of_ids(user_id, device_id, amplitude_id)
        properties = None
        if person.problem is None and event_type not in _UNUSUAL_EVENTS:
            renamed = None if known.name == event_type else event_type
            properties = self._properties_of(values, timestamp, renamed)
        if properties is None:
            return None
        event = {
            "uuid": own_uuid,
            "event": known.name,
            "distinct_id": person.distinct_id,
            "timestamp": timestamp,
            "properties": properties,
        }
        try:
            body = orjson.dumps(event)
        except TypeError:  # an integer beyond 64 bits
            return None
        device = device_id if type(device_id) is str else None
        return Usual(own_uuid, known.name, timestamp, person, device, body)

    def _properties_of(
        self, values: tuple[Any, ...], timestamp: str, renamed: str | None
    ) -> Json | None:
        """Return the event's properties, or None when there is something unusual among them.

        Args:
            values: of the row.
            timestamp: of the event.
            renamed: what Amplitude calls the event, when PostHog calls it something else.
        """
        device_id, session_id, customer, user, group_properties, groups = _WHAT(values)
        row = dict(zip(self._shape.converted, self._converted(values), strict=True))
        properties, side = self._shape.properties_of(row, self._found(values))
        told, shown = self._user_of(bytes(user), side), self._groups_of(bytes(groups))
        if told is None or shown is None or group_properties or not _is_object(customer):
            return None
        properties.update(told.added)
        # Not as text, under which they were found.
        del properties["groups"]
        properties.update(shown)
        if renamed is not None:
            properties["$amplitude_event_type"] = renamed
        if customer:
            names = self._shape.event_names(customer)
            if names.special:
                return None
            if names.adds:
                names.add_to(properties, customer)
            properties.update(customer)
        session = session_of(session_id, device_id, timestamp)
        if session is not None:
            properties.setdefault("$session_id", session)
        properties.update(told.updates)
        properties.update(MIGRATION_MARKS)
        return properties

    def _user_of(self, raw: bytes, side: Side) -> _User | None:
        key = raw, id(side)
        user = self._users.get(key)
        if user is None:
            user = self._work_out_user(raw, side)
            if user is not None and len(raw) <= _LONGEST:
                remember(self._users, key, user, _MOST)
        return user

    def _work_out_user(self, raw: bytes, side: Side) -> _User | None:
        if raw in _NOTHING:
            return _User({}, {})
        user = _read(raw)
        if user is None:
            return None
        names = self._table.user_names(side, user)
        added: Json = {}
        if names.adds:
            names.add_to(added, user)
        first = first_values(user, names.initial) if names.initial else {}
        updates = person_updates(user, first, self._options.user_properties)
        return _User(added, {name: orjson.Fragment(dumps(one)) for name, one in updates.items()})

    def _groups_of(self, raw: bytes) -> Json | None:
        if raw in _NOTHING:
            return {}
        shown = self._groups.get(raw)
        if shown is None:
            groups = _read(raw)
            if groups is None:
                return None
            shown = {"groups": orjson.Fragment(dumps(groups)), **first_groups({"groups": groups})}
            if len(raw) <= _LONGEST:
                remember(self._groups, raw, shown, _MOST)
        return shown


def _is_object(value: Any) -> bool:
    return value is None or type(value) is dict


def _read(raw: bytes) -> Json | None:
    """Return the object of a text, or None when it is none, or not simply one."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return value if isinstance(value, dict) and value else None
