"""The stream of events: hours in, Singer messages out, one STATE for each whole hour."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from singer_sdk import StreamSchema
from singer_sdk.schema.source import SchemaDirectory

from tap_amplitude import schemas
from tap_amplitude.common.object_cutter import Found
from tap_amplitude.common.quantities import count
from tap_amplitude.output.batch_files import BatchFileWriter, FilesMessage
from tap_amplitude.records import fast_json, fast_row, json_of, row_of
from tap_amplitude.sources.archive import hours_of_files
from tap_amplitude.sources.export_api import hours_of_project
from tap_amplitude.streams.base import HourlyStream
from tap_amplitude.validation import rounded_dates
from tap_amplitude.windows import hour_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig, SDKBatchMessage
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.tap_base import Tap

    from tap_amplitude.files.member import Member
    from tap_amplitude.output.messages import MessageWriter
    from tap_amplitude.sources.hour_range import HourRange


class EventsStream(HourlyStream):
    """Raw events, as Amplitude exports them."""

    name = "events"
    primary_keys = ("uuid",)
    replication_key = "server_upload_time"
    schema = StreamSchema(SchemaDirectory(schemas))
    thing = "an event"
    writes_files = True

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap)
        self._odd_times = self._files_handed_over = 0
        self._handed_over: Sequence[Member] = ()

    def open_range(self, now: datetime, *, raw: bool) -> HourRange:
        """Return the hours of exported files, or of a project, that this run reads."""
        for sentence in rounded_dates(self.config):
            self.logger.info(sentence)
        if self.settings.archive_path:
            return hours_of_files(self.read_bookmark(), self.settings, now, raw=raw)
        return hours_of_project(
            self.read_bookmark(),
            self.settings,
            now,
            user_agent=self._tap.user_agent,
            # `--test` wants one record: one small request tells whether the keys work.
            just_one=self.ABORT_AT_RECORD_COUNT is not None,
            raw=raw,
        )

    def rows(self, member: Member) -> Iterator[Record | Found]:
        """Read the events of a file."""
        for row in member.take(fast_row, row_of):
            if isinstance(row, Found):
                yield row
            else:
                self._odd_times += row.odd_times
                yield row.record

    def write_files(self, writer: MessageWriter) -> Iterator[int]:
        """Write all events of the run; yield how many there were in each file."""
        for files in self.hours():
            for member in files:
                yield self._write_rows(member, writer)

    def _write_rows(self, member: Member, writer: MessageWriter) -> int:
        """Write the messages of a file; return how many they are."""
        frame = writer.frame(self.name, datetime.now(timezone.utc))
        events = odd_times = 0
        observe = self.look_at
        for done in member.take(
            partial(fast_json, observe=observe), partial(json_of, observe=observe)
        ):
            if isinstance(done, Found):
                self.reject(member, done, self.records + events)
                continue
            record, odd = done
            writer.write_record(frame, record)
            events += 1
            odd_times += odd
        self.records += events
        self._odd_times += odd_times
        return events

    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:  # noqa: ARG002
        """Return the storage of BATCH files; None where RECORD messages go out."""
        batch = self.settings.batch
        if batch and (obstacle := self._obstacle(batch)):
            self.logger.info("`batch_config`: events go out as records, because %s.", obstacle)
            return None
        return batch

    def get_batches(
        self,
        batch_config: BatchConfig,
        context: Context | None = None,  # noqa: ARG002
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Yield encoding and addresses of an hour's files; the state moves when an hour is named.

        Raises:
            TapError: An hour cannot be read, or a file of it cannot be handed over.
        """
        files = BatchFileWriter(batch_config.storage, max_bytes=self.settings.max_spool_bytes)
        try:
            for members in self.hours(raw=True):
                self._handed_over = members
                yield batch_config.encoding, files.write(members)
                self._files_handed_over += len(members)
            files.finish()
        finally:
            files.close()

    def batch_message(self, message: SDKBatchMessage) -> SDKBatchMessage:
        """Add what to do at a bad line, and what the files are called in the source."""
        return FilesMessage(
            message.stream,
            message.encoding,
            message.manifest,
            on_bad_line=self.settings.on_bad_line,
            names=[member.name for member in self._handed_over],
        )

    def _obstacle(self, batch: BatchConfig) -> str | None:
        """Return why files cannot go out as they are."""
        if (batch.encoding.format, batch.encoding.compression) != ("jsonl", "gzip"):
            return "Amplitude's files are `jsonl` with `gzip`, and `encoding` asks for another form"
        if self.ABORT_AT_RECORD_COUNT is not None:
            return "a test asks for a number of records"
        if not self.goes_out_unchanged:
            return "stream maps, flattening or the selection of fields change them"
        return None

    def nothing_new(self) -> str:
        """Return that there are no events to read."""
        return f"Nothing to export from {self.settings.place}, so there is nothing to do."

    def results(self, rejected: Iterable[str]) -> Iterator[str]:
        """Yield what was exported, what was odd in it, and where the next run goes on."""
        files = self._files_handed_over
        what = [count(files, "file")] if files else []
        if self.records or not files:
            what.append(count(self.records, "event"))
        yield f"Exported {' and '.join(what)} of {count(self.hours_read, 'hour')}"
        yield f"{count(self.hours_read - self.hours_with_files, 'hour')} without events"
        yield from rejected
        if self._odd_times:
            yield f"{count(self._odd_times, 'unreadable time')} kept unchanged"
        if self.next_hour:
            yield f"the next hour is {hour_text(self.next_hour)}"
