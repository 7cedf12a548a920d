"""What follows from the keys of a row, from its device and from its place, worked out once.

Rows of an export share their keys, and the events of a device nearly everything that tells about
it. All of it is pure, and every memory is bounded.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.cache import Memo
from target_posthog.common.amplitude_columns import FORMED_FIELDS, fields_of
from target_posthog.formats.amplitude import values
from target_posthog.formats.amplitude.compiled_fields import (
    DEVICE_FIELDS,
    MAX_KEY_LENGTH,
    MAX_KEY_SETS,
    PLACE_FIELDS,
    CompiledFields,
    FieldRow,
    KeySetPlan,
    PlatformFields,
    apply,
    rows_with,
)
from target_posthog.formats.amplitude.fields import ELSEWHERE, EVENT_PREFIX, FIELDS, platform_of
from target_posthog.formats.amplitude.notes import MISPLACED, table_note
from target_posthog.formats.amplitude.times import TIME_FIELDS, add_times
from target_posthog.formats.trace import note_left_out, reasons_of_renames
from target_posthog.model import is_empty
from target_posthog.posthog.names import ACTING_NAMES
from target_posthog.posthog.times import any_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_posthog.formats.amplitude.notes import TableNote
    from target_posthog.formats.trace import Trace
    from target_posthog.model import Json

#: Fields that hold nothing in most rows of today: one look is enough for all of them. `$insert_key`
#: is none of them: in exports of 2022 and before each event has one of its own.
RARE_FIELDS = (
    *("$schema", "adid", "idfa", "amplitude_attribution_ids", "paying"),
    *("global_user_properties", "is_attribution_event", "partner_id", "sample_rate", "source_id"),
)

#: What a field that does not fit its own place is called (`convert.py`).
MISPLACED_NAMES = frozenset(MISPLACED)

#: What the table writes on account of other things than the event's properties, and what is
#: written without it. Names of the row's own fields are `special`.
OTHER_NAMES = frozenset(
    {
        *(row.name for row in FIELDS if not row.sources[0].startswith(EVENT_PREFIX)),
        *("$amplitude_event_type", "$groups", "$session_id", "$set", "$set_once"),
    }
)

_MAX_PLANS = 32
_MAX_DEVICES = 2048
_MAX_KEY_TEXT = 2000


class DevicePart(NamedTuple):
    """The properties that follow from what a device is and where. Not to be changed."""

    properties: Json
    platform: PlatformFields


class RowPlans:
    """The plans of rows, by their keys."""

    def __init__(self, fields: CompiledFields) -> None:
        self._fields = fields
        self._plans: Memo[tuple[str, ...], RowPlan] = Memo(_MAX_PLANS)
        self._by_length: dict[int, RowPlan] = {}

    def read(self, row: Mapping[str, Any]) -> tuple[RowPlan, tuple[Any, ...]]:
        """Return the plan of a row, and its values in the plan's order."""
        # As many keys, and all of them the plan's: the very same keys, without a look at each.
        plan = self._by_length.get(len(row))
        if plan is not None:
            try:
                return plan, plan.values(row)
            except KeyError:
                pass
        keys = tuple(row)
        plan = self._plans.get(keys)
        if plan is None:
            plan = RowPlan(self._fields, keys)
            if len(keys) <= MAX_KEY_LENGTH:
                self._plans.remember(keys, plan)
        if len(keys) <= MAX_KEY_LENGTH:
            self._by_length[len(keys)] = plan
        return plan, plan.values(row)


