"""The target: its settings, its parts, and when the state may be written."""

from __future__ import annotations

import copy
import select
import sys
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform
from typing_extensions import override

from target_posthog.capture.hosts import ingestion_host, without_credentials
from target_posthog.common.object_cutter import Found
from target_posthog.delivery.state_writer import StateWriter
from target_posthog.errors import (
    BrokenInput,
    TargetPosthogError,
)
from target_posthog.formats.converter import MELTANO_TEST_STREAM, Conversions
from target_posthog.formats.schemas import usable_schema
from target_posthog.input.batch_files import BatchFile, files_of
from target_posthog.input.fast_records import FastRecords
from target_posthog.input.intake import fits
from target_posthog.input.reader import SingerLines
from target_posthog.input.tap_end import early_end, tells_of_an_earlier_run
from target_posthog.model import MappedRecord, Skipped, StreamRecord
from target_posthog.monitor import Monitor
from target_posthog.progress import Hours
from target_posthog.rejects.names import PREVIEW, owner_of
from target_posthog.rejects.writer import Rejects, rejects_at
from target_posthog.runtime import Runtime
from target_posthog.sdk import SingerTarget
from target_posthog.sinks import PosthogSink
from target_posthog.summary import Summary
from target_posthog.validation import api_key_of
from target_posthog.waiting import CONVERSION, POSTHOG, TAP
from target_posthog.workers.batch_intake import BatchIntake
from target_posthog.workers.messages import BlockStream
from target_posthog.workers.pool import InlineWorkers, Pool, workers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from target_posthog.input.intake import Intake
    from target_posthog.model import Json
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.workers.pool import Workers
    from target_posthog.workers.record_blocks import RecordBlock

#: From how many records, or bytes of them, workers convert them; they are copies of this process.
#: Some taps write a state after each thousand, and it begins the first request.
_MANY_RECORDS, _MANY_BYTES = 1_000, 4 * 1024 * 1024
#: The same where a worker is a new process, which takes half a second of CPU to start.
_MANY_MORE = 50_000
_REMOVED_BY_MAPS = Skipped("stream_maps")
_EARLIER_PREVIEWS = (
    "Files of earlier previews in this folder: %d. This run's is %s; summary.json tells of it "
    "alone."
)


