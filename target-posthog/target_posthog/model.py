"""What becomes of one record: an event, a skip by a named rule, or a rejection with a code.

Every source format (`amplitude/`, `posthog_events`, `stream_fields`) answers with one of these
three, so that exported = accepted + skipped + rejected can always be added up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from target_posthog.json_codec import loads

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]

#: Only what comes from Amplitude is marked as its history; other taps' records are not.
Source = Literal["amplitude"] | None


class StreamRecord(dict[str, Any]):
    """A record whose event depends on its stream; a rejects file tells it, to send it again.

    Attributes:
        stream: the stream's name.
        key_properties: its key.
    """

    __slots__ = ("key_properties", "stream")

    def __init__(self, record: Json, stream: str, key_properties: Sequence[str]) -> None:
        super().__init__(record)
        self.stream = stream
        self.key_properties = key_properties


class StreamLine(msgspec.Struct, gc=False):
    """The JSON of such a record. Of thousands on their way it is a fraction of what they are read.

    Attributes:
        line: the JSON.
        stream, key_properties: as of a `StreamRecord`.
    """

    line: bytes
    stream: str
    key_properties: tuple[str, ...]


class Link(msgspec.Struct, frozen=True, eq=False, gc=False, array_like=True):
    """One legal (user, device) pair that a record shows: the device may be joined to the user.

    Attributes:
        user_id: who.
        device_id: which device, or another id of the same person.
        source: what the event that tells of it says as `analytics_source`.
    """

    user_id: str
    device_id: str
    source: Source = "amplitude"

    def __eq__(self, other: object) -> bool:
        """Return True if both are of the same ids, whatever the source."""
        if not isinstance(other, Link):
            return NotImplemented
        return (self.user_id, self.device_id) == (other.user_id, other.device_id)

    def __hash__(self) -> int:
        """Return the hash of the ids."""
        return hash((self.user_id, self.device_id))


@dataclass(frozen=True)
class GroupState:
    """The properties of one group at the time of a record; `source` as in `Link`."""

    group_type: str
    group_key: str
    properties: Json = field(hash=False)
    source: Source = field(default="amplitude", compare=False)


class Converted(NamedTuple):
    """An event as PostHog's `/batch/` takes it, and what it tells about people and groups.

    Attributes:
        event: `{"uuid", "event", "distinct_id", "timestamp", "properties"}`, all texts but the
            last; `timestamp` is RFC 3339 in UTC with six decimals and `Z`.
        link: the pair that this record shows, when both ids are legal.
        groups: the groups whose properties this record carries.
        user: the user that a record of another tap names, legal; an Amplitude row's is found in
            its event.
        also: further pairs that the record shows.
        joins: the event itself asks PostHog to join the pair.
        order: the row's place among the rows of its person and groups; see `Item`.
        sets: the event sets properties on its person.
    """

    event: Json
    link: Link | None = None
    groups: tuple[GroupState, ...] = ()
    user: str | None = None
    also: tuple[Link, ...] = ()
    joins: bool = False
    order: bytes = b""
    sets: bool = False


@dataclass(frozen=True)
class Skipped:
    """A record that is left out on purpose, by the rule of this name."""

    rule: str


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be an event.

    Attributes:
        code: one of `rejects.CODES`.
        reason: one sentence for the user; goes to the rejects file, never to a log.
        stage: where it was rejected, for the rejects file.
    """

    code: str
    reason: str
    stage: str = field(default="convert", compare=False)


Conversion = Converted | Skipped | Rejected


def whole_record(record: Json | bytes | StreamLine) -> Json:
    """Return a record that may be its JSON."""
    if isinstance(record, StreamLine):
        return StreamRecord(loads(record.line), record.stream, record.key_properties)
    return loads(record) if isinstance(record, bytes) else record
