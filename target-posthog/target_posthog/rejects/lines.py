"""What a line of a rejects file is: a record, an event that we added, or nothing to send. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_posthog.json_codec import loads
from target_posthog.model import AddedEvent, GroupState, Json, Link
from target_posthog.posthog.groups import group_event
from target_posthog.posthog.people import identity_event
from target_posthog.rejects.book_places import place_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.rejects.book_places import BookPlace


@dataclass(frozen=True)
class RecordLine:
    """A record that was rejected.

    Attributes:
        stream: where it came from, when the line says so.
        key_properties: its key, when the line says so.
        mapped_to: the stream that maps made of it.
        needs_no_key: an Amplitude row or a PostHog event, as far as the line says.
        code: why it was rejected.
        place: where the book counts it, when the line says so.
    """

    record: Json
    stream: str | None
    key_properties: tuple[str, ...] = ()
    mapped_to: str | None = None
    needs_no_key: bool = False
    code: str = ""
    place: BookPlace | None = None


@dataclass(frozen=True)
class AddedLine:
    """An identity or group event that PostHog refused.

    Attributes:
        place: of which line of the book it is, when its own line says so.
    """

    event: AddedEvent
    place: BookPlace | None = None


@dataclass(frozen=True)
class OtherLine:
    """A line with nothing to send.

    Attributes:
        is_bad_line: it is a line of a source that is not a record, rejected by `tap-amplitude` or
            out of a batch file; else it is not a line of a rejects file at all.
    """

    is_bad_line: bool


def line_of(raw: bytes) -> RecordLine | AddedLine | OtherLine:
    """Return what a line is; any bytes will do."""
    line = read_line(raw)
    if line is None:
        return OtherLine(is_bad_line=False)
    record, stream = line.get("record"), line.get("stream")
    if not isinstance(record, dict):
        return OtherLine(is_bad_line=line["code"] == "bad_line")
    if line.get("stage") == "send":
        tells = _told_by(line.get("added"), record) or _recognised(record)
        if tells is not None:
            return AddedLine(AddedEvent(record, tells), place_in(line))
    mapped_to = line.get("mapped_to")
    return RecordLine(
        record,
        stream if isinstance(stream, str) else None,
        _key(line),
        mapped_to if isinstance(mapped_to, str) else None,
        needs_no_key="key_properties" not in line,
        code=line["code"],
        place=place_in(line),
    )


def code_of(raw: bytes) -> str | None:
    """Return the code of a line; None when it is not a line of a rejects file."""
    line = read_line(raw)
    return None if line is None else line["code"]


def read_line(raw: bytes) -> Json | None:
    """Return a line as it is, with its `code`; None when it is not a line of a rejects file."""
    try:
        line = loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("code"), str) else None


def _key(line: Mapping[str, Any]) -> tuple[str, ...]:
    names = line.get("key_properties")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _told_by(added: Any, event: Json) -> Link | GroupState | None:
    """Return what an event tells, as its line says it."""
    match added:
        case {"link": [str(user), str(device)]}:
            return Link(user, device)
        case {"group": [str(), str()]}:
            return _group_of(event.get("properties"))
    return None


def _recognised(event: Json) -> Link | GroupState | None:
    """Return what an event tells, of a file whose lines do not say it: by the event's own uuid."""
    properties = event.get("properties")
    if not isinstance(properties, dict):
        return None
    person, time = event.get("distinct_id"), event.get("timestamp")
    if not isinstance(person, str) or not isinstance(time, str):
        return None
    device = properties.get("alias", properties.get("$anon_distinct_id"))
    if isinstance(device, str):
        link = Link(user_id=person, device_id=device)
        made = (identity_event("alias", link, time), identity_event("identify", link, time))
        return link if any(_same(event, other) for other in made) else None
    group = _group_of(properties)
    return group if group and _same(event, group_event(group, person, time)) else None


def _group_of(properties: Any) -> GroupState | None:
    match properties:
        case {"$group_type": str(kind), "$group_key": str(key), "$group_set": dict(state)}:
            return GroupState(kind, key, state)
    return None


def _same(event: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    return all(event.get(part) == made[part] for part in ("uuid", "event"))