class TargetPosthog(SingerTarget):
    """Sends events to PostHog, Amplitude's whole history first of all."""

    default_sink_class: type[PosthogSink] = PosthogSink
    message_reader_class = SingerLines

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._begun = False
        #: Streams whose schema names no fields.
        self._bare_streams: list[str] = []
        #: Whether a STATE stands behind all that came.
        self._is_closed = False
        self._said: set[str] = set()
        self._block_streams: dict[tuple[str, bool], BlockStream] = {}
        #: The RECORD message that the SDK passes through maps.
        self._message: Json | None = None
        self.conversions = Conversions(self.config)
        self.runtime = self._open()
        self.delivery = self.runtime.delivery
        self.monitor = Monitor(self.runtime, self._destination, self._summary)
        self._states = StateWriter(self.delivery, self._write_state, self.monitor.reached)
        self.delivery.on_settled = self._states.write_safe
        self._batches: BatchIntake | None = None
        assert isinstance(self.message_reader, SingerLines)  # noqa: S101 - see above
        self._reader = self.message_reader
        self._reader.on_idle = self._on_idle
        self._reader.on_waited = self._on_waited
        if self.config["protocol"] == "batch":
            self._reader.fast = FastRecords(self)

    @property
    def _summary(self) -> Summary | None:
        """The summary of this process, which `cli` writes at every exit; commands have none."""
        context = click.get_current_context(silent=True)
        return None if context is None else context.find_object(Summary)

    @override
    def note_settings(self) -> None:
        """Let the summary know where it goes, also of a run whose settings are wrong."""
        if self._summary is not None:
            self._summary.config = self._config

    def _open(self) -> Runtime:
        program = f"{self.name}/{self.plugin_version}"
        return Runtime(self.config, program, open_rejects=self._open_rejects)

    def _open_rejects(self, started: datetime) -> Rejects:
        if not self.config.get("preview_path"):
            owner = owner_of(api_key_of(self.config))
            return rejects_at(self.rejects_place, started, owner)
        return rejects_at(self.rejects_place, started, PREVIEW)

    @override
    def take_schema(self, message: Json) -> None:
        """Take a schema as it is: it is used, not validated, and open unless it says otherwise.

        Raises:
            FixConfiguration: a stream map or a mapping does not fit it.
        """
        stream, keys = message["stream"], message.get("key_properties")
        if "properties" not in message["schema"]:
            self._bare_streams.append(stream)
        schema = usable_schema(message["schema"])
        if self._is_known(stream, schema, keys):
            return
        # What came before is of another schema.
        self._take_files()
        if stream == MELTANO_TEST_STREAM:
            # A map could give it another name, and so let it out.
            self.mapper.stream_maps[stream] = [SameRecordTransform(stream, schema, keys, None)]
        else:
            self.mapper.register_raw_stream_schema(stream, schema, keys)
        for one in self.mapper.stream_maps[stream]:
            if not isinstance(one, RemoveRecordTransform):
                self.get_sink(
                    one.stream_alias,
                    schema=one.transformed_schema,
                    key_properties=one.transformed_key_properties,
                )

    def _is_known(self, stream: str, schema: Json, keys: Sequence[str] | None) -> bool:
        known = self.mapper.stream_maps.get(stream)
        if not known:
            return False
        return bool(known[0].raw_schema == schema and known[0].raw_key_properties == keys)

    @override
    def take_record(self, message: Json) -> None:
        self._take_up_records()
        self._take_record(message)
        self._show_progress()

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
            self._message = message if self.changes_records else None
            self.pass_through_maps(message)
        if self.delivery.counts.exported == exported:
            self.delivery.take(_REMOVED_BY_MAPS, record, stream=message["stream"])

    @cached_property
    def changes_records(self) -> bool:
        """Whether the settings have stream maps or flattening."""
        return bool(self.config.get("stream_maps") or self.config.get("flattening_enabled"))

    def as_came(self, known: Json, stream: str) -> Json:
        """Return what the rejects hold of a record: as it came, to pass through maps once more.

        Args:
            known: what they hold of one that nothing changed.
            stream: the stream that maps made of it.
        """
        message = self._message
        if message is None or self.plain_sink(message["stream"]) is not None:
            return known
        source = message["stream"]
        keys = None
        if isinstance(known, StreamRecord):
            keys = self.mapper.stream_maps[source][0].raw_key_properties or ()
        return MappedRecord(message["record"], source, keys, stream)

    def _take_line(self, line: bytes, number: int) -> None:
        """Take a RECORD line that was read earlier, and that workers left."""
        self._take_record(self._reader.record_message(line, number))

    def _take_up_records(self) -> None:
        """Begin with records, behind all that came before."""
        self._come_upon_records()
        self._take_files()

    def _come_upon_records(self) -> None:
        if not self._begun:
            self._begin(goes_on=False)
        self._is_closed = False

    @override
    def take_state(self, state: Any) -> None:
        if not self._begun:
            self._begin(goes_on=tells_of_an_earlier_run(state))
        self._is_closed = True
        mark = copy.deepcopy(state or {})
        if self._batches is None or self._batches.is_idle:
            self.delivery.note(mark)
        else:
            self._batches.note(mark)
        self._attend()

    def say_once(self, level: int, text: str) -> None:
        """Log what a stream has to say, unless it was said in this run."""
        if text not in self._said:
            self._said.add(text)
            self.logger.log(level, text)

    def _begin(self, *, goes_on: bool) -> None:
        """See at the first message whether the ledger knows what the state says was sent."""
        self._begun = True
        self.runtime.begin(goes_on=goes_on)

    @override
    def deliver_and_write(self, state: Json) -> None:
        self._deliver_all()
        self._states.write_now(state)

    def _deliver_all(self) -> None:
        """Wait until everything that came so far is delivered, and on the disk."""
        self._take_files()
        self.delivery.flush()
        self._states.pass_marks()

    def _take_files(self) -> None:
        """Wait until the delivery has all lines that are on the way."""
        self._wait_until(lambda: self._batches is None or self._batches.is_idle)

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            descriptors, seconds = self._attend()
            # Else nothing may be left that would wake this up.
            if not is_so():
                began = time.monotonic()
                select.select(descriptors, [], [], seconds)
                self._on_waited(time.monotonic() - began)

    def _write_state(self, state: Json) -> None:
        # A preview writes none: PostHog accepted nothing, and the run that sends must begin where
        # it did.
        if self.runtime.preview is None:
            self.print_state(state)

    def _on_idle(self) -> tuple[list[int], float | None]:
        """Do what must not wait for the next line; see `stdin.OnIdle`."""
        fast = None if self._reader.fast is None else self._reader.fast.attend()
        descriptors, seconds = self._attend()
        if fast is not None:
            seconds = fast if seconds is None else min(fast, seconds)
        return descriptors, seconds

    def _on_waited(self, seconds: float) -> None:
        """Note whom a wait was for."""
        whom = TAP
        if not self.delivery.dispatcher.has_room:
            whom = POSTHOG
        elif self._batches is not None and not self._batches.is_idle:
            whom = CONVERSION
        self.monitor.waits.add(whom, seconds)

    def _attend(self) -> tuple[list[int], float | None]:
        """Let the delivery go on, and write the state that is safe by now.

        Returns:
            See `stdin.OnIdle`.
        """
        descriptors: list[int] = []
        seconds: float | None = None
        try:
            if self._batches is not None:
                descriptors, seconds = self._batches.attend()
            self.delivery.attend()
            due = self._states.attend()
        except TargetPosthogError:
            self._states.keep_what_is_safe()
            raise
        if due is not None:
            seconds = due if seconds is None else min(due, seconds)
        self._show_progress()
        return [*descriptors, *self.runtime.in_flight.descriptors()], seconds

    @override
    def save_what_is_safe(self) -> None:
        if self._batches is None or not self._batches.is_stopped:
            self._take_files()
        self.delivery.flush()
        self._states.keep_what_is_safe()

    @override
    def take_batch(self, message: Json) -> None:
        """Have the workers deliver the files; read them here when records have to be changed."""
        self._come_upon_records()
        files = files_of(
            message,
            remove_all=self.config["remove_batch_files"],
            max_gb=self.config["max_member_gb"],
        )
        if message["stream"] not in self.mapper.stream_maps:
            self.require_schema(message["stream"])
        stream = self._stream_for_workers(message["stream"])
        if stream is None:
            self._take_files()
            self._read_here(message["stream"], files)
            return
        try:
            self._blocks().add(stream, files)
        except TargetPosthogError:
            self.drain_all()  # writes the state of what came before this message
            raise

    def _blocks(self) -> BatchIntake:
        if self._batches is None:
            self._batches = BatchIntake(
                self._workers(),
                InlineWorkers(self.config, self.runtime.wire),
                self.delivery,
                self._intake_of,
                take_line=self._take_line,
                say=self.say_once,
            )
        return self._batches

    def _workers(self) -> Workers:
        """Return what converts blocks: processes, unless nothing is to be sent."""
        if self.runtime.preview is not None or sys.platform == "win32":
            return InlineWorkers(self.config, self.runtime.wire)
        return Pool(self.config, self.runtime.wire)

    def _intake_of(self, stream: str) -> Intake:
        sink = self.get_sink(stream)
        assert isinstance(sink, PosthogSink)  # noqa: S101 - by default_sink_class
        return sink.intake

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

    def take_usual(self, items: Sequence[OutgoingEvent], stream: str) -> bool:
        """Take the events of usual rows, if each can be taken as it is; tell whether they were."""
        self._take_up_records()
        taken = all(fits(item, self.delivery.latest_time) for item in items)
        if taken:
            for item in items:
                item.stream = stream
            self.delivery.take_events(items, stream)
        self._show_progress()
        return taken

    def can_share(self, records: int, size: int) -> bool:
        """Tell whether records go to workers from now on.

        A short run must not pay for them. Later, the first request has a thread.

        Args:
            records: how many lines came.
            size: how many bytes they have.
        """
        if self.runtime.preview is not None or sys.platform == "win32":
            return False
        if self._batches is None:
            enough = size >= _MANY_BYTES or records >= _MANY_RECORDS
            if not enough or (records < _MANY_MORE and not Pool.can_fork()):
                return False
        return workers_of(self.config) > 1

    def give_records(self, block: RecordBlock) -> None:
        """Take a block of records that workers are to convert."""
        self._come_upon_records()
        blocks = self._blocks()
        self._wait_until(lambda: blocks.has_room_for_records)
        stream = self._stream_for_workers(block.stream, of_records=True)
        assert stream is not None  # noqa: S101 - `FastRecords` has asked
        blocks.add_records(stream, block)

    def _stream_for_workers(self, name: str, *, of_records: bool = False) -> BlockStream | None:
        """Return what workers must know of a stream; None when its records pass through the SDK."""
        sink = self.plain_sink(name)
        if sink is None:
            return None
        known = self._block_streams.get((name, of_records))
        if known is None or known.schema is not sink.schema:
            keys = tuple(sink.key_properties)
            known = BlockStream(name, sink.schema, keys, of_records=of_records)
            self._block_streams[name, of_records] = known
        return known

    def _read_here(self, stream: str, files: Sequence[BatchFile]) -> None:
        """Take the lines of files as records, one by one."""
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
        if self._bare_streams and not self._begun:
            # Open schemas are used as they are; but this alone is no output of a tap that works.
            raise BrokenInput(
                f"The tap sent the schema of {self._bare_streams[0]} without properties, and then "
                "neither a record nor a STATE.",
                "See its log, and run again.",
            )
        self._deliver_all()
        self.delivery.finish_book()
        super().process_endofpipe()
        self._finish()
        self.delivery.fates.limit.check_at_the_end(is_preview=self.runtime.preview is not None)
        self.monitor.say_next_step()

    def _finish(self) -> None:
        counts, preview = self.delivery.counts, self.runtime.preview
        outcome = f"sent to {self._destination}"
        if preview is not None:
            outcome = f"previewed in {self._destination}, nothing was sent"
        elif not counts.exported:
            outcome = "there was nothing to send"
        elif not counts.accepted:
            outcome = "nothing was delivered"
        self._tell_wishes_in_vain()
        self.monitor.finish(
            outcome,
            early_end(
                is_closed=self._is_closed,
                has_records=counts.exported > 0,
                hours=Hours.of_state(self.latest_state),
            ),
        )
        if preview is not None and (earlier := preview.count_earlier()):
            self.logger.warning(_EARLIER_PREVIEWS, earlier, preview.path)
        self.close()

    @property
    def _destination(self) -> str:
        """Where the events go, as it may be shown."""
        preview = self.config.get("preview_path")
        return preview or without_credentials(ingestion_host(self.config["host"]))

    def _tell_wishes_in_vain(self) -> None:
        """Warn of entries of the settings that met nothing, unless nothing at all came."""
        came = sorted(self.mapper.stream_maps)
        if came:
            streams = [name for name, _ in self.conversions.mappings.entries]
            maps = [key for key, _ in self.maps.sources()]
            for setting, names, met in (
                ("streams", streams, self.conversions.entries.of_setting("streams")),
                ("stream_maps", maps, self.maps.met),
            ):
                unmet = [name for name in names if name not in met]
                if unmet:
                    self.logger.warning(
                        "`%s` did not act everywhere: no stream came for %s. There were: %s.",
                        setting,
                        ", ".join(unmet),
                        ", ".join(came),
                    )
        if self.delivery.counts.exported:
            elsewhere = () if self._batches is None else self._batches.met
            for warning in self.conversions.entries.told(elsewhere):
                self.logger.warning(warning)

    def close(self) -> None:
        """Close files and connections, and end the workers."""
        if self._batches is not None:
            self._batches.close()
        self.runtime.close()

    def _show_progress(self) -> None:
        now, counts = time.monotonic(), self.delivery.counts
        stalls = self.delivery.dispatcher.stalls
        if self._batches is not None:
            stalls.watch(now, counts.accepted, is_waiting=not self._batches.is_idle)
        self.monitor.look(now, stalled=stalls.seconds(now))
