"""A stream whose state counts whole hours instead of records."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream
from singer_sdk.exceptions import AbortedSyncExceptionBase
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_amplitude.errors import Stopped, TapError, TooManyRejects
from tap_amplitude.files.left_out import LeftOut
from tap_amplitude.logs import says_something
from tap_amplitude.output.messages import MessageWriter
from tap_amplitude.output.rejects import Rejects, rejects_at
from tap_amplitude.settings import Settings
from tap_amplitude.sources.archive import ArchiveSource
from tap_amplitude.sources.file_plan import plan_files
from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.state.notes import count, not_listed
from tap_amplitude.state.reach import Reach
from tap_amplitude.streams.reject_share import RejectLimit, RejectShare
from tap_amplitude.streams.schema_drift import SchemaDrift
from tap_amplitude.windows import HOUR, Window, hour_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.tap_base import Tap

    from tap_amplitude.common.object_cutter import Found
    from tap_amplitude.files.member import Member
    from tap_amplitude.sources.file_plan import Step
    from tap_amplitude.state.notes import Note


class HourlyStream(Stream):
    """Keeps the first hour that is not exported yet as its state.

    The SDK's bookmarks hold the replication key of a record. They do not fit here: events of one
    export hour come in any order, and an hour without events must move the bookmark, too. So the
    SDK's bookkeeping of record keys is switched off, and `write_bookmark` is called when the last
    record of an hour is out.
    """

    # Rows keep their fields, known or not, and their types. (Conforming would also be the most
    # expensive step of the tap.)
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    # STATE is written at the end of an hour, never after a number of records.
    STATE_MSG_FREQUENCY = sys.maxsize

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap)
        self._read_until: datetime | None = None
        self._left_out = LeftOut()
        self._records = 0
        self._rejects: Rejects | None = None
        self.logger.addFilter(is_news)

    def read_bookmark(self) -> Bookmark | None:
        """Read the state, unless the catalog asks for the full table."""
        if self.forced_replication_method == REPLICATION_FULL_TABLE:
            return None
        return Bookmark.from_state(self.stream_state)

    def write_bookmark(self, bookmark: Bookmark, read_until: datetime) -> None:
        """Write a STATE: everything that the bookmark covers is out.

        Args:
            bookmark: Where the next run goes on.
            read_until: All hours of this run before this one are out.
        """
        self._read_until = read_until
        self.stream_state.clear()
        self.stream_state.update(bookmark.to_state())
        # Leaves out a state that did not change.
        self._tap.state_writer.write_state(self.tap_state)

    @property
    def reject_share(self) -> RejectShare | None:
        """How much the run read and rejected so far; None when nothing was."""
        if self._rejects is None or not self._rejects.count:
            return None
        return self._share_of(self._rejects, self._records)

    def _share_of(self, rejects: Rejects, records: int) -> RejectShare:
        return RejectShare(self.name, rejects.count, records, rejects.place)

    @cached_property
    def _limit(self) -> RejectLimit:
        return RejectLimit(Settings.read(self.config))

    def _open_rejects(self, settings: Settings, now: datetime) -> None:
        """Make ready for bad lines, if they are to be kept."""
        if settings.rejects_path:
            self._rejects = rejects_at(settings.rejects_path, now)

    def _keep(self, rejects: Rejects, member: Member, bad: Found, *, records: int) -> None:
        """Keep a bad line aside; stop when there are too many.

        Args:
            rejects: Where it goes.
            member: The file that it stands in.
            bad: The line.
            records: How many records the run has read so far.

        Raises:
            TapError: It cannot be kept, or the run must not go on.
        """
        rejects.add(bad.text, reason=f"{member.name!r}, {bad.place}: {bad.reason}")
        try:
            self._limit.stop_at_too_many_rejects(self._share_of(rejects, records))
        except TooManyRejects:
            rejects.sync()
            rejects.close()
            raise

    def _advance(self, bookmark: Bookmark, read_until: datetime) -> None:
        """Write the state when all hours of this run before one are out."""
        if self._rejects:
            self._rejects.sync()
        self.write_bookmark(bookmark, read_until)

    def _read_files(
        self,
        settings: Settings,
        now: datetime,
        *,
        merged_ids: bool = False,
        raw: bool = False,
    ) -> Iterator[tuple[Step, Sequence[Member]]]:
        """Read exported files hour by hour; move the state when the next hour is asked for."""
        bookmark = self.read_bookmark()
        reach = Reach.of(bookmark, settings)
        source = ArchiveSource(settings, reach, now, merged_ids=merged_ids, raw=raw)
        plan = plan_files(bookmark, reach, source.listing)
        self._left_out = source.left_out
        for why, member, note in plan.left_out:
            self._left_out.add(why, member.place, note)
        self._say([*plan.notes, not_listed(source.not_listed())])
        state = plan.bookmark
        if state is None or not plan.steps:
            return
        window = Window(plan.steps[0].hour, plan.steps[-1].hour + HOUR)
        hours = count(window.hours, "hour")
        self.logger.info("Exporting %s (%s) from %s.", window, hours, settings.archive_path)
        read = source.read(step.files for step in plan.steps)
        for step, members in zip(plan.steps, read, strict=True):
            yield step, members
            state = plan.after(state, step)
            self._advance(state, step.hour + HOUR)

    def _say(self, notes: Iterable[Note | None]) -> None:
        for note in notes:
            if note:
                self.logger.log(logging.WARNING if note.is_warning else logging.INFO, note.text)

    def _saved(self) -> str:
        """Say what is safe when the run fails now."""
        if self._read_until is None:
            return "No hour was finished in this run; the state is as it was."
        return (
            f"All hours before {hour_text(self._read_until)} are out; the state keeps "
            "those that the target has taken."
        )

    def _write_starting_replication_value(self, context: Context | None) -> None:
        """Leave the state alone."""

    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        """Leave the state alone: a record says nothing about its hour being whole."""

    def _write_state_message(self) -> None:
        """Write no state between two hours."""

    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:  # noqa: ARG002
        """Offer no BATCH files: the SDK's own would decode and encode every event once more."""
        return None

    def _process_record(
        self,
        record: Record,
        child_context: Context | None = None,
        partition_context: Context | None = None,
    ) -> None:
        """Do nothing: there are no child streams, and the SDK would copy each record for them."""

    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        """Sync as the SDK does; tell failures what is safe."""
        try:
            with self._telling_what_is_saved():
                yield from super()._sync_records(context, write_messages=write_messages)
        except AbortedSyncExceptionBase:
            # A record limit is reached: the records up to it still wait for a block to fill up.
            if isinstance(self._tap.message_writer, MessageWriter):
                self._tap.message_writer.flush()
            raise

    def _sync_batches(self, batch_config: BatchConfig, context: Context | None = None) -> None:
        """Sync as the SDK does; tell failures what is safe."""
        with self._telling_what_is_saved():
            super()._sync_batches(batch_config, context)

    @contextmanager
    def _telling_what_is_saved(self) -> Iterator[None]:
        try:
            yield
        except (TapError, Stopped) as failure:
            failure.saved = self._saved()
            raise

    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        """Make the message of a record; the SDK's way through only when something changes it."""
        self._look_at(record)
        if not self._goes_out_unchanged:
            yield from super()._generate_record_messages(record)
            return
        yield RecordMessage(self.name, record, time_extracted=datetime.now(timezone.utc))

    @cached_property
    def _schema_drift(self) -> SchemaDrift:
        return SchemaDrift({*self.schema["properties"], *self.effective_schema["properties"]})

    def _look_at(self, record: Record) -> None:
        """Let the schema name the record's fields, before the record is written."""
        if news := self._schema_drift.observe(record):
            self._name(news)

    def _name(self, news: Mapping[str, Any]) -> None:
        """Write the SCHEMA again, with new fields; a deselected one stays out."""
        selected = {name: kind for name, kind in news.items() if self.mask["properties", name]}
        if not selected:
            return
        raw = self.stream_maps[0].raw_schema
        schema = {**raw, "properties": {**raw["properties"], **selected}}
        self._tap.mapper.register_raw_stream_schema(self.name, schema, self.primary_keys)
        self._stream_maps = None
        self._write_schema_message()

    @cached_property
    def _goes_out_unchanged(self) -> bool:
        """Whether no selection, stream map or flattening touches the records."""
        maps = self.stream_maps
        return (
            len(maps) == 1
            and type(maps[0]) is SameRecordTransform
            and not maps[0].flattening_enabled
            and all(self.mask.values())
        )


def is_news(record: logging.LogRecord) -> bool:
    """Keep back the SDK's small talk, and its "unhandled error" when it is handled.

    That is by `__main__`, or by `--test`.
    """
    return says_something(record) and not (
        isinstance(sys.exc_info()[1], (TapError, AbortedSyncExceptionBase))
        and str(record.msg).startswith("An unhandled error occurred while syncing")
    )
