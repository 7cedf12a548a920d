"""What the setting `streams` says of one stream, and what its user should know of that."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_posthog.errors import FixConfiguration
from target_posthog.formats.entries_met import EntriesMet, hint
from target_posthog.formats.mappings import NEEDED_PARTS, StreamMapping
from target_posthog.formats.schemas import fields_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.formats.fields import StreamFields
    from target_posthog.formats.mappings import StreamMappings
    from target_posthog.formats.selectors import Source
    from target_posthog.model import Json

#: What events of PostHog's exports and API always have.
POSTHOG_FIELDS = frozenset({"event", "distinct_id", "timestamp", "properties"})
_ARE_POSTHOGS = (
    "Stream {0}: its records look like PostHog's own events, and each becomes an event called {0}. "
    "To send them as what they are, set `source_format` to `posthog`."
)


@dataclass(frozen=True)
class StreamEntry:
    """What the user says of a stream; by default nothing.

    Attributes:
        mapping: which fields become what.
        is_left_out: its records are left out.
        warnings: what the user should know before the first record.
        unmet: the parts whose fields the schema does not name, and no record had yet.
    """

    mapping: StreamMapping = field(default_factory=StreamMapping)
    is_left_out: bool = False
    warnings: tuple[str, ...] = ()
    unmet: dict[str, Source] = field(default_factory=dict)

    def note_fields(self, record: Json, entries: EntriesMet) -> None:
        """Note which fields came that the schema does not name."""
        came = [part for part, source in self.unmet.items() if source.first(record) is not None]
        for part in came:
            del self.unmet[part]
            entries.meet("streams", part)


def entry_of(
    stream: str, schema: Json, mappings: StreamMappings, unmapped: str, entries: EntriesMet
) -> StreamEntry:
    """Return what the user says of a stream, and note what of it may come to nothing.

    `unmapped` is what becomes of a stream without a mapping: `fail`, `skip` or `guess`. `entries`
    takes the notes.

    Raises:
        FixConfiguration: it has no entry and must have one, or an entry that cannot act.
    """
    entry = mappings.entry_of(stream)
    if entry is None:
        if unmapped == "fail":
            raise _without_entry(stream, mappings)
        return StreamEntry(is_left_out=unmapped == "skip")
    name, mapping = entry
    entries.meet("streams", name)
    if name == stream and mapping != StreamMapping():
        entries.mapped.add(stream)
    warnings = tuple(_lacking(stream, name, mapping, schema))
    where = f"{stream}: "
    unmet = {f"{where}{part}": source for part, source in mapping.unnamed_in(schema).items()}
    entries.want("streams", unmet)
    for part in mapping.named_in(schema):
        # Also of a schema that grew: what an earlier one did not name was no mistake.
        entries.meet("streams", f"{where}{part}")
    return StreamEntry(mapping, warnings=warnings, unmet=unmet)


def refuse_own_entry(stream: str, mappings: StreamMappings) -> None:
    """Refuse an entry of its own for a stream of Amplitude rows; a glob is for several streams.

    Raises:
        FixConfiguration: it has one.
    """
    entry = mappings.entry_of(stream)
    if entry is not None and entry[0] == stream:
        raise FixConfiguration(
            f"`streams`, {stream}: the stream has Amplitude rows, which have a mapping of their "
            "own.",
            "Take the entry out, or set `source_format` to `fields`.",
        )


def introduction_of(fields: StreamFields, schema: Json, record: Json) -> Iterator[tuple[int, str]]:
    """Yield what to log at a stream's first record, each a level and a text.

    That is what the mapping left open, and what stands for it.
    """
    left_open = fields.left_open(schema)
    found = [f"{part} is {words}" for part, words in left_open.items() if words]
    missing = [part for part, words in left_open.items() if not words]
    if found:
        text = f"by default {', '.join(found)}. The setting `streams` can say otherwise."
        yield logging.INFO, f"Stream {fields.stream}: {text}"
    if missing:
        parts = " and ".join(missing)
        text = f"its schema has no field of a usual name for {parts}: records without are rejected"
        yield logging.WARNING, f"Stream {fields.stream}: {text}. Name one in the setting `streams`."
    if fields.mapping.event is None and POSTHOG_FIELDS.issubset(map(str.lower, record)):
        yield logging.WARNING, _ARE_POSTHOGS.format(fields.stream)


def _without_entry(stream: str, mappings: StreamMappings) -> FixConfiguration:
    there = [name for name, _ in mappings.entries]
    return FixConfiguration(
        f"The stream {stream} has no entry in `streams`{hint(stream, there)} There are entries "
        f"for {', '.join(there) or 'no stream'}.",
        "Add one, deselect the stream in the tap, or set `unmapped_streams` to `skip` or `guess`.",
    )


def _lacking(stream: str, entry: str, mapping: StreamMapping, schema: Json) -> Iterator[str]:
    """Yield what to warn of: fields that a closed schema cannot have.

    A glob is for several streams: not each must have all fields that it names.

    Raises:
        FixConfiguration: the entry is the stream's own, or no record could be an event.
    """
    lacking = mapping.lacking_in(schema)
    if not lacking:
        return
    parts = "; ".join(f"{part} ({fields})" for part, fields in lacking)
    if entry == stream or not NEEDED_PARTS.isdisjoint(part for part, _ in lacking):
        fields = ", ".join(sorted(fields_of(schema))) or "no fields at all"
        raise FixConfiguration(
            f"`streams`, {entry}: the stream {stream} has no field for {parts}.",
            f"It has {fields}. A constant is written {{value: …}}.",
        )
    yield f"`streams`, {entry}: the stream {stream} has no field for {parts}."
