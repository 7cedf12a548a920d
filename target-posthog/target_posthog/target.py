"""The target: the parts of a run, and what each callback of the SDK has them do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from target_posthog.errors import BrokenInput, TargetPosthogError
from target_posthog.formats.converter import Conversions
from target_posthog.identity.range_lock import range_of_run
from target_posthog.inflow import Inflow
from target_posthog.input.batch_files import files_of
from target_posthog.input.reader import SingerLines
from target_posthog.input.record_blocks import RecordBlocks
from target_posthog.monitor import Monitor
from target_posthog.progress.summary import Summary
from target_posthog.rejects.names import PREVIEW, owner_of
from target_posthog.rejects.writer import Rejects, rejects_at
from target_posthog.runtime import Runtime
from target_posthog.sdk import config_files
from target_posthog.sinks import PosthogSink, SinkTarget
from target_posthog.streams import SdkRecords, Streams
from target_posthog.validation import api_key_of

if TYPE_CHECKING:
    from datetime import datetime

    from target_posthog.model import Json


class TargetPosthog(SinkTarget):
    """Sends events to PostHog, Amplitude's whole history first of all."""

    default_sink_class: type[PosthogSink] = PosthogSink
    message_reader_class = SingerLines
    #: Whether the files of BATCH messages stay, delivered or not.
    keeps_batch_files = False
    #: Whether records that need nothing of the SDK are taken in blocks.
    takes_blocks = True

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.conversions = Conversions(self.settings)
        self.runtime = self.open_runtime()
        self.delivery, self.wire = self.runtime.delivery, self.runtime.wire
        self.monitor = Monitor(self.runtime, self.settings, _summary())
        self.streams = Streams(self, are_plain=self.takes_blocks)
        reader = self.message_reader
        assert isinstance(reader, SingerLines)  # noqa: S101 - see above
        self._records = SdkRecords(self, self.streams, reader)
        self.inflow = Inflow(
            self.settings,
            self.runtime,
            self.monitor,
            plain_sink=self.streams.plain_sink,
            take_line=self._records.take_line,
            write_state=self._write_safe_state,
            say=self.say_once,
        )
        reader.blocks = RecordBlocks(self.inflow)
        reader.on_idle = reader.blocks.attend
        reader.on_waited = self.inflow.note_wait

    @override
    def prepare_settings(self, config: dict[str, Any]) -> None:
        """Let the summary know where it goes, also of a run whose settings are wrong."""
        if (summary := _summary()) is not None:
            summary.config = config

    def open_runtime(self) -> Runtime:
        """Open what the run needs; a command may need something else in a part's place."""
        # Commands that send, such as a replay, move no range.
        state_id = "" if _summary() is None else range_of_run(config_files(), os.environ)
        return Runtime(
            self.settings, self.program, open_rejects=self.open_rejects, state_id=state_id
        )

    def open_rejects(self, started: datetime) -> Rejects:
        """Open the rejects of the run."""
        # What a run rejects that sends nothing, the one that sends will reject, too.
        is_trial = self.settings.preview_path or self.settings.free_order == "collect"
        owner = PREVIEW if is_trial else owner_of(api_key_of(self.settings))
        place, setting = self.settings.rejects_place, self.settings.rejects_setting
        return rejects_at(place, started, owner, setting)

    @override
    def take_schema(self, message: Json) -> None:
        self.inflow.has_schema = True
        self.streams.take_schema(message, self.inflow.catch_up)

    @override
    def take_record(self, message: Json) -> None:
        self.inflow.open()
        self.inflow.catch_up()
        self._records.take(message)
        self.inflow.show_progress()

    @override
    def as_came(self, known: Json, stream: str) -> Json:
        return self._records.as_came(known, stream)

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
        self.streams.require_schema(stream)
        is_plain = self.inflow.takes(stream)
        try:
            if is_plain:
                self.inflow.take_files(stream, files)
            else:
                self.inflow.catch_up()
                for record in self._records.messages_of(stream, files):
                    self.take_record(record)
        except TargetPosthogError as error:
            if is_plain or isinstance(error, BrokenInput):
                self.drain_all()  # writes the state of what came before this message
            raise

    @override
    def take_state(self, state: Any) -> None:
        self.inflow.take_state(state)

    @override
    def deliver_and_write(self, state: Json) -> None:
        self.inflow.deliver_and_write(state)

    def _write_safe_state(self, state: Json) -> None:
        # A preview writes none: PostHog accepted nothing, and the run that sends must begin where
        # it did.
        if self.runtime.preview is None:
            self.print_state(state)
            self.monitor.wrote(state)

    @override
    def save_what_is_safe(self) -> None:
        self.inflow.save_what_is_safe()

    @override
    def process_endofpipe(self) -> None:
        if not self.inflow.has_begun:
            self.streams.refuse_schemas_alone()
        self.inflow.deliver_all()
        self.runtime.finish_book()
        super().process_endofpipe()
        self.streams.warn_of_unused_entries(self.inflow.met)
        self.monitor.finish(self.inflow.tap_end(self.latest_state))
        self.close()
        self.delivery.fates.limit.check_at_the_end(trial=self.runtime.trial)
        self.monitor.say_next_step()

    def close(self) -> None:
        """Close files and connections, and end the workers."""
        self.inflow.close()
        self.runtime.close()


def _summary() -> Summary | None:
    """Return the summary of this process, which `cli` writes at every exit; commands have none."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.find_object(Summary)
