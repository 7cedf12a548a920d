"""What the user says about the streams of other taps: which fields of which stream become what."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_posthog.formats.selectors import Pick, PickAll, Picks, Source, is_glob, picker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.formats.selectors import Picker


@dataclass(frozen=True)
class MappedGroup:
    """A group of the event.

    Attributes:
        group_type: such as `company`.
        key: which group it is.
        properties: what is set on the group, or nothing.
    """

    group_type: str
    key: Source
    properties: Picks = ()

    @cached_property
    def picked(self) -> Picker:
        """Gives what a record sets on the group."""
        return picker(self.properties)


@dataclass(frozen=True)
class StreamMapping:
    """What the user says about the streams of one name or glob; None is the usual way.

    Attributes:
        distinct_id: the person; without any candidate, nobody.
        set: person properties that replace older values.
        set_once: person properties that keep the first value.
        groups: the groups that the event belongs to.
        alias: other ids of the same person, which are joined to it.
    """

    event: Source | None = None
    distinct_id: Source | None = None
    timestamp: Source | None = None
    uuid: Source | None = None
    properties: Picks | None = None
    set: Picks = ()
    set_once: Picks = ()
    groups: tuple[MappedGroup, ...] = ()
    alias: Source | None = None

    def lacking_in(self, schema: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return the parts, and their fields, that records of a schema cannot have."""
        return [
            (part, ", ".join(lacking))
            for part, source in self._sources()
            if (lacking := source.lacking_in(schema))
        ]

    def unnamed_in(self, schema: Mapping[str, Any]) -> dict[str, Source]:
        """Return the parts whose fields a schema does not name, though records may have them."""
        return {words: source for words, source in self._in_words() if source.unnamed_in(schema)}

    def named_in(self, schema: Mapping[str, Any]) -> list[str]:
        """Return the other parts."""
        return [words for words, source in self._in_words() if not source.unnamed_in(schema)]

    def _in_words(self) -> Iterator[tuple[str, Source]]:
        for part, found in self._sources():
            source = found.source if isinstance(found, Pick) else found
            if isinstance(source, Source):
                yield f"{part} ({source})", source

    def _sources(self) -> Iterator[tuple[str, Source | Pick | PickAll]]:
        for part in ("event", "distinct_id", "timestamp", "uuid", "alias"):
            source: Source | None = getattr(self, part)
            if source is not None:
                yield part, source
        for part in ("properties", "set", "set_once"):
            for pick in getattr(self, part) or ():
                yield part, pick
        for group in self.groups:
            for found in (group.key, *group.properties):
                yield f"groups.{group.group_type}", found


#: Parts without which no record of a stream can be an event.
NEEDED_PARTS = frozenset({"event", "distinct_id", "timestamp"})
#: The person of a stream whose records are nobody's.
NOBODY = Source(())

PARTS = tuple(field.name for field in fields(StreamMapping))


@dataclass(frozen=True)
class StreamMappings:
    """All mappings.

    Attributes:
        entries: (stream or glob, mapping), in the user's order.
    """

    entries: tuple[tuple[str, StreamMapping], ...] = ()

    def entry_of(self, stream: str) -> tuple[str, StreamMapping] | None:
        """Return a stream's entry: that of its own name, else that of the first glob."""
        for name, mapping in self.entries:
            if name == stream:
                return name, mapping
        for pattern, entry in self._globs:
            if pattern.fullmatch(stream):
                return entry
        return None

    @cached_property
    def aliases(self) -> frozenset[str]:
        """The fields that hold other ids of a person, in any stream."""
        sources = [mapping.alias for _, mapping in self.entries]
        return frozenset(name for source in sources if source for name in source.fields)

    @cached_property
    def _globs(self) -> list[tuple[re.Pattern[str], tuple[str, StreamMapping]]]:
        return [
            (re.compile(translate(entry[0])), entry) for entry in self.entries if is_glob(entry[0])
        ]
