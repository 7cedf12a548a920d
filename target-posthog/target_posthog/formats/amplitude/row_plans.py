"""The table of `fields.py` and the user's wishes, made ready for rows of one shape.

Rows of an export share their keys, events of a kind the names of their properties, and the events
of a device nearly everything that tells about it. So what follows from names alone is worked out
once for each set of names, what follows from the device once for each device, and remembered. All
of it is pure, and bounded: a memory that is full starts anew.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.cache import remember
from target_posthog.formats.amplitude.compiled_fields import (
    Copies,
    FieldRow,
    Names,
    Side,
    apply,
    compiled,
    rows_with,
)
from target_posthog.formats.amplitude.fields import (
    ELSEWHERE,
    EVENT_PREFIX,
    FIELDS,
    MOBILE,
    SERVER,
    USER_PREFIX,
    WEB,
    Field,
    platform_of,
)
from target_posthog.formats.amplitude.foreign_rows import FORMED_FIELDS, fields_of
from target_posthog.formats.amplitude.person_properties import initial_names
from target_posthog.formats.amplitude.times import TIME_FIELDS, add_times
from target_posthog.model import is_empty
from target_posthog.posthog.names import ACTING_NAMES, IDENTITY_NAMES
from target_posthog.posthog.times import any_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from target_posthog.formats.property_names import PropertyNames
    from target_posthog.model import Json

#: Fields whose values repeat from event to event of a device: what it is, and where.
DEVICE_FIELDS = (
    *("platform", "library", "os_name", "os_version", "device_brand", "device_carrier"),
    *("device_family", "device_manufacturer", "device_model", "device_type", "language"),
    *("version_name", "start_version", "data_type", "amplitude_event_type"),
)
PLACE_FIELDS = ("country", "region", "city", "dma")
#: Fields that hold nothing in most rows of today: one look is enough for all of them. `$insert_key`
#: is none of them: in exports of 2022 and before each event has one of its own.
RARE_FIELDS = (
    *("$schema", "adid", "idfa", "amplitude_attribution_ids", "paying"),
    *("global_user_properties", "is_attribution_event", "partner_id", "sample_rate", "source_id"),
)

#: What a field that does not fit its own place is called (`convert.py`).
MISPLACED_NAMES = frozenset(
    {
        *("event_properties", "user_properties", "group_properties", "event_time"),
        *("$amplitude_uuid", "$amplitude_event_type"),
    }
)

#: What the table writes on account of other things than the event's properties, and what is
#: written without it. Names of the row's own fields are `special`.
OTHER_NAMES = frozenset(
    {
        *(one.name for one in FIELDS if not one.sources[0].startswith(EVENT_PREFIX)),
        *("$amplitude_event_type", "$groups", "$session_id", "$set", "$set_once"),
    }
)

_MAX_SHAPES = 32
_MAX_NAMES = 2048
_MAX_BASES = 2048
_MAX_PARTS = 2048
#: Longer keys are not remembered, so that a memory's size is bounded, not only its length.
MAX_KEY_LENGTH = 200
_MAX_KEY_TEXT = 2000


class Base(NamedTuple):
    """The properties that follow from what a device is and where. Not to be changed."""

    properties: Json
    side: Side


class Table:
    """The table without what the user leaves out, and everything that was worked out so far.

    Args:
        names: the user's wishes.
    """

    def __init__(self, names: PropertyNames) -> None:
        self.names = names
        rows = [one for one in map(self._wanted, FIELDS) if one is not None]
        of_event = [one for one in rows if one.sources[0].startswith(EVENT_PREFIX)]
        of_user = [one for one in rows if one.sources[0].startswith(USER_PREFIX)]
        of_row = [one for one in rows if one not in of_event and one not in of_user]
        of_device = [one for one in of_row if set(DEVICE_FIELDS).issuperset(one.sources)]
        of_place = [one for one in of_row if set(PLACE_FIELDS).issuperset(one.sources)]
        self.event_rows = compiled(of_event)
        self.place_rows = compiled(of_place)
        self.row_rows = compiled(one for one in of_row if one not in of_device + of_place)
        self.sides = {
            platform: Side(
                compiled(one for one in of_device if platform in one.when),
                compiled(one for one in of_user if platform in one.when),
            )
            for platform in (WEB, MOBILE, SERVER)
        }
        self.has_sessions = not (names.skips("session_id") or names.skips("$session_id"))
        self.has_groups = not names.skips("groups")
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._usual: dict[int, Shape] = {}

    def read(self, row: Mapping[str, Any]) -> tuple[Shape, tuple[Any, ...]]:
        """Return what follows from the row's keys, and its values in the shape's order."""
        # As many keys, and all of them the shape's: the very same keys, without a look at each.
        shape = self._usual.get(len(row))
        if shape is not None:
            try:
                return shape, shape.values(row)
            except KeyError:
                pass
        keys = tuple(row)
        shape = self._shapes.get(keys)
        if shape is None:
            shape = Shape(self, keys)
            if len(keys) <= MAX_KEY_LENGTH:
                remember(self._shapes, keys, shape, _MAX_SHAPES)
        if len(keys) <= MAX_KEY_LENGTH:
            self._usual[len(keys)] = shape
        return shape, shape.values(row)

    def copies_of(self, sources: Iterable[str]) -> Copies:
        """Return each of these fields with the names under which it goes over as it is."""
        copies, _ = rows_with(self.row_rows, sources)
        return (*copies, *((source, source) for source in sources))

    def user_names(self, side: Side, user: Mapping[str, Any]) -> Names:
        """Return what follows from the names of a user's properties on this platform."""
        keys = tuple(user)
        names = side.names.get(keys)
        if names is None:
            initial = initial_names(tuple(key for key in keys if not self.names.skips(key)))
            copies, rows = rows_with(side.user, keys)
            wishes = self.names.wishes(keys)
            adds = bool(copies or rows)
            names = Names(copies, rows, wishes, special=False, initial=initial, adds=adds)
            if len(keys) <= MAX_KEY_LENGTH:
                remember(side.names, keys, names, _MAX_NAMES)
        return names

    def _wanted(self, one: Field) -> Field | None:
        """Return a row of the table with the sources that the user wants, or None."""
        sources = tuple(name for name in one.sources if not self._leaves_out(name))
        if not sources or (one.name not in IDENTITY_NAMES and self.names.skips(one.name)):
            return None
        return Field(sources, one.name, one.when, one.convert)

    def _leaves_out(self, source: str) -> bool:
        bare = source.removeprefix(EVENT_PREFIX).removeprefix(USER_PREFIX)
        return source not in ELSEWHERE and self.names.skips(bare)


