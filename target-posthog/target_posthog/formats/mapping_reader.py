"""Reads the setting `streams`, and tells everything that is wrong with it at once."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeGuard

from target_posthog.errors import FixConfiguration
from target_posthog.formats.mappings import (
    NOBODY,
    PARTS,
    MappedGroup,
    StreamMapping,
    StreamMappings,
)
from target_posthog.formats.selectors import (
    Candidate,
    Constant,
    Pick,
    PickAll,
    Picks,
    Source,
    Together,
    is_glob,
)
from target_posthog.json_codec import loads
from target_posthog.posthog.names import problem_of_name
from target_posthog.posthog.people import legal_id
from target_posthog.posthog.times import storable_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: PostHog takes no more group types in a project (posthog.com, docs/product-analytics/
#: group-analytics).
_MAX_GROUP_TYPES = 5

_PICKED_PARTS = frozenset({"properties", "set", "set_once"})
#: A constant here would make all records one event, or join everybody's persons to one.
_OWN_PARTS = frozenset({"uuid", "alias"})


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and problem_of_name(value) is None


#: What a constant must be, lest every record be rejected for it.
_CONSTANTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "event": ("a name of an event", _is_name),
    "distinct_id": ("an id that a person can have", legal_id),
    "timestamp": ("a time that can be read", storable_time),
}


def read_mappings(streams: Any) -> tuple[StreamMappings, list[str]]:
    """Read the setting.

    Args:
        streams: `{stream or glob: mapping}`, or a list of mappings with `stream` in each: Meltano
            takes a dot in a key apart, so a name with a dot has its place only in a list.

    Returns:
        The mappings, and everything that is wrong with them, each as one sentence.
    """
    problems: list[str] = []
    entries: list[tuple[str, StreamMapping]] = []
    # Read as records are, so that a constant can be sent and a name be found.
    for number, (stream, mapping) in enumerate(_pairs(loads(json.dumps(streams))), 1):
        with _noted(problems):
            _check_entry(number, stream, mapping)
            if any(name == stream for name, _ in entries):
                raise FixConfiguration(
                    f"`streams`: there are two entries for {stream}, of which the second would not "
                    "act.",
                    "",
                )
            parts: dict[str, Any] = {}
            for part, value in mapping.items():
                if value is None or part == "stream":
                    continue
                with _noted(problems):
                    parts[part] = _part(f"`streams`, {stream}, {part}", part, value)
            entries.append((stream, StreamMapping(**parts)))
    return StreamMappings(tuple(entries)), problems


def _pairs(streams: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(streams, dict):
        yield from streams.items()
    elif isinstance(streams, list):
        for stream in streams:
            yield stream.get("stream") if isinstance(stream, dict) else None, stream


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Note what is wrong, and go on."""
    try:
        yield
    except FixConfiguration as error:
        problems.append(str(error))


def _check_entry(number: int, stream: Any, mapping: Any) -> None:
    # Its name is not shown: a secret may have been put into the wrong setting.
    if not isinstance(mapping, dict):
        raise FixConfiguration(f"`streams`: entry {number} is not an object.", "")
    if not isinstance(stream, str) or not stream:
        raise FixConfiguration(f"`streams`: entry {number} does not name its stream.", "")


def _part(where: str, part: str, value: Any) -> Any:
    if part not in PARTS:
        raise FixConfiguration(
            f"{where}: there is no such part; there are {', '.join(PARTS)}.",
            "A stream with a dot in its name goes into the list form.",
        )
    if part in _PICKED_PARTS:
        return _picks(where, value)
    if part == "groups":
        return _groups(where, value)
    if part == "distinct_id" and value is False:
        return NOBODY
    source = _id_of_record(where, value) if part == "uuid" else _source(where, value)
    if part in _OWN_PARTS and any(map(_is_constant, source.candidates)):
        raise FixConfiguration(f"{where} must be a field: it differs from record to record.", "")
    wanted, can_be = _CONSTANTS.get(part, ("", None))
    if can_be and not all(
        can_be(candidate.value) for candidate in source.candidates if _is_constant(candidate)
    ):
        raise FixConfiguration(f"{where}: the constant is not {wanted}.", "")
    return source


