"""JSON schemas of streams: open unless they say otherwise, and used only for what is needed.

Taps write schemas of every draft and quality. None is validated, for no record is held to one: the
conversion takes any JSON object.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.model import Json


def usable_schema(schema: Json) -> Json:
    """Return a schema in the form that the SDK relies on: `properties` that are objects."""
    fields = schema.get("properties")
    named = fields if isinstance(fields, dict) else {}
    return {**schema, "properties": {name: _usable_field(value) for name, value in named.items()}}


def _usable_field(schema: Any) -> Json:
    """Return the schema of a field with a type where the SDK would look for one in vain."""
    if not isinstance(schema, dict):
        return {}  # `true`: anything goes
    usable = usable_schema(schema) if "properties" in schema else schema
    kind = schema.get("type")
    if "type" in schema and not _is_type(kind):
        usable = {name: value for name, value in usable.items() if name != "type"}
    if "type" not in usable and any(isinstance(value, list) for value in usable.values()):
        # Flattening takes the first list of a field without a type for its alternatives.
        usable = {name: value for name, value in usable.items() if not isinstance(value, list)}
        usable["type"] = sorted(_types_of_alternatives(schema)) or [*_ANY]
    return usable


_ANY = ("array", "boolean", "integer", "null", "number", "object", "string")


def _is_type(kind: Any) -> bool:
    return isinstance(kind, str) or (
        isinstance(kind, list) and all(isinstance(name, str) for name in kind)
    )


def _types_of_alternatives(schema: Mapping[str, Any]) -> set[str]:
    """Return the types of a field's alternatives; all when one of them says none."""
    found: set[str] = set()
    for alternative in _alternatives(schema):
        kind = alternative.get("type") if isinstance(alternative, dict) else None
        if not kind or not _is_type(kind):
            return {*_ANY}
        found.update([kind] if isinstance(kind, str) else kind)
    return found


def _alternatives(schema: Mapping[str, Any]) -> list[Any]:
    found = [schema.get(word) for word in ("anyOf", "oneOf")]
    return [name for several in found if isinstance(several, list) for name in several]


def fields_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a schema names, and those of the parts that it is made of."""
    fields = schema.get("properties")
    named = dict(fields) if isinstance(fields, dict) else {}
    several = schema.get("allOf")
    parts = [*_alternatives(schema), *(several if isinstance(several, list) else ())]
    for part in parts:
        if isinstance(part, dict):
            named = {**fields_of(part), **named}
    return named


def declares(schema: Mapping[str, Any], field: str) -> bool:
    """Return True if a schema names a field, or a field of an object in it.

    A schema that names no fields at all may be of any: it counts as naming each.
    """
    return any(_one_declares(part, field) for part in _own_and_alternatives(schema))


def _one_declares(schema: Mapping[str, Any], field: str) -> bool:
    fields = schema.get("properties")
    if not isinstance(fields, dict) or not fields:
        return True
    if field in fields:
        return True
    head, dot, rest = field.partition(".")
    inner = fields.get(head) if dot else None
    return inner is True or (isinstance(inner, dict) and declares(inner, rest))


def can_have(schema: Mapping[str, Any], field: str) -> bool:
    """Return True if records of a schema can have a field, or an object in them can.

    Only a schema that says `additionalProperties: false` is closed, to all but its own fields and
    those of its parts. A text may hold JSON.
    """
    several = [
        alternative for alternative in _alternatives(schema) if isinstance(alternative, dict)
    ]
    if several and not any(_can_hold(part, field) for part in several):
        return False
    named = fields_of(schema)
    head, dot, rest = field.partition(".")
    if field in named:
        return named[field] is not False
    if dot and head in named:
        return _can_hold(named[head], rest)
    is_open = schema.get("additionalProperties") is not False
    return is_open or _matches(schema.get("patternProperties"), head)


def _can_hold(schema: Any, field: str) -> bool:
    """Return True if a value of a schema can be an object with a field, or a text of one."""
    if not isinstance(schema, dict):
        return schema is not False
    kind = schema.get("type")
    types = [kind] if isinstance(kind, str) else kind
    if isinstance(types, list) and not {"object", "string"} & {*map(str, types)}:
        return False
    return (isinstance(types, list) and "string" in types) or can_have(schema, field)


def _matches(patterns: Any, name: str) -> bool:
    return isinstance(patterns, dict) and any(_is_match(pattern, name) for pattern in patterns)


def _is_match(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # written for another language
        return True


def _own_and_alternatives(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    inside = [alternative for alternative in _alternatives(schema) if isinstance(alternative, dict)]
    yield from inside
    if not inside or schema.get("properties"):
        yield schema
