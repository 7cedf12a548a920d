"""Rows of the table of `fields.py`, compiled, and what follows from names that stand together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.formats.amplitude import values
from target_posthog.formats.amplitude.fields import EVENT_PREFIX, USER_PREFIX, Field
from target_posthog.model import is_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from target_posthog.formats.property_names import Wishes
    from target_posthog.model import Json

#: Sources, PostHog's name, converter.
FieldRow = tuple[tuple[str, ...], str, "Callable[[Any], Any]"]
#: Source and name of what goes over as it is.
Copies = tuple[tuple[str, str], ...]


class Names(msgspec.Struct, frozen=True, gc=False):
    """What follows from the names of properties that stand together on an event or a user.

    Attributes:
        copies: what the table takes over from them as it is.
        rows: the other rows of the table that find a source among them.
        wishes: what the user wants of the names.
        special: whether one of them covers a field of the row, or is a name PostHog acts upon.
        initial: `initial_*` names and PostHog's for them.
        adds: whether the table has anything for them.
        written: what an event has because of them; of a user's properties nothing.
        apart: whether an event has properties of its own whose names nothing else can write.
    """

    copies: Copies
    rows: tuple[FieldRow, ...]
    wishes: Wishes
    special: bool
    initial: Copies
    adds: bool
    written: frozenset[str] = frozenset()
    apart: bool = False

    def add_to(self, properties: Json, found: Mapping[str, Any]) -> None:
        """Add PostHog's names for what was found."""
        for source, name in self.copies:
            value = found[source]
            if value or not is_empty(value):
                properties[name] = value
        if self.rows:
            apply(self.rows, found, properties)


@dataclass(frozen=True)
class Side:
    """What the table says for one platform.

    Attributes:
        device: the rows about the device.
        user: the rows about properties of the user.
        names: what was worked out for the names of user properties.
    """

    device: tuple[FieldRow, ...]
    user: tuple[FieldRow, ...]
    names: dict[tuple[str, ...], Names] = field(default_factory=dict)


def apply(rows: tuple[FieldRow, ...], found: Mapping[str, Any], properties: Json) -> None:
    """Add PostHog's names for what was found."""
    for sources, name, convert in rows:
        for source in sources:
            value = found.get(source)
            if value or not is_empty(value):
                converted = convert(value)
                if converted is not None:
                    properties[name] = converted
                    break


def compiled(fields: Iterable[Field]) -> tuple[FieldRow, ...]:
    """Return rows of the table without what is not needed for each event."""
    return tuple(
        (
            tuple(one.removeprefix(EVENT_PREFIX).removeprefix(USER_PREFIX) for one in row.sources),
            row.name,
            row.convert,
        )
        for row in fields
    )


def rows_with(
    rows: tuple[FieldRow, ...], keys: Iterable[str]
) -> tuple[Copies, tuple[FieldRow, ...]]:
    """Return the rows that find a source among these keys: plain copies, and the others."""
    present = set(keys)
    there = [
        (tuple(one for one in sources if one in present), name, convert)
        for sources, name, convert in rows
    ]
    copies = [
        (sources[0], name)
        for sources, name, convert in there
        if len(sources) == 1 and convert is values.as_is
    ]
    others = [row for row in there if row[0] and (row[0][0], row[1]) not in copies]
    return tuple(copies), tuple(others)