def _is_constant(candidate: Candidate) -> TypeGuard[Constant]:
    return isinstance(candidate, Constant)


def _id_of_record(where: str, value: Any) -> Source:
    """Read the source of a uuid, which may also be `{fields: [name, …]}`: several fields in one."""
    if not isinstance(value, dict) or value.keys() == {"value"}:
        return _source(where, value)
    if value.keys() != {"fields"}:
        raise FixConfiguration(
            f"{where} must be a field's name, a list of names, or {{fields: a list of names}}.", ""
        )
    names = value["fields"] if isinstance(value["fields"], list) else [value["fields"]]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise FixConfiguration(f"{where}, fields must be a list of fields' names.", "")
    return Source((names[0] if len(names) == 1 else Together(tuple(names)),))


def _source(where: str, value: Any) -> Source:
    """Read a field's name, a list of candidates, or `{value: …}`."""
    candidates = tuple(map(_candidate, value if isinstance(value, list) else [value]))
    known = tuple(candidate for candidate in candidates if candidate is not None)
    if not known or len(known) < len(candidates):
        raise FixConfiguration(
            f"{where} must be a field's name, a list of names, or {{value: a constant}}.", ""
        )
    return Source(known)


def _candidate(value: Any) -> Candidate | None:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, dict) and value.keys() == {"value"}:
        return Constant(value["value"])
    return None


def _picks(where: str, value: Any) -> Picks:
    """Read the properties: `{name: source}`, or a list of names, globs and `{from, to}`."""
    if isinstance(value, dict):
        return tuple(Pick(to, _source(f"{where}, {to}", given)) for to, given in value.items())
    picks = tuple(_pick(where, given) for given in (value if isinstance(value, list) else [value]))
    names = Counter(pick.to for pick in picks if isinstance(pick, Pick))
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise FixConfiguration(
            f"{where} has two values for the property {', '.join(twice)}.",
            "Give one of them another name with {from, to}.",
        )
    return picks


def _pick(where: str, value: Any) -> Pick | PickAll:
    if isinstance(value, dict) and value.keys() == {"from", "to"} and isinstance(value["to"], str):
        return Pick(value["to"], _source(where, value["from"]))
    if not isinstance(value, str) or not value:
        raise FixConfiguration(
            f"{where} must be {{property: field}}, or a list of fields, globs or {{from, to}}.", ""
        )
    if is_glob(value):
        return PickAll(value)
    return Pick(value.rpartition(".")[2], Source((value,)))


def _groups(where: str, value: Any) -> tuple[MappedGroup, ...]:
    if not isinstance(value, dict):
        raise FixConfiguration(
            f"{where} must be {{group type: field}} or {{group type: {{key, properties}}}}.", ""
        )
    if not all(kind.strip() for kind in value):
        raise FixConfiguration(f"{where} has a group type without a name.", "")
    if len(value) > _MAX_GROUP_TYPES:
        raise FixConfiguration(
            f"{where} has more group types than the {_MAX_GROUP_TYPES} that PostHog takes.", ""
        )
    return tuple(_group(f"{where}, {kind}", kind, given) for kind, given in value.items())


def _group(where: str, kind: str, value: Any) -> MappedGroup:
    if not isinstance(value, dict) or "key" not in value:
        return MappedGroup(kind, _source(where, value))
    parts: Mapping[str, Any] = {"properties": [], **value}
    if parts.keys() != {"key", "properties"}:
        raise FixConfiguration(f"{where} may have a key and properties, and nothing else.", "")
    return MappedGroup(kind, _source(where, parts["key"]), _picks(where, parts["properties"]))
