"""What becomes of one record: an event, a skip by a named rule, or a rejection with a code.

Every source format (`amplitude/`, `posthog_events`, `stream_fields`) answers with one of these
three, so that exported = accepted + skipped + rejected can always be added up.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from target_posthog.json_codec import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Json = dict[str, Any]

#: Only what comes from Amplitude is marked as its history; other taps' records are not.
Source = Literal["amplitude"] | None


class StreamRecord(dict[str, Any]):
    """A record whose event depends on its stream; a rejects file tells it, to send it again."""

    __slots__ = ("key_properties", "stream")

    def __init__(self, record: Json, stream: str, key_properties: Sequence[str]) -> None:
        super().__init__(record)
        self.stream = stream
        self.key_properties = key_properties


class MappedRecord(dict[str, Any]):
    """A record as it came, whose event is made of what stream maps or flattening make of it.

    Attributes:
        stream: the stream that it came in.
        key_properties: its key; None of an Amplitude row or a PostHog event, which need none.
        mapped_to: the stream that it comes out as.
    """

    __slots__ = ("key_properties", "mapped_to", "stream")

    def __init__(
        self, record: Json, stream: str, key_properties: Sequence[str] | None, mapped_to: str
    ) -> None:
        super().__init__(record)
        self.stream = stream
        self.key_properties = key_properties
        self.mapped_to = mapped_to


class StreamLine(msgspec.Struct, gc=False):
    """The JSON of such a record. Of thousands on their way it is a fraction of what they are read.

    Attributes:
        line: the JSON.
        stream, key_properties: as of a `StreamRecord`.
    """

    line: bytes
    stream: str
    key_properties: tuple[str, ...]


class BlockOfLines:
    """Lines that follow each other in a file.

    Args:
        raw: the lines with their ends.
        is_whole: whether they begin and end where lines do. Else they are a part of a long line.
        known: returns a record as the rejects file wants it.
        stream: whose records they are.
        read_again: returns the lines again, so that they need not stay in memory; see `let_go`.
    """

    def __init__(
        self,
        raw: bytes,
        *,
        is_whole: bool = True,
        known: Callable[[Json], Any] | None = None,
        stream: str = "",
        read_again: Callable[[], bytes] | None = None,
    ) -> None:
        self.stream = stream
        self.is_whole = is_whole
        self.known = known
        self._raw: bytes | None = raw
        self._read_again = read_again
        self._lines: list[bytes] | None = None

    def let_go(self) -> None:
        """Hold the lines no longer, if they can be read again."""
        if self._read_again is not None:
            self._raw = self._lines = None

    def lines(self) -> list[bytes]:
        """Return the lines with their ends.

        Raises:
            TargetPosthogError: they cannot be read again.
        """
        if self._raw is None:
            assert self._read_again is not None  # noqa: S101 - see `let_go`
            return lines_of(self._read_again())
        return lines_of(self._raw)

    def line(self, index: int) -> bytes:
        """Return one line; few are ever asked for, so the block is cut at the first.

        Raises:
            TargetPosthogError: see `lines`.
        """
        if self._lines is None:
            self._lines = self.lines()
        return self._lines[index]

    def record(self, index: int) -> Any:
        """Return the record of a line, as the rejects file wants it."""
        record = loads(self.line(index))
        return record if self.known is None else self.known(record)


def lines_of(raw: bytes) -> list[bytes]:
    """Return the lines of a text with their ends: to take them off is to copy."""
    # `split` looks at each byte; this finds the ends three times as fast.
    return io.BytesIO(raw).readlines()


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


class AddedEvent(dict[str, Any]):
    """An identity or group event that the target added; a rejects file says which, to replay it.

    Attributes:
        tells: the pair that it joins, or the group state that it tells.
    """

    __slots__ = ("tells",)

    def __init__(self, event: Json, tells: Link | GroupState) -> None:
        super().__init__(event)
        self.tells = tells


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
        order: the row's place among the rows of its person and groups; see `OutgoingEvent`.
        sets: the event sets properties on its person.
        origin: see `OutgoingEvent`.
    """

    event: Json
    link: Link | None = None
    groups: tuple[GroupState, ...] = ()
    user: str | None = None
    also: tuple[Link, ...] = ()
    joins: bool = False
    order: bytes = b""
    sets: bool = False
    origin: bytes = b""


@dataclass(frozen=True)
class Skipped:
    """A record that is left out on purpose, by the rule of this name."""

    rule: str


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be an event.

    Attributes:
        code: one of `rejects.codes.CODES`.
        reason: one sentence for the user; goes to the rejects file, never to a log.
        stage: where it was rejected, for the rejects file.
    """

    code: str
    reason: str
    stage: str = field(default="convert", compare=False)


Conversion = Converted | Skipped | Rejected


def is_empty(value: Any) -> bool:
    """Tell whether a field holds nothing: null, or an empty text, object or list."""
    return not value and value not in _ZERO


#: False, 0.0 and -0.0 are equal to it.
_ZERO = (0,)


def whole_record(record: Json | bytes | StreamLine) -> Json:
    """Return a record that may be its JSON."""
    if isinstance(record, StreamLine):
        return StreamRecord(loads(record.line), record.stream, record.key_properties)
    return loads(record) if isinstance(record, bytes) else record
