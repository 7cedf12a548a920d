"""The table of `fields.py` without what the user leaves out, compiled for the conversion.

Events of a kind share the names of their properties, so what follows from names that stand
together is worked out once for each set of names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.cache import Memo
from target_posthog.formats.amplitude import values
from target_posthog.formats.amplitude.fields import (
    ELSEWHERE,
    EVENT_PREFIX,
    FIELDS,
    MOBILE,
    SERVER,
    USER_PREFIX,
    WEB,
    Field,
)
from target_posthog.formats.amplitude.person_properties import initial_names
from target_posthog.model import is_empty
from target_posthog.posthog.names import IDENTITY_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from target_posthog.formats.amplitude.notes import TableNote
    from target_posthog.formats.names import PropertyNames, Renames
    from target_posthog.model import Json

#: Fields whose values repeat from event to event of a device: what it is, and where.
DEVICE_FIELDS = (
    *("platform", "library", "os_name", "os_version", "device_brand", "device_carrier"),
    *("device_family", "device_manufacturer", "device_model", "device_type", "language"),
    *("version_name", "start_version", "data_type", "amplitude_event_type"),
)
PLACE_FIELDS = ("country", "region", "city", "dma")

#: Sources, PostHog's name, converter.
FieldRow = tuple[tuple[str, ...], str, "Callable[[Any], Any]"]
#: Source and name of what is taken over as it is.
Copies = tuple[tuple[str, str], ...]

#: How many sets of names are remembered of each kind.
MAX_KEY_SETS = 2048
#: Longer keys are not remembered, so that a memory's size is bounded, not only its length.
MAX_KEY_LENGTH = 200


class KeySetPlan(msgspec.Struct, frozen=True, gc=False):
    """What follows from the names of properties that stand together on an event or a user.

    Attributes:
        copies: what the table takes over from them as it is.
        rows: the other rows of the table that find a source among them.
        renames: what the user wants of the names.
        special: whether one of them covers a field of the row, or is a name PostHog acts upon.
        initial: `initial_*` names and PostHog's for them.
        adds: whether the table has anything for them.
        written: what an event has because of them; of a user's properties nothing.
        apart: whether an event has properties of its own whose names nothing else can write.
    """

    copies: Copies
    rows: tuple[FieldRow, ...]
    renames: Renames
    special: bool
    initial: Copies
    adds: bool
    written: frozenset[str] = frozenset()
    apart: bool = False

    def add_to(
        self, properties: Json, found: Mapping[str, Any], note: TableNote | None = None
    ) -> None:
        """Add PostHog's names for what was found; note which rows of the table counted."""
        for source, name in self.copies:
            value = found[source]
            if value or not is_empty(value):
                properties[name] = value
                if note is not None:
                    note(name, source, values.as_is)
        if self.rows:
            apply(self.rows, found, properties, note)


@dataclass(frozen=True)
class PlatformFields:
    """What the table says for one platform.

    Attributes:
        device: the rows about the device.
        user: the rows about properties of the user.
        plans: what was worked out for the names of user properties.
    """

    device: tuple[FieldRow, ...]
    user: tuple[FieldRow, ...]
    plans: Memo[tuple[str, ...], KeySetPlan] = field(default_factory=lambda: Memo(MAX_KEY_SETS))


class CompiledFields:
    """The table without what the user leaves out.

    Args:
        names: what the user wants of properties.
    """

    def __init__(self, names: PropertyNames) -> None:
        self.names = names
        rows = [row for row in map(self._wanted, FIELDS) if row is not None]
        of_event = [row for row in rows if row.sources[0].startswith(EVENT_PREFIX)]
        of_user = [row for row in rows if row.sources[0].startswith(USER_PREFIX)]
        of_row = [row for row in rows if row not in of_event and row not in of_user]
        of_device = [row for row in of_row if set(DEVICE_FIELDS).issuperset(row.sources)]
        of_place = [row for row in of_row if set(PLACE_FIELDS).issuperset(row.sources)]
        self.event_rows = _compiled(of_event)
        self.place_rows = _compiled(of_place)
        self.row_rows = _compiled(row for row in of_row if row not in of_device + of_place)
        self.platforms = {
            platform: PlatformFields(
                _compiled(row for row in of_device if platform in row.when),
                _compiled(row for row in of_user if platform in row.when),
            )
            for platform in (WEB, MOBILE, SERVER)
        }
        self.has_sessions = not (names.skips("session_id") or names.skips("$session_id"))
        self.has_groups = not names.skips("groups")

    def copies_of(self, sources: Iterable[str]) -> Copies:
        """Return each of these fields with the names under which it is taken over as it is."""
        copies, _ = rows_with(self.row_rows, sources)
        return (*copies, *((source, source) for source in sources))

    def user_plan(self, platform: PlatformFields, user: Mapping[str, Any]) -> KeySetPlan:
        """Return what follows from the names of a user's properties on this platform."""
        keys = tuple(user)
        plan = platform.plans.get(keys)
        if plan is None:
            initial = initial_names(tuple(key for key in keys if not self.names.skips(key)))
            copies, rows = rows_with(platform.user, keys)
            renames, adds = self.names.renames_for(keys), bool(copies or rows)
            plan = KeySetPlan(copies, rows, renames, special=False, initial=initial, adds=adds)
            if len(keys) <= MAX_KEY_LENGTH:
                platform.plans.remember(keys, plan)
        return plan

    def _wanted(self, row: Field) -> Field | None:
        """Return a row of the table with the sources that the user wants, or None."""
        sources = tuple(name for name in row.sources if not self._leaves_out(name))
        if not sources or (row.name not in IDENTITY_NAMES and self.names.skips(row.name)):
            return None
        return Field(sources, row.name, row.when, row.convert)

    def _leaves_out(self, source: str) -> bool:
        return source not in ELSEWHERE and self.names.skips(_bare(source))


def apply(
    rows: tuple[FieldRow, ...],
    found: Mapping[str, Any],
    properties: Json,
    note: TableNote | None = None,
) -> None:
    """Add PostHog's names for what was found; note which rows of the table counted."""
    for sources, name, convert in rows:
        for source in sources:
            value = found.get(source)
            if value or not is_empty(value):
                converted = convert(value)
                if converted is not None:
                    properties[name] = converted
                    if note is not None:
                        note(name, source, convert)
                    break


def rows_with(
    rows: tuple[FieldRow, ...], keys: Iterable[str]
) -> tuple[Copies, tuple[FieldRow, ...]]:
    """Return the rows that find a source among these keys: plain copies, and the others."""
    present = set(keys)
    there = [
        (tuple(source for source in sources if source in present), name, convert)
        for sources, name, convert in rows
    ]
    copies = [
        (sources[0], name)
        for sources, name, convert in there
        if len(sources) == 1 and convert is values.as_is
    ]
    others = [row for row in there if row[0] and (row[0][0], row[1]) not in copies]
    return tuple(copies), tuple(others)


def _compiled(rows: Iterable[Field]) -> tuple[FieldRow, ...]:
    """Return rows of the table without what is not needed for each event."""
    return tuple((tuple(map(_bare, row.sources)), row.name, row.convert) for row in rows)


def _bare(source: str) -> str:
    return source.removeprefix(EVENT_PREFIX).removeprefix(USER_PREFIX)
