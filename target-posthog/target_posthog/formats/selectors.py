"""How a value is found in a record: by a field's name, by several names, or as a constant.

Names go into objects, and into texts that are the JSON of objects, by dots: `customer.email` is
`email` of the object `customer`, unless the record has a field that is itself called
`customer.email`.

A name is taken apart once, when a stream begins: what stands for it from then on is a function of
a record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from target_posthog.formats.schemas import can_have, declares
from target_posthog.json_codec import loads
from target_posthog.model import is_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_posthog.model import Json

    #: Gives what a record holds in one place; None when there is no such place.
    Reader = Callable[[Mapping[str, Any]], Any]
    Picker = Callable[[Mapping[str, Any]], Json]


@dataclass(frozen=True)
class Constant:
    """A value that is the same for every record."""

    value: Any


@dataclass(frozen=True)
class Together:
    """Several fields that make one value, such as the columns of a key; null ones count as such."""

    names: tuple[str, ...]

    @cached_property
    def of(self) -> Reader:
        """Gives what the fields hold, or None when none of them holds something."""
        readers = tuple(map(reader_of, self.names))

        def together(record: Mapping[str, Any]) -> list[Any] | None:
            values = [read(record) for read in readers]
            return None if all(map(is_empty, values)) else values

        return together


Candidate = str | Constant | Together


@dataclass(frozen=True)
class Source:
    """Where one value comes from.

    Attributes:
        candidates: names of fields, constants, and fields together; the first that holds something
            counts.
    """

    candidates: tuple[Candidate, ...]

    @cached_property
    def readers(self) -> tuple[tuple[Candidate, Reader], ...]:
        """Each candidate, and what gives its value."""
        return tuple((candidate, _reader_of_candidate(candidate)) for candidate in self.candidates)

    def found(self, record: Mapping[str, Any]) -> Iterator[tuple[Candidate, Any]]:
        """Yield candidates and what they hold, in their order, without null and empty values."""
        for candidate, read in self.readers:
            value = read(record)
            if value or not is_empty(value):
                yield candidate, value

    @cached_property
    def first(self) -> Reader:
        """Gives the first value that a record has, or None."""
        readers = tuple(read for _, read in self.readers)

        def first(record: Mapping[str, Any]) -> Any:
            for read in readers:
                value = read(record)
                if value or not is_empty(value):
                    return value
            return None

        return first

    @property
    def field(self) -> str | None:
        """The field of a record that this is, when it is no more than that."""
        name = self.candidates[0] if len(self.candidates) == 1 else None
        return name if isinstance(name, str) and "." not in name else None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of fields among the candidates."""
        return tuple(name for candidate in self.candidates for name in names_of(candidate))

    def found_in(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that a schema names."""
        return tuple(name for name in self.fields if declares(schema, name))

    def lacking_in(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields when a schema's records can have none of them, and no constant is."""
        # A constant needs no field, fields together need each.
        is_found = any(
            all(can_have(schema, name) for name in names_of(candidate))
            for candidate in self.candidates
        )
        return () if is_found else self.fields

    def unnamed_in(self, schema: Mapping[str, Any]) -> bool:
        """Return True if only an open schema, which names none of the fields, lets them come."""
        is_field = bool(self.fields) and all(map(names_of, self.candidates))
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

    @cached_property
    def of(self) -> Picker:
        """Gives the fields that match and hold something, by their names."""
        inside, _, glob = self.glob.rpartition(".")
        matches = None if glob == "*" else re.compile(translate(glob)).fullmatch
        read = reader_of(inside) if inside else None

        def found(record: Mapping[str, Any]) -> Json:
            fields = record if read is None else object_in(read(record))
            return {
                name: value
                for name, value in (fields.items() if isinstance(fields, dict) else ())
                if (value or not is_empty(value)) and (matches is None or matches(name))
            }

        return found

    def lacking_in(self, schema: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the object around the fields when a schema's records cannot have it."""
        inside, _, _ = self.glob.rpartition(".")
        return (inside,) if inside and not can_have(schema, inside) else ()


Picks = tuple[Pick | PickAll, ...]


def picker(picks: Picks) -> Picker:
    """Return what gives the picked properties of a record; of two of one name the first counts."""
    one_by_one = [pick for pick in picks if isinstance(pick, Pick)]
    if len({pick.to for pick in one_by_one}) == len(picks):
        return _picker_of_names(one_by_one)
    readers = tuple(
        _picker_of_names([pick]) if isinstance(pick, Pick) else pick.of for pick in picks
    )

    def picked(record: Mapping[str, Any]) -> Json:
        properties: Json = {}
        for read in readers:
            properties = {**read(record), **properties}
        return properties

    return picked


def _picker_of_names(picks: Sequence[Pick]) -> Picker:
    """Return the same for properties that each have a name of their own."""
    fields = tuple((pick.to, pick.source.field) for pick in picks if pick.source.field is not None)
    others = tuple((pick.to, pick.source.first) for pick in picks if pick.source.field is None)

    def picked(record: Mapping[str, Any]) -> Json:
        get = record.get
        # Most properties are fields, for which there is no call.
        properties = {
            to: value
            for to, field in fields
            if (value := get(field)) or (value is not None and not is_empty(value))
        }
        for to, read in others:
            value = read(record)
            if value is not None:
                properties[to] = value
        return properties

    return picked


def names_of(candidate: Candidate) -> tuple[str, ...]:
    """Return the names of the fields that a candidate is made of; none of a constant."""
    if isinstance(candidate, str):
        return (candidate,)
    return candidate.names if isinstance(candidate, Together) else ()


def is_glob(name: str) -> bool:
    """Return True if a name stands for several."""
    return any(wildcard in name for wildcard in "*?[")


def reader_of(name: str) -> Reader:
    """Return what gives a field of a record, or of an object in it."""
    head, dot, rest = name.partition(".")
    if not dot:
        return methodcaller("get", name)
    read_inside = reader_of(rest)

    def read(record: Mapping[str, Any]) -> Any:
        if name in record:
            return record[name]
        inner = object_in(record.get(head))
        return read_inside(inner) if isinstance(inner, dict) else None

    return read


def _reader_of_candidate(candidate: Candidate) -> Reader:
    if isinstance(candidate, str):
        return reader_of(candidate)
    if isinstance(candidate, Together):
        return candidate.of
    value = candidate.value
    return lambda _: value


def object_in(value: Any) -> Any:
    """Return a value; an object or a list for its JSON, as columns of databases often hold it."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return loads(value)
    except ValueError:
        return value
