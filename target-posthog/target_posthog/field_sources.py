"""How a value is found in a record: by a field's name, by several names, or as a constant.

Names go into objects, and into texts that are the JSON of objects, by dots: `customer.email` is
`email` of the object `customer`, unless the record has a field that is itself called
`customer.email`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_posthog.amplitude.values import is_empty
from target_posthog.codec import loads
from target_posthog.schemas import can_have, declares

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.conversion import Json


@dataclass(frozen=True)
class Constant:
    """A value that is the same for every record."""

    value: Any


@dataclass(frozen=True)
class Together:
    """Several fields that make one value, such as the columns of a key; null ones count as such."""

    names: tuple[str, ...]

    def of(self, record: Mapping[str, Any]) -> list[Any] | None:
        """Return what the fields hold, or None when none of them holds something."""
        values = [field_of(record, name) for name in self.names]
        return None if all(map(is_empty, values)) else values


Candidate = str | Constant | Together


@dataclass(frozen=True)
class Source:
    """Where one value comes from.

    Attributes:
        candidates: names of fields, constants, and fields together; the first that holds something
            counts.
    """

    candidates: tuple[Candidate, ...]

    def found(self, record: Mapping[str, Any]) -> Iterator[tuple[Candidate, Any]]:
        """Yield candidates and what they hold, in their order, without null and empty values."""
        for one in self.candidates:
            value = _value_of(record, one)
            if not is_empty(value):
                yield one, value

    def values(self, record: Mapping[str, Any]) -> Iterator[Any]:
        """Yield what the candidates hold, in their order, without null and empty values."""
        return (value for _, value in self.found(record))

    def first(self, record: Mapping[str, Any]) -> Any:
        """Return the first value that there is, or None."""
        return next(self.values(record), None)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of fields among the candidates."""
        return tuple(name for one in self.candidates for name in _names_of(one))

    def found_in(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that a schema names."""
        return tuple(one for one in self.fields if declares(schema, one))

    def lacking_in(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields when a schema's records can have none of them, and no constant is."""
        # A constant needs no field, fields together need each.
        is_found = any(
            all(can_have(schema, name) for name in _names_of(one)) for one in self.candidates
        )
        return () if is_found else self.fields

    def unnamed_in(self, schema: Mapping[str, Any]) -> bool:
        """Tell whether only an open schema, which names none of the fields, lets them come."""
        is_field = bool(self.fields) and all(map(_names_of, self.candidates))
        is_named = bool(schema.get("properties")) and bool(self.found_in(schema))
        return is_field and not is_named and not self.lacking_in(schema)

    def __str__(self) -> str:
        """Give the names of its fields."""
        return ", ".join(self.fields)


@dataclass(frozen=True)
class Pick:
    """One property under a name of its own."""

    to: str
    source: Source

    def of(self, record: Mapping[str, Any]) -> Json:
        """Return `{name: value}`, or nothing when the record has no value."""
        value = self.source.first(record)
        return {} if value is None else {self.to: value}

    def lacking_in(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that a schema's records cannot have."""
        return self.source.lacking_in(schema)


@dataclass(frozen=True)
class PickAll:
    """Every field that a glob matches, under its own name.

    Attributes:
        glob: such as `*`, `line_*` or `payload.*`; wildcards only after the last dot.
    """

    glob: str

    def of(self, record: Mapping[str, Any]) -> Json:
        """Return the fields that match and hold something."""
        inside, _, _ = self.glob.rpartition(".")
        found = object_in(field_of(record, inside)) if inside else record
        return {
            name: value
            for name, value in (found.items() if isinstance(found, dict) else ())
            if self._pattern.fullmatch(name) and not is_empty(value)
        }

    def lacking_in(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the object around the fields when a schema's records cannot have it."""
        inside, _, _ = self.glob.rpartition(".")
        return (inside,) if inside and not can_have(schema, inside) else ()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(translate(self.glob.rpartition(".")[2]))


def _value_of(record: Mapping[str, Any], candidate: Candidate) -> Any:
    if isinstance(candidate, str):
        return field_of(record, candidate)
    return candidate.value if isinstance(candidate, Constant) else candidate.of(record)


def _names_of(candidate: Candidate) -> tuple[str, ...]:
    if isinstance(candidate, str):
        return (candidate,)
    return candidate.names if isinstance(candidate, Together) else ()


def is_glob(name: str) -> bool:
    """Tell whether a name stands for several."""
    return any(wildcard in name for wildcard in "*?[")


def field_of(record: Mapping[str, Any], name: str) -> Any:
    """Return a field of a record, or of an object in it; None when there is none."""
    if name in record:
        return record[name]
    head, dot, rest = name.partition(".")
    inner = object_in(record.get(head)) if dot else None
    return field_of(inner, rest) if isinstance(inner, dict) else None


def object_in(value: Any) -> Any:
    """Return a value; an object or a list for its JSON, as columns of databases often hold it."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return loads(value)
    except ValueError:
        return value
