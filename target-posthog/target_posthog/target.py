"""The target: its settings, its parts, and when the state may be written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform
from typing_extensions import override

from target_posthog.capture.hosts import ingestion_host, without_credentials
from target_posthog.common.object_cutter import Found
from target_posthog.errors import (
    BrokenInput,
    TargetPosthogError,
)
from target_posthog.formats.converter import MELTANO_TEST_STREAM, Conversions
from target_posthog.formats.entries_met import unmet_streams
from target_posthog.formats.schemas import usable_schema
from target_posthog.inflow import Inflow
from target_posthog.input.batch_files import BatchFile, files_of
from target_posthog.input.reader import SingerLines
from target_posthog.input.record_blocks import RecordBlocks
from target_posthog.input.tap_end import tap_end_of
from target_posthog.model import MappedRecord, Skipped, StreamRecord
from target_posthog.monitor import Monitor
from target_posthog.progress.counts import Hours
from target_posthog.progress.end_of_run import outcome_in_words
from target_posthog.progress.summary import STATE_ID, Summary
from target_posthog.rejects.names import PREVIEW, owner_of
from target_posthog.rejects.writer import Rejects, rejects_at
from target_posthog.runtime import Runtime
from target_posthog.sinks import PosthogSink, SinkTarget
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from target_posthog.model import Json

_REMOVED_BY_MAPS = Skipped("stream_maps")
_EARLIER_PREVIEW = "The preview that was here before is now in %s."
_OTHER_PREVIEWS = (
    "Files of other previews in this folder: %d, which could not be moved or are still written. "
    "This run's is %s; summary.json tells of it alone."
)


class TargetPosthog(SinkTarget):
    """Sends events to PostHog, Amplitude's whole history first of all.

    One class, as the SDK wants the callbacks of all messages on it.
    """

    default_sink_class: type[PosthogSink] = PosthogSink
    #: Whether the files of BATCH messages stay, delivered or not.
    keeps_batch_files = False
    message_reader_class = SingerLines

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        #: Streams whose schema names no fields.
        self._bare_streams: list[str] = []
        self._said: set[str] = set()
        #: The RECORD message that the SDK passes through maps.
        self._message: Json | None = None
        self.conversions = Conversions(self.settings)
        self.runtime = self.open_runtime()
        self.delivery, self.wire = self.runtime.delivery, self.runtime.wire
        self.monitor = Monitor(self.runtime, self._destination, self._summary)
        self.inflow = Inflow(
            self.settings,
            self.runtime,
            self.monitor,
            plain_sink=self.plain_sink,
            take_line=self._take_line,
            write_state=self._write_state,
            say=self.say_once,
        )
        assert isinstance(self.message_reader, SingerLines)  # noqa: S101 - see above
        self._reader = self.message_reader
        self._reader.on_idle = self._on_idle
        self._reader.on_waited = self.inflow.note_wait
        self._blocks = self._reader.blocks = RecordBlocks(self.inflow)

    @property
    def _summary(self) -> Summary | None:
        """The summary of this process, which `cli` writes at every exit; commands have none."""
        context = click.get_current_context(silent=True)
        return None if context is None else context.find_object(Summary)

    @override
    def prepare_settings(self, config: dict[str, Any]) -> None:
        """Let the summary know where it goes, also of a run whose settings are wrong."""
        if self._summary is not None:
            self._summary.config = config

    def open_runtime(self) -> Runtime:
        """Open what the run needs; a command may need something else in a part's place."""
        # Commands that send, such as a replay, move no range.
        state_id = "" if self._summary is None else os.environ.get(STATE_ID, "")
        return Runtime(
            self.settings, self.program, open_rejects=self.open_rejects, state_id=state_id
        )

    def open_rejects(self, started: datetime) -> Rejects:
        """Open the rejects of the run."""
        # What a run rejects that sends nothing, the one that sends will reject, too.
        is_trial = self.settings.preview_path or self.settings.free_order == "collect"
        owner = PREVIEW if is_trial else owner_of(api_key_of(self.settings))
        return rejects_at(self.settings.rejects_place, started, owner)

    @override
    def take_schema(self, message: Json) -> None:
        """Take a schema as it is: it is used, not validated, and open unless it says otherwise.

        Raises:
            FixConfiguration: a stream map or a mapping does not fit it.
        """
        self.inflow.has_schema = True
        stream, keys = message["stream"], message.get("key_properties")
        if "properties" not in message["schema"]:
            self._bare_streams.append(stream)
        schema = usable_schema(message["schema"])
        if self._is_known(stream, schema, keys):
            return
        # What came before is of another schema.
        self.inflow.catch_up()
        if stream == MELTANO_TEST_STREAM:
            # A map could give it another name, and so let it out.
            self.mapper.stream_maps[stream] = [SameRecordTransform(stream, schema, keys, None)]
        else:
            self.mapper.register_raw_stream_schema(stream, schema, keys)
        for stream_map in self.mapper.stream_maps[stream]:
            if not isinstance(stream_map, RemoveRecordTransform):
                self.get_sink(
                    stream_map.stream_alias,
                    schema=stream_map.transformed_schema,
                    key_properties=stream_map.transformed_key_properties,
                )

    def _is_known(self, stream: str, schema: Json, keys: Sequence[str] | None) -> bool:
        known = self.mapper.stream_maps.get(stream)
        if not known:
            return False
        return bool(known[0].raw_schema == schema and known[0].raw_key_properties == keys)

    @override
    def take_record(self, message: Json) -> None:
        self.inflow.open()
        self.inflow.catch_up()
        self._take_record(message)
        self.inflow.show_progress()

    def _take_record(self, message: Json) -> None:
        record = message["record"]
        exported = self.delivery.counts.exported
        if isinstance(record, Found):
            self.require_schema(message["stream"])
            self.delivery.fates.take_unreadable(
                record.text,
                f"the input, {record.place}: {record.reason}",
                message["stream"],
            )
        else:
            self._message = message if self.settings.changes_records else None
            self.pass_through_maps(message)
        if self.delivery.counts.exported == exported:
            self.delivery.take(_REMOVED_BY_MAPS, record, stream=message["stream"])

    @override
    def as_came(self, known: Json, stream: str) -> Json:
        message = self._message
        if message is None or self.plain_sink(message["stream"]) is not None:
            return known
        source = message["stream"]
        keys = None
        if isinstance(known, StreamRecord):
            keys = self.mapper.stream_maps[source][0].raw_key_properties or ()
        return MappedRecord(message["record"], source, keys, stream)

    def _take_line(self, line: bytes, number: int) -> None:
        """Take a line of a block that is no plain record."""
        self._take_record(self._reader.record_message(line, number))

    @override
    def take_state(self, state: Any) -> None:
        self.inflow.take_state(state)

    @override
    def say_once(self, level: int, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.logger.log(level, text)

    @override
    def deliver_and_write(self, state: Json) -> None:
        self.inflow.deliver_and_write(state)

    def _write_state(self, state: Json) -> None:
        # A preview writes none: PostHog accepted nothing, and the run that sends must begin where
        # it did.
        if self.runtime.preview is None:
            self.print_state(state)
            self.monitor.wrote(state)

    def _on_idle(self) -> tuple[list[int], float | None]:
        """Do what must not wait for the next line; see `stdin.OnIdle`."""
        due = self._blocks.attend()
        descriptors, seconds = self.inflow.attend()
        times = [moment for moment in (seconds, due) if moment is not None]
        return descriptors, min(times, default=None)

    @override
    def save_what_is_safe(self) -> None:
        self.inflow.save_what_is_safe()

    @override
    def take_batch(self, message: Json) -> None:
        """Have the workers deliver the files; read them here when records have to be changed."""
        files = files_of(
            message,
            keep_all=self.keeps_batch_files,
            remove_all=self.settings.remove_batch_files,
            max_gb=self.settings.max_member_gb,
        )
        stream = message["stream"]
        self.inflow.open()
        if stream not in self.mapper.stream_maps:
            self.require_schema(stream)
        if not self.inflow.takes(stream):
            self._read_here(stream, files)
            return
        try:
            self.inflow.take_files(stream, files)
        except TargetPosthogError:
            self.drain_all()  # writes the state of what came before this message
            raise

    def plain_sink(self, stream: str) -> PosthogSink | None:
        """Return the sink of a stream whose records it takes as they come; None for others.

        Stream maps, flattening and metadata columns are the SDK's, record by record.
        """
        sink = self.get_sink(stream) if self.sink_exists(stream) else None
        maps = self.mapper.stream_maps.get(stream, ())
        if sink is None or len(maps) != 1 or type(maps[0]) is not SameRecordTransform:
            return None
        if maps[0].flattening_enabled or sink.include_sdc_metadata_properties:
            return None
        assert isinstance(sink, PosthogSink)  # noqa: S101 - by default_sink_class
        return sink

    def _read_here(self, stream: str, files: Sequence[BatchFile]) -> None:
        """Take the lines of files as records, one by one."""
        self.inflow.catch_up()
        for file in files:
            try:
                for record in file.records():
                    if isinstance(record, Found):
                        self.delivery.fates.take_unreadable(*file.rejected(record), stream)
                    else:
                        self.take_record({"type": "RECORD", "stream": stream, "record": record})
            except BrokenInput:
                self.drain_all()  # writes the state of what came before this file's message
                raise
            self.delivery.gate.note(file)

    @override
    def process_endofpipe(self) -> None:
        if self._bare_streams and not self.inflow.has_begun:
            # Open schemas are used as they are; but this alone is no output of a tap that works.
            raise BrokenInput(
                f"The tap sent the schema of {self._bare_streams[0]} without properties, and then "
                "neither a record nor a STATE.",
                "See its log, and run again.",
            )
        self.inflow.deliver_all()
        self.runtime.finish_book()
        super().process_endofpipe()
        self._finish()
        self.delivery.fates.limit.check_at_the_end(trial=self.runtime.trial)
        self.monitor.say_next_step()

    def _finish(self) -> None:
        counts, preview = self.delivery.counts, self.runtime.preview
        outcome = outcome_in_words(
            counts,
            self._destination,
            is_preview=preview is not None,
            collects=not self.runtime.sends,
        )
        self.warn_of_unused_entries()
        self.monitor.finish(
            outcome,
            tap_end_of(
                is_closed=self.inflow.is_closed,
                has_states=self.inflow.has_states,
                has_records=counts.exported > 0,
                hours=Hours.of_state(self.latest_state),
            ),
        )
        if preview is not None:
            for folder in preview.earlier:
                self.logger.info(_EARLIER_PREVIEW, folder)
            if others := preview.count_others():
                self.logger.warning(_OTHER_PREVIEWS, others, preview.path)
        self.close()

    @property
    def _destination(self) -> str:
        """Where the events go, as it may be shown."""
        host = ingestion_host(self.settings.host)
        return self.settings.preview_path or without_credentials(host)

    def warn_of_unused_entries(self) -> None:
        """Warn of entries of the settings that met nothing, unless nothing at all came."""
        came = sorted(self.mapper.stream_maps)
        entries, maps = self.conversions.entries, self.maps
        streams = [name for name, _ in self.conversions.mappings.entries]
        warnings = [
            *unmet_streams("streams", streams, entries.of_setting("streams"), came),
            *unmet_streams("stream_maps", [key for key, _ in maps.sources()], maps.met, came),
        ]
        if self.delivery.counts.exported:
            warnings += entries.warnings(self.inflow.met)
        for warning in warnings:
            self.logger.warning(warning)

    def close(self) -> None:
        """Close files and connections, and end the workers."""
        self.inflow.close()
        self.runtime.close()
