"""The streams of a tap: schemas, the SDK's maps over them, and records that need the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform

from target_posthog.common.object_cutter import Found
from target_posthog.errors import BrokenInput
from target_posthog.formats.converter import MELTANO_TEST_STREAM
from target_posthog.formats.entries_met import unmet_streams
from target_posthog.formats.schemas import usable_schema
from target_posthog.model import MappedRecord, Skipped, StreamRecord
from target_posthog.sinks import PosthogSink

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from target_posthog.formats.entries_met import Entry
    from target_posthog.input.batch_files import BatchFile
    from target_posthog.input.reader import SingerLines
    from target_posthog.model import Json
    from target_posthog.sinks import SinkTarget

_REMOVED_BY_MAPS = Skipped("stream_maps")


class Streams:
    """The schemas that came, with the maps and the sinks of their streams.

    Args:
        target: has the SDK's maps and sinks.
        are_plain: records that need nothing of the SDK may be taken in blocks.
    """

    def __init__(self, target: SinkTarget, *, are_plain: bool) -> None:
        self._target = target
        self._are_plain = are_plain
        #: Streams whose schema names no fields.
        self._bare: list[str] = []

    def take_schema(self, message: Json, catch_up: Callable[[], None]) -> None:
        """Take a schema as it is: it is used, not validated, and open unless it says otherwise.

        Before a new schema acts, `catch_up` takes what came before: that is of another one.

        Raises:
            FixConfiguration: a stream map or a mapping does not fit it.
        """
        stream, keys = message["stream"], message.get("key_properties")
        if "properties" not in message["schema"]:
            self._bare.append(stream)
        schema = usable_schema(message["schema"])
        if self._is_known(stream, schema, keys):
            return
        catch_up()
        maps = self._target.mapper
        if stream == MELTANO_TEST_STREAM:
            # A map could give it another name, and so let it out.
            maps.stream_maps[stream] = [SameRecordTransform(stream, schema, keys, None)]
        else:
            maps.register_raw_stream_schema(stream, schema, keys)
        for stream_map in maps.stream_maps[stream]:
            if not isinstance(stream_map, RemoveRecordTransform):
                self._target.get_sink(
                    stream_map.stream_alias,
                    schema=stream_map.transformed_schema,
                    key_properties=stream_map.transformed_key_properties,
                )

    def _is_known(self, stream: str, schema: Json, keys: Sequence[str] | None) -> bool:
        known = self._target.mapper.stream_maps.get(stream)
        if not known:
            return False
        return bool(known[0].raw_schema == schema and known[0].raw_key_properties == keys)

    def require_schema(self, stream: str) -> None:
        """Refuse a BATCH message of a stream whose schema did not come.

        Raises:
            RecordWithoutSchema: it did not.
        """
        if stream not in self._target.mapper.stream_maps:
            self._target.require_schema(stream)

    def plain_sink(self, stream: str) -> PosthogSink | None:
        """Return the sink of a stream whose records it takes as they come; None for others.

        Stream maps, flattening and metadata columns are the SDK's, record by record.
        """
        if not self._are_plain or not self._target.sink_exists(stream):
            return None
        sink = self._target.get_sink(stream)
        maps = self._target.mapper.stream_maps.get(stream, ())
        if len(maps) != 1 or type(maps[0]) is not SameRecordTransform:
            return None
        if maps[0].flattening_enabled or sink.include_sdc_metadata_properties:
            return None
        assert isinstance(sink, PosthogSink)  # noqa: S101 - by default_sink_class
        return sink

    def refuse_schemas_alone(self) -> None:
        """Refuse an input that has nothing but schemas, if one of them says nothing.

        Open schemas are used as they are; but this alone is no output of a tap that works.

        Raises:
            BrokenInput: one of them has no properties.
        """
        for stream in self._bare:
            raise BrokenInput(
                f"The tap sent the schema of {stream} without properties, and then neither a "
                "record nor a STATE.",
                "See its log, and run again.",
            )

    def warn_of_unused_entries(self, met: Collection[Entry]) -> None:
        """Warn of entries of the settings that met nothing, unless nothing at all came.

        `met` are those that workers met something for.
        """
        target = self._target
        came = sorted(target.mapper.stream_maps)
        entries, maps = target.conversions.entries, target.maps
        streams = [name for name, _ in target.conversions.mappings.entries]
        warnings = [
            *unmet_streams("streams", streams, entries.of_setting("streams"), came),
            *unmet_streams("stream_maps", [key for key, _ in maps.sources()], maps.met, came),
        ]
        if target.delivery.counts.exported:
            warnings += entries.warnings(met)
        for warning in warnings:
            target.logger.warning(warning)


class SdkRecords:
    """Takes records one by one: through stream maps, flattening and metadata columns.

    Args:
        target: has the SDK's way for a record.
        reader: reads lines once more.
    """

    def __init__(self, target: SinkTarget, streams: Streams, reader: SingerLines) -> None:
        self._target = target
        self._streams = streams
        self._reader = reader
        self._delivery = target.delivery
        #: The RECORD message that the SDK passes through maps.
        self._message: Json | None = None

    def take(self, message: Json) -> None:
        """Take a RECORD message."""
        stream, record = message["stream"], message["record"]
        exported = self._delivery.counts.exported
        if isinstance(record, Found):
            self._target.require_schema(stream)
            place = f"the input, {record.place}: {record.reason}"
            self._delivery.fates.take_unreadable(record.text, place, stream)
        else:
            self._message = message if self._target.settings.changes_records else None
            self._target.pass_through_maps(message)
        if self._delivery.counts.exported == exported:
            self._delivery.take(_REMOVED_BY_MAPS, record, stream=stream)

    def take_line(self, line: bytes, number: int) -> None:
        """Take a line of a block that is no plain record."""
        self.take(self._reader.record_message(line, number))

    def messages_of(self, stream: str, files: Sequence[BatchFile]) -> Iterator[Json]:
        """Yield the lines of files as RECORD messages; what is no record goes to the rejects."""
        for file in files:
            for record in file.records():
                if isinstance(record, Found):
                    self._delivery.fates.take_unreadable(*file.rejected(record), stream)
                else:
                    yield {"type": "RECORD", "stream": stream, "record": record}
            self._delivery.gate.note(file)

    def as_came(self, known: Json, stream: str) -> Json:
        """Return what the rejects hold of the record that is being taken; see `SinkTarget`."""
        message = self._message
        if message is None or self._streams.plain_sink(message["stream"]) is not None:
            return known
        source = message["stream"]
        keys: Any = None
        if isinstance(known, StreamRecord):
            keys = self._target.mapper.stream_maps[source][0].raw_key_properties or ()
        return MappedRecord(message["record"], source, keys, stream)
