"""Records and the events that they become, side by side, with the rule behind each property. Pure.

What is shown of an event is what goes out: after the settings, the ledger and the newest rows had
their say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from target_posthog.formats.selectors import object_in
from target_posthog.formats.trace import NO_FIELD, Reason, Trace
from target_posthog.json_codec import loads
from target_posthog.model import is_empty

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.model import Json
    from target_posthog.posthog.events import OutgoingEvent

Fate = Literal["kept", "skipped", "rejected"]

#: Properties that PostHog acts on, whose parts have reasons of their own.
_OPENED = ("$set", "$set_once", "$unset", "$groups", "$group_set")
#: What is left of properties when the ledger or a newer row speaks against them.
_LATER = {
    "user_properties": Reason(
        ("user_properties",), "a newer row has set the person's state: kept on the event"
    ),
    "group_properties": Reason(
        ("group_properties",), "a newer row has set the group's state: kept on the event"
    ),
    "not_joined_id": Reason(NO_FIELD, "the two ids are two users': not joined"),
}
_MOST_SOURCES = 4
#: How a name is shown that is an empty text.
NAMELESS = '""'


class Line(NamedTuple):
    """One line of a pair.

    Attributes:
        source: the field of the record, by its path; several, when the value is made of them.
        value: what it holds, None when that is not one value.
        name: the part or property of the event; None when nothing was made of the field.
        made: its value.
        why: the rule.
    """

    source: str
    value: Any
    name: str | None
    made: Any
    why: str


class Added(NamedTuple):
    """An event that is sent beside a record's."""

    event: Json
    why: str


@dataclass
class Pair:
    """A record, and what becomes of it.

    Attributes:
        trace: which rules made what of it.
        fate: what becomes of it.
        rule: of a skipped record the rule, of a rejected one the code.
        reason: of a rejected one, why, in words.
        event: its event as it goes out; None when there is none.
        added: events that go out beside it.
        is_sent: whether it is in a request. Else a later record stands for it, or it is a repeat.
    """

    stream: str
    record: Json
    trace: Trace
    fate: Fate = "kept"
    rule: str = ""
    reason: str = ""
    event: Json | None = None
    added: list[Added] = field(default_factory=list)
    is_sent: bool = False

    def complete(self, item: OutgoingEvent, added: Sequence[Added]) -> None:
        """Take in the event as it goes out, and those beside it."""
        self.event, self.added = loads(item.body), list(added)

    def lines(self) -> Iterator[Line]:
        """Yield all of the event and of the record: each part once, and what is left."""
        for name, made, reason in self._reasons():
            paths = [self.trace.path_of(source) for source in reason.sources]
            yield Line(_together(paths), self._value(paths), name, made, reason.rule)
        if self.event is None:
            for name, value in self.record.items():
                if not is_empty(value):
                    yield Line(name or NAMELESS, value, None, None, "")
            return
        for source, rule in self.trace.beside.items():
            yield self._left(source, "$groupidentify", rule)
        for source, rule in self.trace.left_out.items():
            yield self._left(source, None, f"left out: {rule}")

    def _left(self, source: str, name: str | None, why: str) -> Line:
        path = self.trace.path_of(source)
        return Line(path or NAMELESS, value_at(self.record, path), name, None, why)

    @property
    def head(self) -> str:
        """What becomes of the record, in words."""
        if self.fate == "kept":
            return "kept" if self.is_sent else "not sent again: another of the same uuid is"
        how = "skipped by" if self.fate == "skipped" else "rejected as"
        return f"{how} `{self.rule}`" + (f": {self.reason}" if self.reason else "")

    @property
    def empty(self) -> list[str]:
        """The fields of the record that hold nothing."""
        return [name for name, value in self.record.items() if is_empty(value)]

    def _reasons(self) -> Iterator[tuple[str, Any, Reason]]:
        """Yield name, value and reason of each part and property of the event."""
        if self.event is None:
            return
        for part, reason in self.trace.parts.items():
            yield part, self.event[part], reason
        for name, value in self.event["properties"].items():
            if name in _OPENED and isinstance(value, dict) and value:
                for key, inner in value.items():
                    yield f"{name}.{key}", inner, self.trace.inside[name, key]
            else:
                yield name, value, self._reason(name)
        for name in self.event.keys() - self.trace.parts.keys() - {"properties"}:
            yield name, self.event[name], Reason(NO_FIELD, "`protocol`")

    def _reason(self, name: str) -> Reason:
        """Return why the event has a property, in the end."""
        known = self.trace.properties.get(name)
        if known is not None:
            return known
        bare = name
        while bare.startswith("$amplitude_"):
            bare = bare.removeprefix("$amplitude_")
        return _LATER.get(bare, Reason(NO_FIELD, "`protocol`"))

    def _value(self, paths: Sequence[str]) -> Any:
        return value_at(self.record, paths[0]) if len(paths) == 1 else None


def _together(paths: Sequence[str]) -> str:
    if len(paths) > _MOST_SOURCES:
        return "the whole record"
    return ", ".join(path or NAMELESS for path in paths)


def value_at(record: Json, path: str) -> Any:
    """Return what a record holds at a path of a trace; None when there is no such place."""
    if path in record:
        return record[path]
    head, dot, rest = path.partition(".")
    inner = object_in(record.get(head)) if dot else None
    return value_at(inner, rest) if isinstance(inner, dict) else None
