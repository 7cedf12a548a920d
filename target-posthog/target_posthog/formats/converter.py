"""The records of one stream into events, by the format that they have.

The target's process and its workers convert with the same: `sinks` gives it single records,
`worker` the lines of batch files.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from target_posthog.cache import Memo
from target_posthog.common.amplitude_columns import field_name
from target_posthog.formats import posthog_events
from target_posthog.formats.amplitude.compiled_fields import MAX_KEY_LENGTH
from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.amplitude.fast.convert import FastRows
from target_posthog.formats.amplitude.origins import origin_of_row
from target_posthog.formats.entries_met import AMPLITUDE_ROWS, OTHER_RECORDS, EntriesMet
from target_posthog.formats.fast_fields import FastFields
from target_posthog.formats.fields import StreamFields
from target_posthog.formats.mapping_reader import read_mappings
from target_posthog.formats.mappings import StreamMapping
from target_posthog.formats.options import Options
from target_posthog.formats.posthog_notes import note_event
from target_posthog.formats.property_settings import PropertySettings
from target_posthog.formats.stream_entry import (
    StreamEntry,
    entry_of,
    introduction_of,
    refuse_own_entry,
)
from target_posthog.formats.stream_notes import note_settings
from target_posthog.model import Converted, Skipped, StreamLine, StreamRecord
from target_posthog.settings import OWN_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from target_posthog.formats.mappings import StreamMappings
    from target_posthog.formats.trace import Trace
    from target_posthog.model import Conversion, Json
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.settings import Settings

#: `meltano config test` sends this stream to see whether a loader works; it is nobody's event.
MELTANO_TEST_STREAM = "meltano_test_stream"

_UNMAPPED = Skipped("unmapped_streams")

#: What `source_format: auto` knows Amplitude's rows by, in the stream's schema or in the row,
#: in any spelling that `foreign_rows` reads.
AMPLITUDE_FIELDS = frozenset({"event_type", "amplitude_id"})
#: What the SDK takes out of the records of RECORD messages, unless it is to add it (singer_sdk
#: sinks/core.py, `_remove_sdc_metadata_from_record`). The records of BATCH files are the same.
METADATA = frozenset(
    {
        "_sdc_batched_at",
        "_sdc_deleted_at",
        "_sdc_extracted_at",
        "_sdc_received_at",
        "_sdc_sequence",
        "_sdc_sync_started_at",
        "_sdc_table_version",
    }
)
#: For how many sets of names the answer is remembered.
_MAX_SPELLINGS = 32


class FastConverter(Protocol):
    """Converts lines of one stream together."""

    def events_of(self, lines: Sequence[bytes]) -> list[OutgoingEvent | None]:
        """Return the event of each line, as `/batch/` takes it, or None when it is not usual."""


class Conversions:
    """What the settings say of the conversion, for all streams."""

    def __init__(self, settings: Settings) -> None:
        self.options = Options.of(settings)
        self.amplitude = Amplitude(self.options)
        self.source_format = settings.source_format
        #: Whether the SDK adds columns to records, which then are the user's.
        self.adds_metadata = settings.adds_metadata
        self.mappings: StreamMappings
        self.mappings, _ = read_mappings(settings.streams)
        self.property_settings = PropertySettings(self.options)
        usual = "fail" if self.mappings.entries else "guess"
        #: What becomes of a stream without an entry: `fail`, `skip` or `guess`.
        self.unmapped = settings.unmapped_streams or usual
        self.entries = EntriesMet.of(settings, self.options)

    def entry_of(self, stream: str, schema: Json, *, has_rows: bool) -> StreamEntry:
        """Return what the user says of a stream.

        Raises:
            FixConfiguration: see `stream_entry`.
        """
        if stream == MELTANO_TEST_STREAM or self.source_format in OWN_FORMATS:
            return StreamEntry()
        if has_rows:
            refuse_own_entry(stream, self.mappings)
            return StreamEntry()
        return entry_of(stream, schema, self.mappings, self.unmapped, self.entries)


class Converter:
    """Converts the records of one stream.

    Args:
        say: logs what the user should know of the stream, a level and a text.

    Attributes:
        warnings: what the user should know before the first record.

    Raises:
        FixConfiguration: the stream's mapping cannot act, or it has none and must.
    """

    def __init__(
        self,
        conversions: Conversions,
        stream: str,
        schema: Json,
        key_properties: Sequence[str],
        say: Callable[[int, str], None],
    ) -> None:
        self._stream = stream
        self._schema = schema
        self._options = conversions.options
        self._amplitude = conversions.amplitude
        self._format = conversions.source_format
        self._say = say
        # A row without its event_type is an Amplitude row all the same, and is rejected as one.
        self._names_amplitude = _are_amplitudes(schema.get("properties") or {})
        self._spellings: Memo[tuple[str, ...], bool] = Memo(_MAX_SPELLINGS)
        self._property_settings = conversions.property_settings
        self._entries = conversions.entries
        self._adds_metadata = conversions.adds_metadata
        self._entry = conversions.entry_of(stream, schema, has_rows=self.is_amplitude({}))
        self.warnings = self._entry.warnings
        self._fields = StreamFields(
            stream,
            tuple(key_properties),
            self._entry.mapping,
            self._options,
            aliases=conversions.mappings.aliases,
            declared=frozenset(schema.get("properties") or ()),
        )
        self._is_mapped = self._entry.mapping != StreamMapping()
        self._has_rows = self._introduced = False

    def convert(self, record: Json) -> Conversion:
        """Return what becomes of a record."""
        if self._stream == MELTANO_TEST_STREAM:
            return Skipped(MELTANO_TEST_STREAM)
        if self.is_amplitude(record):
            if self._is_mapped and not self._has_rows:
                self._has_rows = True
                self._entries.meet(AMPLITUDE_ROWS, self._stream)
            return self._amplitude.convert(record)
        if self._entry.is_left_out:
            return _UNMAPPED
        if not self._adds_metadata and not METADATA.isdisjoint(record):
            record = {name: value for name, value in record.items() if name not in METADATA}
        conversion = self._by_format(record)
        if isinstance(conversion, Converted):
            return self._property_settings.applied(conversion)
        return conversion

    def traced(self, record: Json, trace: Trace) -> Conversion:
        """Return what becomes of a record, and note which rules made it."""
        if self.is_amplitude(record) and self._stream != MELTANO_TEST_STREAM:
            return self._amplitude.convert(record, trace)
        conversion = self.convert(record)
        if isinstance(conversion, Converted):
            if not self._adds_metadata:
                trace.leave_out(METADATA & record.keys(), "Singer's own columns")
                record = {name: value for name, value in record.items() if name not in METADATA}
            made = self._by_format(record)
            assert isinstance(made, Converted)  # noqa: S101 - by `convert`
            if self._format == "posthog":
                note_event(trace, record, made.event, self._options.names)
            else:
                self._fields.note(trace, record, made.event)
            before, after = made.event["properties"], conversion.event["properties"]
            note_settings(trace, self._options.properties, before, after)
        return conversion

    def _by_format(self, record: Json) -> Conversion:
        """Return what becomes of a record that is no Amplitude row."""
        if self._format == "posthog":
            conversion = posthog_events.convert(record, self._options)
            if isinstance(conversion, Converted):
                return self._property_settings.with_person(conversion)
            return conversion
        if not self._introduced:
            self._introduced = True
            if self._is_mapped:
                self._entries.meet(OTHER_RECORDS, self._stream)
            for level, text in introduction_of(self._fields, self._schema, record):
                self._say(level, text)
        if self._entry.unmet:
            self._entry.note_fields(record, self._entries)
        return self._fields.convert(record)

    @cached_property
    def fast(self) -> FastConverter | None:
        """The fast way for the records of the stream, if there is one for them."""
        if self._stream == MELTANO_TEST_STREAM or self._entry.is_left_out:
            return None
        if not self.is_amplitude({}):
            return FastFields(self.convert, self.known_line, self._fields.key_properties)
        return FastRows(self._amplitude) if FastRows.fits(self._options) else None

    def known(self, record: Json) -> Json:
        """Return a record for the rejects: with its stream, where its event depends on that."""
        if self._format == "posthog" or self.is_amplitude(record):
            return record
        return StreamRecord(record, self._stream, self._fields.key_properties)

    def known_line(self, line: bytes, record: Json) -> bytes | StreamLine:
        """Return the JSON of a record likewise."""
        if self._format == "posthog" or self.is_amplitude(record):
            return line
        return StreamLine(line, self._stream, self._fields.key_properties)

    def needs_sdk(self, record: Json) -> bool:
        """Return True if the SDK removes columns of a RECORD that `convert` does not."""
        return not METADATA.isdisjoint(record) and self.is_amplitude(record)

    def lacking_key(self, record: Json) -> list[str]:
        """Return the fields of its key that a record lacks; an Amplitude row needs none."""
        lacking = [name for name in self._fields.key_properties if name not in record]
        return [] if lacking and self.is_amplitude(record) else lacking

    def is_amplitude(self, record: Json) -> bool:
        """Return True if a record is an Amplitude row."""
        if self._format == "auto":
            return self._names_amplitude or self._is_spelt_as_amplitudes(record)
        return self._format == "amplitude"

    def origin_of(self, record: Json) -> bytes:
        """Return the origin of a record that becomes no event; see `OutgoingEvent`."""
        return origin_of_row(record) if self.is_amplitude(record) else b""

    def _is_spelt_as_amplitudes(self, record: Json) -> bool:
        """Return True if a record has Amplitude's fields; once for all records of its names."""
        names = tuple(record)
        known = self._spellings.get(names)
        if known is None:
            known = _are_amplitudes(names)
            if len(names) <= MAX_KEY_LENGTH:
                self._spellings.remember(names, known)
        return known


def _are_amplitudes(names: Iterable[str]) -> bool:
    return AMPLITUDE_FIELDS.issubset(map(field_name, names))
