"""What the target and its workers tell each other: a block of lines there, what became of it back.

Lines and answers go through memory that both share; their pipe says only where and how long they
are. So neither ever waits for the other to read, and nothing is copied twice. An answer is
MessagePack, which costs half a microsecond for an event.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from target_posthog.delivery.measures import Measures
from target_posthog.posthog.events import OutgoingEvent  # noqa: TC001 - msgspec reads the types

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_posthog.model import Json


@dataclass(frozen=True)
class BlockStream:
    """What a worker must know of a stream to convert its records.

    Attributes:
        of_records: its lines came as RECORD messages; see `intake.Intake`.
    """

    name: str
    schema: Json
    key_properties: tuple[str, ...]
    of_records: bool = False


@dataclass(frozen=True)
class Task:
    """What a worker must know of a block of lines.

    Attributes:
        slot: where the lines stand in the memory that is shared; the answer goes there, too.
        size: how many bytes they have.
        stream: the number of their stream.
        latest_time: see `posthog.events.prepare`.
        introduces: the stream, when the worker has not met its number.
    """

    slot: int
    size: int
    stream: int
    latest_time: str
    introduces: BlockStream | None = None


class LeftOut(msgspec.Struct, array_like=True, gc=False):
    """A line of a block that is no event.

    Attributes:
        index: which line.
        stage: where it was rejected; empty when it is skipped.
        code: why, by name: the code of a reject, or the rule by which it is skipped.
        reason: the same in words.
        origin: see `OutgoingEvent`.
        check: see `books.samples.check_of`.
    """

    index: int
    stage: str
    code: str
    reason: str = ""
    origin: bytes = b""
    check: int = 0


class ConvertedBlock(msgspec.Struct, array_like=True, tag=1):
    """What became of the lines of a block.

    Attributes:
        lines: how many lines there are.
        items: the events, in order.
        left_out: the other lines, in order.
        unread: the lines that are not one JSON object each.
        met: the entries of settings that the worker's rows met something for, when there are new.
        said: what to log, each a level and a text.
        measures: of the events.
    """

    lines: int
    items: list[OutgoingEvent]
    left_out: list[LeftOut] = msgspec.field(default_factory=list)
    unread: list[int] = msgspec.field(default_factory=list)
    met: list[tuple[str, str]] = msgspec.field(default_factory=list)
    said: list[tuple[int, str]] = msgspec.field(default_factory=list)
    measures: Measures = msgspec.field(default_factory=Measures)


class Failed(msgspec.Struct, array_like=True, tag=2):
    """The worker cannot go on, for a reason that the user can do something about.

    Attributes:
        kind: the name of the error's class.
        happened, remedy: its words.
    """

    kind: str
    happened: str
    remedy: str


class Broke(msgspec.Struct, array_like=True, tag=3):
    """The worker cannot go on because of a bug; where it happened, without what it held."""

    kind: str
    place: str


Answer: TypeAlias = ConvertedBlock | Failed | Broke

_encode: Callable[[Answer], bytes] = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes | memoryview], Answer] = msgspec.msgpack.Decoder(Answer).decode
#: How a pickle begins, and no MessagePack of an answer.
_PICKLE = b"\x80"


def encoded(answer: Answer) -> bytes:
    """Return an answer as bytes."""
    try:
        return _encode(answer)
    except (OverflowError, UnicodeError, RecursionError):
        # A group's properties hold what MessagePack has not, such as an integer beyond 64 bits.
        return pickle.dumps(answer)


def decoded(text: bytes | memoryview) -> Answer:
    """Return the answer that a worker, a copy of this process, has made bytes of."""
    if text[:1] == _PICKLE:
        answer: Answer = pickle.loads(text)  # noqa: S301 - by our own process
        return answer
    return _decode(text)
