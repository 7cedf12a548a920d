"""What a preview says of the records of other taps: which field, by which part of `streams`.

It asks the sources and picks that made the event; see `trace`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.formats.ids import first_id
from target_posthog.formats.selectors import Pick, PickAll, names_of, picker
from target_posthog.formats.trace import NO_FIELD, OWN_NAME, SKIPPED, Reason, Reasons
from target_posthog.model import is_empty
from target_posthog.posthog.library import OWN_LIB
from target_posthog.posthog.times import storable_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from target_posthog.formats.mappings import StreamMapping
    from target_posthog.formats.names import PropertyNames
    from target_posthog.formats.selectors import Candidate, Picks, Source
    from target_posthog.formats.stream_people import Group
    from target_posthog.formats.trace import Trace
    from target_posthog.model import Json

_EVERY = "on every event"
_WHOLE = "a UUIDv5 of the whole record"


def note_parts(
    trace: Trace,
    mapping: StreamMapping,
    record: Mapping[str, Any],
    sources: Mapping[str, Source],
    groups: Sequence[Group],
) -> None:
    """Note why an event has its name, person, time and id.

    `sources` are where person, time and id are found; none for what is made.
    """
    nobody = Reason(NO_FIELD, "the record is nobody's: an id that no person has")
    if groups:
        nobody = Reason(_fields_of(groups[0].mapped.key, record), "the group that it tells of")
    trace.parts = {
        "event": Reason(NO_FIELD, "the stream's name"),
        "distinct_id": nobody,
        "uuid": Reason(tuple(record), _WHOLE),
    }
    if mapping.event is not None:
        trace.parts["event"] = Reason(_fields_of(mapping.event, record), "`streams`: event")
    for part, found in (
        ("distinct_id", _person(sources["distinct_id"], record)),
        ("timestamp", _time(sources["timestamp"], record)),
        ("uuid", next((candidate for candidate, _ in sources["uuid"].found(record)), None)),
    ):
        if found is not None:
            is_named = getattr(mapping, part) is not None
            rule = f"`streams`: {part}" if is_named else "found by its usual name"
            trace.parts[part] = Reason(names_of(found), rule)


def note_properties(
    trace: Trace,
    mapping: StreamMapping,
    record: Mapping[str, Any],
    properties: Json,
    groups: Sequence[Group],
) -> None:
    """Note why an event has its properties."""
    picks, why = mapping.properties, _own(mapping, record)
    inside: dict[str, Reasons] = {
        "$set": _picked(mapping.set, record, "set"),
        "$set_once": _picked(mapping.set_once, record, "set_once"),
        "$groups": {
            group.mapped.group_type: Reason(
                _fields_of(group.mapped.key, record), "`streams`: groups"
            )
            for group in groups
        },
    }
    for holder, parts in inside.items():
        held = properties.get(holder)
        if isinstance(held, dict):
            own = why.get(holder, Reason((holder,), OWN_NAME))
            trace.inside |= {(holder, name): parts.get(name, own) for name in held}
            if parts:
                rule = f"`streams`: {holder.removeprefix('$')}"
                why[holder] = Reason(own.sources if holder in why else NO_FIELD, rule)
    made = {"$geoip_disable": _EVERY, "$process_person_profile": "the event makes no person"}
    if is_empty((picker(picks)(record) if picks is not None else record).get("$lib")):
        made |= dict.fromkeys(OWN_LIB, "the record names no library")
    why |= {name: Reason(NO_FIELD, rule) for name, rule in made.items()}
    trace.properties = {name: why[name] for name in properties}
    note_groups(trace, record, groups)


def note_group_event(
    trace: Trace,
    mapping: StreamMapping,
    record: Mapping[str, Any],
    properties: Json,
    groups: Sequence[Group],
) -> None:
    """Note why a `$groupidentify` that stands for a record has its properties; as above."""
    first, *others = groups
    picked = _picked(first.mapped.properties, record, "groups") or _own(mapping, record)
    trace.inside = {("$group_set", name): picked[name] for name in properties["$group_set"]}
    trace.properties = dict.fromkeys(properties, Reason(NO_FIELD, _EVERY)) | {
        "$group_type": Reason(NO_FIELD, "`streams`: groups"),
        "$group_key": Reason(_fields_of(first.mapped.key, record), "`streams`: groups"),
        "$group_set": Reason(NO_FIELD, "set on the group"),
    }
    note_groups(trace, record, others)


def note_groups(trace: Trace, record: Mapping[str, Any], groups: Sequence[Group]) -> None:
    """Note which fields tell of groups."""
    for group in groups:
        for reason in _picked(group.mapped.properties, record, "groups").values():
            trace.beside.update(dict.fromkeys(reason.sources, "set on its group"))


def note_the_rest(trace: Trace, mapping: StreamMapping, record: Mapping[str, Any]) -> None:
    """Note the fields of which nothing is taken, by the mapping or because they are ours."""
    rule = "`streams`: not taken" if mapping.properties is not None else "written by this target"
    reasons = (*trace.parts.values(), *trace.properties.values(), *trace.inside.values())
    reasons = tuple(reason for reason in reasons if reason.rule != _WHOLE)
    used = {source.partition(".")[0] for reason in reasons for source in reason.sources}
    used |= {source for reason in reasons for source in reason.sources}
    used |= {path.partition(".")[0] for path in trace.beside}
    trace.leave_out((name for name in record if name not in used), rule)


def note_settings(trace: Trace, names: PropertyNames, before: Json, after: Json) -> None:
    """Note what the settings of properties made of those that an event had.

    `before` has the properties as the mapping makes them, `after` as the settings want them.
    """
    why, inside = trace.properties, trace.inside
    of_person = (why[name] for name in _OF_PERSON if name in why)
    sources = [source for reason in (*of_person, *inside.values()) for source in reason.sources]
    held_back = Reason(
        tuple(dict.fromkeys(sources)), "`user_properties`: not set on the person as it is"
    )
    renamed = _renamed(before, names)
    trace.properties = {
        name: why[name] if name in before else _after(name, renamed, why, held_back)
        for name in after
    }
    kept = {renamed[name] for name in after if name in renamed}
    for name in before.keys() - after.keys() - kept - _HOLDERS:
        trace.leave_out(why[name].sources, SKIPPED)
    known = {name: reason for (_, name), reason in inside.items()}
    renamed = _renamed(known, names)
    trace.inside = {
        (holder, name): inside.get((holder, name), known.get(name))
        or _after(name, renamed, known, held_back)
        for holder in _HOLDERS & after.keys()
        if isinstance(after[holder], dict)
        for name in after[holder]
    }
    still = {source for reason in trace.inside.values() for source in reason.sources}
    if "user_properties" in after and "user_properties" not in before:
        still |= {source for reason in inside.values() for source in reason.sources}
    for reason in inside.values():
        trace.leave_out((source for source in reason.sources if source not in still), SKIPPED)


def _renamed(properties: Iterable[str], names: PropertyNames) -> dict[str, str]:
    """Return the old name by each new one that the user wants."""
    return {names.renames[name]: name for name in properties if name in names.renames}


def _after(name: str, renamed: Mapping[str, str], why: Reasons, other: Reason) -> Reason:
    if name not in renamed:
        return other
    return Reason(why[renamed[name]].sources, f"renamed by `property_names` ({renamed[name]})")


_OF_PERSON = ("$set", "$set_once", "$unset")
#: The properties that update people and groups.
_HOLDERS = frozenset({"$set", "$set_once", "$groups", "$group_set"})


def _own(mapping: StreamMapping, record: Mapping[str, Any]) -> Reasons:
    """Return why an event has the properties that it takes of its record."""
    if mapping.properties is None:
        return {name: Reason((name,), OWN_NAME) for name in record}
    return _picked(mapping.properties, record, "properties")


def _picked(picks: Picks, record: Mapping[str, Any], part: str) -> Reasons:
    """Return why there are picked properties; of two of one name the first counts."""
    reasons: Reasons = {}
    for pick in picks:
        for name in picker((pick,))(record):
            reasons.setdefault(
                name, Reason(tuple(_of_pick(pick, name, record)), f"`streams`: {part}")
            )
    return reasons


def _of_pick(pick: Pick | PickAll, name: str, record: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(pick, Pick):
        yield from _fields_of(pick.source, record)
    else:
        inside, dot, _ = pick.glob.rpartition(".")
        yield f"{inside}{dot}{name}"


def _fields_of(source: Source, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields of the candidate that counts; none of a constant."""
    return next((names_of(candidate) for candidate, _ in source.found(record)), NO_FIELD)


def _person(source: Source, record: Mapping[str, Any]) -> Candidate | None:
    found = first_id(source, record)
    return None if found is None else found[1]


def _time(source: Source, record: Mapping[str, Any]) -> Candidate | None:
    return next(
        (candidate for candidate, read in source.readers if storable_time(read(record))), None
    )
