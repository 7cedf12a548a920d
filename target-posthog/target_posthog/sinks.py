"""The target's story: a Singer record is converted, and handed to the delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk.sinks import Sink
from singer_sdk.sinks.core import JSONSchemaValidator
from typing_extensions import override

from target_posthog import posthog_events
from target_posthog.amplitude.convert import convert as convert_amplitude
from target_posthog.conversion import Conversion, Json, Skipped
from target_posthog.stream_fields import StreamFields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
        schema: its JSON schema.
        key_properties: its key.
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
        self._options = target.conversion_options
        self._format: str = target.config["source_format"]
        self._fields = StreamFields(stream_name, tuple(key_properties or ()))
        # A row without its event_type is an Amplitude row all the same, and is rejected as one.
        self._names_amplitude = (schema.get("properties") or {}).keys() >= AMPLITUDE_FIELDS

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
        self._take(record, self._converter(record)(record))

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

    def _converter(self, record: Json) -> Callable[[Json], Conversion]:
        """Return how this record becomes an event."""
        if self.stream_name == MELTANO_TEST_STREAM:
            return lambda _: Skipped(MELTANO_TEST_STREAM)
        if self._is_amplitude(record):
            return lambda row: convert_amplitude(row, self._options)
        return posthog_events.convert if self._format == "posthog" else self._fields.convert

    def _is_amplitude(self, record: Json) -> bool:
        if self._format == "auto":
            return self._names_amplitude or record.keys() >= AMPLITUDE_FIELDS
        return self._format == "amplitude"