class Shape:
    """What follows from the keys of a row, and what was worked out for rows of these keys.

    Args:
        table: the table.
        keys: the row's keys.
    """

    def __init__(self, table: Table, keys: tuple[str, ...]) -> None:
        own = tuple(key for key in keys if key not in ELSEWHERE)
        wishes = table.names.wishes(own)
        self._wishes = tuple((key, key) for key in own) if wishes is None else wishes
        self._same = frozenset(old for old, new in self._wishes if old == new)
        self._table = table
        #: The columns that have a field's name in another spelling; see `foreign_rows`.
        self.misspelt = fields_of(keys)
        #: Fields that the user leaves out by the names of their columns.
        self.left_out = frozenset(
            field for column, field in self.misspelt.items() if table.names.skips(column)
        ).difference(ELSEWHERE)
        #: The row's values of the fields in which their form matters.
        self.formed = _getter(tuple(key for key in keys if key in FORMED_FIELDS))
        self._device = tuple(key for key in DEVICE_FIELDS if key in keys)
        self._place = tuple(key for key in PLACE_FIELDS if key in keys)
        copies, self._rows = rows_with(table.row_rows, keys)
        remembered = self._same.intersection((*self._device, *self._place))
        #: What is copied from each row: standard names, and over them the row's own.
        apart = TIME_FIELDS.union(remembered, RARE_FIELDS)
        rest = [*copies, *(one for one in self._wishes if one[0] not in apart)]
        rare = [one for one in self._wishes if one[0] in RARE_FIELDS]
        times = [one for one in self._wishes if one[0] in TIME_FIELDS]
        order = (*self._device, *self._place, *(old for old, _ in (*rest, *rare, *times)))
        #: Where the values come from that `properties_of` takes.
        self.sources = order
        #: The fields that are converted for each row.
        self.converted = tuple(source for sources, _, _ in self._rows for source in sources)
        #: The row's values, of all its keys; raises KeyError when one is not there.
        self.values = _getter((*order, *(key for key in keys if key not in order)))
        self._rest_names = tuple(new for _, new in rest)
        self._rare_names = tuple(new for _, new in rare)
        self._time_names = tuple(new for _, new in times)
        self._to_rest = len(self._device) + len(self._place)
        self._to_rare = self._to_rest + len(rest)
        self._to_times = self._to_rare + len(rare)
        self._to_end = self._to_times + len(times)
        self._no_rare = (None,) * len(rare)
        self._names = frozenset(new for _, new in self._wishes)
        #: Whether a field of the row bears a name that stands for something else.
        self.special = not self._names.isdisjoint(
            ACTING_NAMES | MISPLACED_NAMES | {one.name for one in FIELDS}
        )
        self._bases: dict[tuple[Any, ...], Base] = {}
        self._parts: dict[tuple[Any, ...], Json] = {}
        self._events: dict[tuple[str, ...], Names] = {}

    def properties_of(self, row: Mapping[str, Any], found: tuple[Any, ...]) -> tuple[Json, Side]:
        """Return the row's fields under PostHog's names and their own, and the row's platform.

        Args:
            row: the row, or as much of it as `converted` names; empty when none of these holds
                anything.
            found: its values in the order of `sources`; more may follow.
        """
        to_rest, to_rare, to_times = self._to_rest, self._to_rare, self._to_times
        base, side = self._base_of(found[:to_rest])
        properties = base.copy()
        _add_held(properties, self._rest_names, found[to_rest:to_rare])
        rare = found[to_rare:to_times]
        if rare != self._no_rare:
            _add_held(properties, self._rare_names, rare)
        add_times(properties, self._time_names, found[to_times : self._to_end])
        if row:
            apply(self._rows, row, properties)
        return properties, side

    def event_names(self, customer: Mapping[str, Any]) -> Names:
        """Return what follows from the names of the event's properties."""
        keys = tuple(customer)
        names = self._events.get(keys)
        if names is None:
            wishes = self._table.names.wishes(keys)
            sent = frozenset(keys if wishes is None else (new for _, new in wishes))
            special = not sent.isdisjoint(self._names | ACTING_NAMES | MISPLACED_NAMES)
            copies, rows = rows_with(self._table.event_rows, keys)
            added = {*(name for _, name in copies), *(row[1] for row in rows)}
            written = sent.union(added)
            apart = sent.isdisjoint(added) and written.isdisjoint(OTHER_NAMES) and bool(sent)
            names = Names(
                copies, rows, wishes, special, (), bool(copies or rows), written, apart
            )  # fmt: skip
            if len(keys) <= MAX_KEY_LENGTH:
                remember(self._events, keys, names, _MAX_NAMES)
        return names

    def fields_of(self, row: Mapping[str, Any]) -> Json:
        """Return every field that holds something and has no other place, under its own name."""
        return {
            new: (any_time(row[old]) or row[old]) if old in TIME_FIELDS else row[old]
            for old, new in self._wishes
            if not is_empty(row[old])
        }

    def _base_of(self, key: tuple[Any, ...]) -> Base:
        """Return what follows from these values of the device's and the place's fields."""
        try:
            base = self._bases.get(key)
        except TypeError:  # an object where a text belongs
            base = None
        if base is None:
            row = dict(zip((*self._device, *self._place), key, strict=True))
            side = self._table.sides[platform_of(row)]
            to_place = len(self._device)
            device = self._part(side.device, self._device, row, key[:to_place])
            place = self._part(self._table.place_rows, self._place, row, key[to_place:])
            base = Base({**device, **place}, side)
            if _is_text(key):
                remember(self._bases, key, base, _MAX_BASES)
        return base

    def _part(
        self,
        rows: tuple[FieldRow, ...],
        sources: tuple[str, ...],
        row: Mapping[str, Any],
        key: tuple[Any, ...],
    ) -> Json:
        """Return what follows from the device alone, or the place: a device moves."""
        if not _is_text(key):
            return self._worked_out(rows, sources, row)
        part = self._parts.get((sources, key))
        if part is None:
            part = self._worked_out(rows, sources, row)
            remember(self._parts, (sources, key), part, _MAX_PARTS)
        return part

    def _worked_out(
        self, rows: tuple[FieldRow, ...], sources: tuple[str, ...], row: Mapping[str, Any]
    ) -> Json:
        found: Json = {}
        apply(rows, row, found)
        for source in sources:
            if source in self._same and not is_empty(row[source]):
                found[source] = row[source]
        return found


def _add_held(properties: Json, names: Sequence[str], found: Sequence[Any]) -> None:
    """Add what holds something under its name."""
    for name, value in zip(names, found, strict=True):
        # Most are null, and are not worth a call.
        if value or (value is not None and not is_empty(value)):
            properties[name] = value


def _getter(keys: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Return a function that gives the values of these keys."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda row: tuple(row[name] for name in keys)


def _is_text(key: tuple[Any, ...]) -> bool:
    """Tell whether a key holds only texts and nulls, and no long ones.

    Other values are not remembered: True, 1 and 1.0 are equal, and one would stand for the other.
    """
    return (
        all(value is None or type(value) is str for value in key)
        and sum(len(value) for value in key if value) <= _MAX_KEY_TEXT
    )
