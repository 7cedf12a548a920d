"""What the user says about the streams of other taps: which fields of which stream become what."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_posthog.field_sources import Pick, PickAll, Source, is_glob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Picks = tuple[Pick | PickAll, ...]


@dataclass(frozen=True)
class MappedGroup:
    """A group of the event.

    Attributes:
        group_type: such as `company`.
        key: which group it is.
        properties: what PostHog is told about the group, or nothing.
    """

    group_type: str
    key: Source
    properties: Picks = ()


@dataclass(frozen=True)
class StreamMapping:
    """What the user says about the streams of one name or glob; None is the usual way.

    Attributes:
        event: the event's name.
        distinct_id: the person.
        timestamp: the event's time.
        uuid: the event's id.
        properties: the event's properties.
        set: person properties that replace older values.
        set_once: person properties that keep the first value.
        groups: the groups that the event belongs to.
        alias: another id of the same person, which is joined to it.
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

    def lacking_in(self, schema: Mapping[str, Any]) -> list[str]:
        """Return what a stream's schema has no field for, such as `distinct_id (buyer)`."""
        return [
            f"{part} ({', '.join(lacking)})"
            for part, sources in self._sources()
            for source in sources
            if (lacking := source.lacking_in(schema))
        ]

    def _sources(self) -> Iterator[tuple[str, Iterable[Source | Pick | PickAll]]]:
        for part in ("event", "distinct_id", "timestamp", "uuid", "alias"):
            source: Source | None = getattr(self, part)
            yield part, () if source is None else (source,)
        yield "properties", self.properties or ()
        yield "set", self.set
        yield "set_once", self.set_once
        for group in self.groups:
            yield f"groups.{group.group_type}", (group.key, *group.properties)


PARTS = tuple(field.name for field in fields(StreamMapping))


@dataclass(frozen=True)
class StreamMappings:
    """All mappings.

    Attributes:
        entries: (stream or glob, mapping), in the user's order.
    """

    entries: tuple[tuple[str, StreamMapping], ...] = ()

    def of(self, stream: str) -> StreamMapping | None:
        """Return a stream's mapping: that of its own name, else that of the first glob."""
        for name, mapping in self.entries:
            if name == stream:
                return mapping
        for pattern, mapping in self._globs:
            if pattern.fullmatch(stream):
                return mapping
        return None

    @cached_property
    def _globs(self) -> list[tuple[re.Pattern[str], StreamMapping]]:
        return [(re.compile(translate(name)), one) for name, one in self.entries if is_glob(name)]
