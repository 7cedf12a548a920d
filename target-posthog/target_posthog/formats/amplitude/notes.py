"""What the rules of this room note for a preview; see `formats/trace.py`.

The words of a rule are those of the table of fields, as docs/mapping.md has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.common.derived_uuids import identity_fields
from target_posthog.formats.amplitude import values
from target_posthog.formats.amplitude.fields import EVENT_PREFIX, FIELDS, USER_PREFIX, Platform
from target_posthog.formats.amplitude.times import source_of_time
from target_posthog.formats.trace import (
    NO_FIELD,
    SKIPPED,
    Reason,
    Reasons,
    note_left_out,
    reasons_of_renames,
)
from target_posthog.posthog.library import MIGRATION_MARKS
from target_posthog.posthog.uuids import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from target_posthog.formats.amplitude.identity import Person
    from target_posthog.formats.names import EventNames, Renames
    from target_posthog.formats.trace import Trace
    from target_posthog.model import Json

    #: Takes PostHog's name, the source that counts, and what converts it.
    TableNote = Callable[[str, str, Callable[[Any], Any]], None]

#: Fields that do not fit the place of their own: what such a property is called, what it is made
#: of, and why.
MISPLACED: dict[str, Reason] = {
    "event_properties": Reason(("event_properties",), "no object: kept as it is"),
    "user_properties": Reason(("user_properties",), "not set on the person: kept on the event"),
    "group_properties": Reason(("group_properties",), "not all of it tells of a group: kept"),
    "event_time": Reason(("event_time",), "not the event's time: kept"),
    "$amplitude_uuid": Reason(("uuid",), "no uuid: kept as it is"),
    "$amplitude_event_type": Reason(("event_type",), "the event was renamed: its name is kept"),
}
_USER = ("user_properties",)
#: What is said of the event beside what the row holds.
_ADDED = {
    "$session_id": Reason(
        ("session_id", "device_id"), "a UUIDv7 of the session's start and the device"
    ),
    "$groups": Reason(("groups",), "the first key of each group type"),
    "$set": Reason(_USER, "set on the person, unless a newer row has set it"),
    "$set_once": Reason(_USER, "set on the person, unless it is known already"),
    "$unset": Reason(_USER, "taken from the person"),
    "$process_person_profile": Reason(NO_FIELD, "`person_profiles`: the event makes no person"),
}
_MARK = Reason(NO_FIELD, "on every event")
_OPERATIONS = Reason(_USER, "done as the Identify API's operations say")
_PERSON = {
    "user_id": "the user",
    "device_id": "the device: there is no legal user_id",
    "amplitude_id": "`amplitude:` and this: there is no legal user_id or device_id",
}
_TIME = "in UTC; the first time that can be read and can be meant"
_WHOLE = "a UUIDv5 of the whole row"
_FIRST_VALUE = "a first value of the person"
_PLATFORMS = {Platform.WEB: "web", Platform.MOBILE: "mobile", Platform.SERVER: "server"}


def words_of(convert: Callable[[Any], Any]) -> str:
    """Return what a converter does: the first sentence of its docstring."""
    if convert is values.as_is:
        return "as it is"
    documentation = " ".join((convert.__doc__ or "").split("\n\n")[0].split())
    return documentation.removeprefix("Return ").rstrip(".")


def table_note(trace: Trace, prefix: str = "") -> TableNote:
    """Return what notes the rows of the table that count.

    The prefix is `EVENT_PREFIX`, `USER_PREFIX`, or empty for fields of the row.
    """

    def note(name: str, source: str, convert: Callable[[Any], Any]) -> None:
        source = prefix + source
        row = next(
            row
            for row in FIELDS
            if row.name == name and row.convert is convert and source in row.sources
        )
        where = _PLATFORMS.get(row.when)
        words = words_of(convert) if where is None else f"on {where}: {words_of(convert)}"
        trace.properties[name] = Reason((source,), f"{words}; {row.note}" if row.note else words)

    return note


def note_columns(trace: Trace, misspelt: Mapping[str, str], left_out: Collection[str]) -> None:
    """Note the columns that have a field's name in another spelling, and those left out."""
    trace.columns = {field: column for column, field in misspelt.items()}
    trace.leave_out((trace.columns[field] for field in left_out), SKIPPED)


def note_parts(
    trace: Trace,
    row: Mapping[str, Any],
    origin: Mapping[str, Any],
    names: EventNames,
    person: Person,
) -> None:
    """Note why the event has its name, person, time and id."""
    time, own = source_of_time(row), canonical_uuid(row.get("uuid"))
    assert time is not None  # noqa: S101 - else there is no event
    made_of = identity_fields(origin)
    of_row = Reason(made_of, "a UUIDv5 of these") if made_of else Reason(tuple(origin), _WHOLE)
    trace.parts = {
        "event": Reason(("event_type",), names.rule_of(row["event_type"])),
        "distinct_id": Reason((person.source,), _PERSON[person.source]),
        "timestamp": Reason((time[0],), _TIME),
        "uuid": of_row if own is None else Reason(("uuid",), "the row's own"),
    }


def note_user(
    trace: Trace,
    user: Mapping[str, Any],
    renames: Renames,
    initial: Iterable[tuple[str, str]],
    updates: Mapping[str, Json] | None,
) -> None:
    """Note what is set on the person, and which of the user's properties are left out.

    `updates` is None when nothing is set on the person.
    """
    pairs = [(name, name) for name in user] if renames is None else renames
    note_left_out(trace, user, pairs, USER_PREFIX)
    state = reasons_of_renames(pairs, USER_PREFIX)
    first = {new: Reason((USER_PREFIX + old,), _FIRST_VALUE) for old, new in initial}
    for holder, held in (updates or {}).items():
        reasons = {**state, **first} if holder == "$set_once" else state
        trace.inside.update({(holder, name): reasons[name] for name in held})


def note_operations(
    trace: Trace,
    user: Mapping[str, Any],
    wanted: Mapping[str, Any],
    updates: Mapping[str, Any] | None,
) -> None:
    """Note what operations tell of the person, and what of them is left out."""
    for name, operation in user.items():
        if isinstance(operation, dict):
            left = operation.keys() - wanted[name].keys()
            trace.leave_out((f"{USER_PREFIX}{name}.{inner}" for inner in left), SKIPPED)
    for holder, held in (updates or {}).items():
        trace.inside.update({(holder, name): _OPERATIONS for name in held})


def note_added(trace: Trace, added: Mapping[str, Any]) -> None:
    """Note what is added of the event's session, groups and person, and the marks."""
    trace.properties.update({name: _ADDED[name] for name in added})
    for group_type in added.get("$groups", ()):
        trace.inside["$groups", group_type] = Reason((f"groups.{group_type}",), "its first key")
    trace.properties.update(dict.fromkeys(MIGRATION_MARKS, _MARK))


def note_group_updates(trace: Trace) -> None:
    """Note that the row's group properties fit groups."""
    trace.beside["group_properties"] = "`$groupidentify` of the newest row, once for each change"


def reasons_of_customer(trace: Trace, customer: Mapping[str, Any], renames: Renames) -> Reasons:
    """Return why the event has its own properties, and note which are left out."""
    pairs = [(name, name) for name in customer] if renames is None else renames
    note_left_out(trace, customer, pairs, EVENT_PREFIX)
    return reasons_of_renames(pairs, EVENT_PREFIX)


def moved_aside(name: str) -> str:
    """Return by which rule a value does not have the name that it would have."""
    return f"moved aside: `{name}` is taken, or PostHog acts on it"