class RowPlan:
    """What follows from the keys of a row, and what was worked out for rows of these keys.

    One class, as all of it follows from one set of keys.
    """

    def __init__(self, fields: CompiledFields, keys: tuple[str, ...]) -> None:
        own = tuple(key for key in keys if key not in ELSEWHERE)
        renames = fields.names.renames_for(own)
        self._own = own
        #: The names of the row's own fields, and what becomes of them.
        self.renames = tuple((key, key) for key in own) if renames is None else renames
        self._same = frozenset(old for old, new in self.renames if old == new)
        self._fields = fields
        #: The columns that have a field's name in another spelling; see `foreign_rows`.
        self.misspelt = fields_of(keys)
        #: Fields that the user leaves out by the names of their columns.
        self.left_out = frozenset(
            field for column, field in self.misspelt.items() if fields.names.skips(column)
        ).difference(ELSEWHERE)
        #: The row's values of the fields in which their form matters.
        self.formed = _getter(tuple(key for key in keys if key in FORMED_FIELDS))
        self._device = tuple(key for key in DEVICE_FIELDS if key in keys)
        self._place = tuple(key for key in PLACE_FIELDS if key in keys)
        copies, self._rows = rows_with(fields.row_rows, keys)
        remembered = self._same.intersection((*self._device, *self._place))
        #: What is copied from each row: standard names, and over them the row's own.
        apart = TIME_FIELDS.union(remembered, RARE_FIELDS)
        rest = [*copies, *(pair for pair in self.renames if pair[0] not in apart)]
        rare = [pair for pair in self.renames if pair[0] in RARE_FIELDS]
        times = [pair for pair in self.renames if pair[0] in TIME_FIELDS]
        order = (*self._device, *self._place, *(old for old, _ in (*rest, *rare, *times)))
        #: Where the values come from that `properties_of` takes.
        self.sources = order
        #: The fields that are converted for each row.
        self.converted = tuple(source for sources, _, _ in self._rows for source in sources)
        #: The row's values, of all its keys; raises KeyError when one is not there.
        self._keys = (*order, *(key for key in keys if key not in order))
        self.values = _getter(self._keys)
        self._copied = copies
        self._rest_names = tuple(new for _, new in rest)
        self._rare_names = tuple(new for _, new in rare)
        self._time_names = tuple(new for _, new in times)
        self._to_rest = len(self._device) + len(self._place)
        self._to_rare = self._to_rest + len(rest)
        self._to_times = self._to_rare + len(rare)
        self._to_end = self._to_times + len(times)
        self._no_rare = (None,) * len(rare)
        self._names = frozenset(new for _, new in self.renames)
        #: Whether a field of the row bears a name that stands for something else.
        self.special = not self._names.isdisjoint(
            ACTING_NAMES | MISPLACED_NAMES | {row.name for row in FIELDS}
        )
        self._devices: Memo[tuple[Any, ...], DevicePart] = Memo(_MAX_DEVICES)
        self._parts: Memo[tuple[Any, ...], Json] = Memo(_MAX_DEVICES)
        self._events: Memo[tuple[str, ...], KeySetPlan] = Memo(MAX_KEY_SETS)

    def properties_of(
        self, row: Mapping[str, Any], found: tuple[Any, ...], trace: Trace | None = None
    ) -> tuple[Json, PlatformFields]:
        """Return the row's fields under PostHog's names and their own, and the row's platform.

        Args:
            row: the row, or as much of it as `converted` names; empty when none of these holds
                anything.
            found: its values in the order of `sources`; more may follow.
            trace: takes notes, if there is one.
        """
        to_rest, to_rare, to_times = self._to_rest, self._to_rare, self._to_times
        note = None if trace is None else table_note(trace)
        device, platform = self._device_part(found[:to_rest], note)
        properties = device.copy()
        _add_held(properties, self._rest_names, found[to_rest:to_rare])
        rare = found[to_rare:to_times]
        if rare != self._no_rare:
            _add_held(properties, self._rare_names, rare)
        add_times(properties, self._time_names, found[to_times : self._to_end])
        if trace is not None:
            self._note(trace, found)
        if row:
            apply(self._rows, row, properties, note)
        return properties, platform

    def _note(self, trace: Trace, found: tuple[Any, ...]) -> None:
        """Note what was copied: standard names, and over them the row's own."""
        values_of = zip(self._keys, found, strict=True)
        holds = {name for name, value in values_of if not is_empty(value)}
        copy = table_note(trace)
        for source, name in self._copied:
            if source in holds:
                copy(name, source, values.as_is)
        own = [pair for pair in self.renames if pair[0] in holds]
        trace.properties.update(reasons_of_renames(own))
        note_left_out(trace, holds.intersection(self._own), self.renames)

    def event_plan(self, customer: Mapping[str, Any]) -> KeySetPlan:
        """Return what follows from the names of the event's properties."""
        keys = tuple(customer)
        plan = self._events.get(keys)
        if plan is None:
            renames = self._fields.names.renames_for(keys)
            sent = frozenset(keys if renames is None else (new for _, new in renames))
            special = not sent.isdisjoint(self._names | ACTING_NAMES | MISPLACED_NAMES)
            copies, rows = rows_with(self._fields.event_rows, keys)
            added = {*(name for _, name in copies), *(row[1] for row in rows)}
            written = sent.union(added)
            apart = sent.isdisjoint(added) and written.isdisjoint(OTHER_NAMES) and bool(sent)
            adds = bool(copies or rows)
            plan = KeySetPlan(copies, rows, renames, special, (), adds, written, apart)
            if len(keys) <= MAX_KEY_LENGTH:
                self._events.remember(keys, plan)
        return plan

    def fields_of(self, row: Mapping[str, Any]) -> Json:
        """Return every field that holds something and has no other place, under its own name."""
        return {
            new: (any_time(row[old]) or row[old]) if old in TIME_FIELDS else row[old]
            for old, new in self.renames
            if not is_empty(row[old])
        }

    def _device_part(self, key: tuple[Any, ...], note: TableNote | None = None) -> DevicePart:
        """Return what follows from these values of the device's and the place's fields."""
        try:
            # What is remembered was noted before, of another row.
            known = self._devices.get(key) if note is None else None
        except TypeError:  # an object where a text belongs
            known = None
        if known is None:
            row = dict(zip((*self._device, *self._place), key, strict=True))
            platform = self._fields.platforms[platform_of(row)]
            to_place = len(self._device)
            device = self._part(platform.device, self._device, row, key[:to_place], note)
            place = self._part(self._fields.place_rows, self._place, row, key[to_place:], note)
            known = DevicePart({**device, **place}, platform)
            if _is_text(key):
                self._devices.remember(key, known)
        return known

    def _part(
        self,
        rows: tuple[FieldRow, ...],
        sources: tuple[str, ...],
        row: Mapping[str, Any],
        key: tuple[Any, ...],
        note: TableNote | None,
    ) -> Json:
        """Return what follows from the device alone, or the place: a device moves."""
        if note is not None or not _is_text(key):
            return self._worked_out(rows, sources, row, note)
        part = self._parts.get((sources, key))
        if part is None:
            part = self._worked_out(rows, sources, row)
            self._parts.remember((sources, key), part)
        return part

    def _worked_out(
        self,
        rows: tuple[FieldRow, ...],
        sources: tuple[str, ...],
        row: Mapping[str, Any],
        note: TableNote | None = None,
    ) -> Json:
        found: Json = {}
        apply(rows, row, found, note)
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
    """Return True if a key holds only texts and nulls, and no long ones.

    Other values are not remembered: True, 1 and 1.0 are equal, and one would stand for the other.
    """
    return (
        all(value is None or type(value) is str for value in key)
        and sum(len(value) for value in key if value) <= _MAX_KEY_TEXT
    )
