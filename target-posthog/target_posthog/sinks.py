"""The target's story: a Singer record is converted, and handed to the delivery."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from singer_sdk.sinks import Sink
from singer_sdk.sinks.core import JSONSchemaValidator
from typing_extensions import override

from target_posthog import posthog_events
from target_posthog.amplitude.convert import convert as convert_amplitude
from target_posthog.conversion import Json, Skipped, StreamRecord
from target_posthog.errors import FixConfiguration
from target_posthog.stream_fields import StreamFields
from target_posthog.stream_mappings import StreamMapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_posthog.target import TargetPosthog

#: `meltano config test` sends this stream to see whether a loader works; it is nobody's event.
MELTANO_TEST_STREAM = "meltano_test_stream"

#: What `source_format: auto` knows Amplitude's rows by, in the stream's schema or in the row.
AMPLITUDE_FIELDS = frozenset({"event_type", "amplitude_id"})


class PosthogSink(Sink):
    """Converts the records of one stream and hands them over; all streams share one delivery.

    Args:
        target: the target, which owns the delivery.
        stream_name: the stream.
        schema: its JSON schema, after stream maps and flattening.
        key_properties: its key.

    Raises:
        FixConfiguration: the setting `streams` names fields that the schema lacks.
    """

    def __init__(
        self,
        target: TargetPosthog,
        stream_name: str,
        schema: Json,
        key_properties: Sequence[str] | None,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._take = target.delivery.take
        self._say_once = target.say_once
        self._options = target.conversion_options
        self._format: str = target.config["source_format"]
        # A row without its event_type is an Amplitude row all the same, and is rejected as one.
        self._names_amplitude = (schema.get("properties") or {}).keys() >= AMPLITUDE_FIELDS
        mapping = target.mappings.of(stream_name)
        if mapping is not None and not self._is_amplitude({}) and self._format != "posthog":
            _check(stream_name, mapping, schema)
        self._fields = StreamFields(
            stream_name, tuple(key_properties or ()), mapping or StreamMapping(), self._options
        )
        self._introduced = False

    @property
    @override
    def current_size(self) -> int:
        """Nothing waits here: the delivery sends by size, over all streams, in the tap's order."""
        return 0

    @override
    def get_validator(self) -> None:
        """Refuse a schema that is none; records are not validated, the conversion takes any."""
        JSONSchemaValidator(self.schema)

    @override
    def process_record(self, record: Json, context: Mapping[str, Any]) -> None:
        if self.stream_name == MELTANO_TEST_STREAM:
            self._take(record, Skipped(MELTANO_TEST_STREAM))
        elif self._is_amplitude(record):
            self._take(record, convert_amplitude(record, self._options))
        elif self._format == "posthog":
            self._take(record, posthog_events.convert(record, self._options))
        else:
            self._introduce()
            known = StreamRecord(record, self.stream_name, self._fields.key_properties)
            self._take(known, self._fields.convert(record))

    @override
    def process_batch(self, context: Mapping[str, Any]) -> None:
        """Do nothing; see `current_size`."""

    @override
    def _validate_and_parse(self, record: Json) -> Json:
        """Leave times as texts: the conversion reads them, and a RECORD is never refused."""
        return record

    @override
    def _singer_validate_message(self, record: Json) -> None:
        """Hold other taps to their key; an Amplitude row without a uuid gets one."""
        if not self._is_amplitude(record):
            super()._singer_validate_message(record)

    @override
    def _after_process_record(self, context: Mapping[str, Any]) -> None:
        """Log nothing: the SDK would write the record at level DEBUG."""

    def _introduce(self) -> None:
        """Say at the first record what the mapping left open, and what stands for it."""
        if not self._introduced:
            self._introduced = True
            for level, text in _defaults(self._fields, self.schema):
                self._say_once(level, text)

    def _is_amplitude(self, record: Json) -> bool:
        if self._format == "auto":
            return self._names_amplitude or record.keys() >= AMPLITUDE_FIELDS
        return self._format == "amplitude"


def _check(stream: str, mapping: StreamMapping, schema: Json) -> None:
    lacking = mapping.lacking_in(schema)
    if lacking:
        fields = ", ".join(sorted(schema.get("properties") or {}))
        raise FixConfiguration(
            f"streams, {stream}: the stream has no field for {'; '.join(lacking)}.",
            f"It has {fields}. A constant is written {{value: …}}.",
        )


def _defaults(fields: StreamFields, schema: Json) -> Iterator[tuple[int, str]]:
    """Yield what to log of the parts that a stream's mapping left open, and how loud."""
    left_open = fields.left_open(schema)
    found = [f"{part} is {words}" for part, words in left_open.items() if words]
    missing = [part for part, words in left_open.items() if not words]
    if found:
        text = f"by default {', '.join(found)}. The setting streams can say otherwise."
        yield logging.INFO, f"Stream {fields.stream}: {text}"
    if missing:
        text = f"no field of a usual name for {' and '.join(missing)}: records without are rejected"
        yield logging.WARNING, f"Stream {fields.stream}: {text}. Name one in the setting streams."
