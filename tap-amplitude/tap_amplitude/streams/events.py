"""The stream of events: hours in, Singer messages out, one STATE for each whole hour."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from singer_sdk import StreamSchema
from singer_sdk.schema.source import SchemaDirectory

from tap_amplitude import schemas
from tap_amplitude.common.object_cutter import Found
from tap_amplitude.errors import BadLine
from tap_amplitude.output.batch_files import BatchFileWriter, FilesMessage
from tap_amplitude.output.messages import MessageWriter
from tap_amplitude.records import fast_json, fast_row, json_of, row_of
from tap_amplitude.settings import Settings, read_batch_config
from tap_amplitude.sources.api_plan import plan_project
from tap_amplitude.sources.export_api import ApiSource
from tap_amplitude.state.bookmark import Bookmark, project_digest
from tap_amplitude.state.notes import count
from tap_amplitude.streams.base import HourlyStream
from tap_amplitude.validation import rounded_dates
from tap_amplitude.windows import HOUR, hour_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig, SDKBatchMessage
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.tap_base import Tap

    from tap_amplitude.files.member import Member


@dataclass
class _Tally:
    """What a run did so far."""

    files: int = 0
    hours: int = 0
    hours_with_events: int = 0
    odd_times: int = 0
    next_hour: datetime | None = None


class EventsStream(HourlyStream):
    """Raw events, as Amplitude exports them."""

    name = "events"
    primary_keys = ("uuid",)
    replication_key = "server_upload_time"
    schema = StreamSchema(SchemaDirectory(schemas))

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap)
        self._tally = _Tally()
        self._handed_over: Sequence[Member] = ()

    def get_records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        """Read hour after hour; the state moves when the last event of an hour is out.

        Args:
            context: Not used, the stream has no partitions.

        Yields:
            One record for each row of an export.

        Raises:
            TapError: An hour cannot be had, or a line of it cannot be read.
        """
        for members in self._hours(raw=False):
            yield from self._rows_of(members)

    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        """Write records whole hours at a time; the SDK's way only when something asks for it.

        It looks at each record several times, which costs as much as reading the record.
        """
        writer = self._tap.message_writer
        if not (
            write_messages
            and self.selected
            and self._goes_out_unchanged
            and self.ABORT_AT_RECORD_COUNT is None
            and isinstance(writer, MessageWriter)
        ):
            yield from super()._sync_records(context, write_messages=write_messages)
            return
        counter, timer = self.get_record_counter(), self.get_sync_timer()
        with self._telling_what_is_saved(), counter, timer:
            for members in self._hours(raw=False):
                for member in members:
                    counter.increment(self._write_rows(member, writer))

    def _write_rows(self, member: Member, writer: MessageWriter) -> int:
        """Write the messages of a file; tell how many they are."""
        frame = writer.frame(self.name, datetime.now(timezone.utc))
        events = odd_times = 0
        observe = self._look_at
        for done in member.take(
            partial(fast_json, observe=observe), partial(json_of, observe=observe)
        ):
            if isinstance(done, Found):
                self._reject(member, done, records=self._records + events)
                continue
            record, odd = done
            writer.write_record(frame, record)
            events += 1
            odd_times += odd
        self._records += events
        self._tally.odd_times += odd_times
        return events

    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:
        """Give the storage of BATCH files, if files can go out as they are.

        Args:
            config: What the user set, with the defaults filled in.

        Returns:
            None for RECORD messages.
        """
        batch = read_batch_config(config)
        if batch and (obstacle := self._obstacle(batch)):
            self.logger.info("`batch_config`: events go out as records, because %s.", obstacle)
            return None
        return batch

    def get_batches(
        self,
        batch_config: BatchConfig,
        context: Context | None = None,  # noqa: ARG002
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Hand over the files of hour after hour; the state moves when an hour is named.

        Args:
            batch_config: Where the files go.
            context: Not used, the stream has no partitions.

        Yields:
            The encoding and the addresses of the files of an hour.

        Raises:
            TapError: An hour cannot be had, or a file of it cannot be handed over.
        """
        files = BatchFileWriter(
            batch_config.storage, max_bytes=Settings.read(self.config).max_spool_bytes
        )
        try:
            for members in self._hours(raw=True):
                self._handed_over = members
                yield batch_config.encoding, files.write(members)
                self._tally.files += len(members)
            files.finish()
        finally:
            files.close()

    def _generate_batch_messages(
        self, encoding: BaseBatchFileEncoding, manifest: list[str]
    ) -> Generator[SDKBatchMessage, None, None]:
        """Say with the files what to do at a bad line, and what they are called in the source."""
        for message in super()._generate_batch_messages(encoding, manifest):
            yield FilesMessage(
                message.stream,
                message.encoding,
                message.manifest,
                on_bad_line=self.config["on_bad_line"],
                names=[member.name for member in self._handed_over],
            )

    def _obstacle(self, batch: BatchConfig) -> str | None:
        """Say why files cannot go out as they are."""
        if (batch.encoding.format, batch.encoding.compression) != ("jsonl", "gzip"):
            return "Amplitude's files are `jsonl` with `gzip`, and `encoding` asks for another form"
        if self.ABORT_AT_RECORD_COUNT is not None:
            return "a test asks for a number of records"
        if not self._goes_out_unchanged:
            return "stream maps, flattening or the selection of fields change them"
        return None

    def _hours(self, *, raw: bool) -> Iterator[Sequence[Member]]:
        """Give the files of each hour that has some; move the state when the next is asked for."""
        now = datetime.now(timezone.utc)
        settings = Settings.read(self.config)
        for sentence in rounded_dates(self.config):
            self.logger.info(sentence)
        self._open_rejects(settings, now)
        read = self._hours_of_files if settings.archive_path else self._hours_of_project
        yield from read(settings, now, raw=raw)
        self._report(settings)

    def _hours_of_project(
        self, settings: Settings, now: datetime, *, raw: bool
    ) -> Iterator[Sequence[Member]]:
        digest = project_digest(settings.region, settings.base_url, settings.api_key)
        plan = plan_project(self.read_bookmark(), settings, now, project=digest)
        window, state = plan.window, plan.bookmark
        self._say(plan.notes)
        if window.hours <= 0:
            return
        hours = count(window.hours, "hour")
        self.logger.info("Exporting %s (%s) from %s.", window, hours, settings.base_url)
        source = self._api_source(settings, state, raw=raw)
        self._left_out = source.left_out
        for part in source.verified_hours(window.start, window.end):
            for hour, members in part.hours:
                state = plan.checked(state, {member.app for member in members})
                yield members
                self._tally.hours_with_events += 1
                state = plan.after(state, hour + HOUR, part.window_hours)
                self._advance(state, hour + HOUR)
            self._tally.hours += part.window.hours
            state = plan.after(state, part.window.end, part.window_hours)
            self._advance(state, part.window.end)

    def _hours_of_files(
        self, settings: Settings, now: datetime, *, raw: bool
    ) -> Iterator[Sequence[Member]]:
        for step, members in self._read_files(settings, now, raw=raw):
            if members:
                yield members
                self._tally.hours_with_events += 1
            self._tally.hours += (step.hour + HOUR - step.since) // HOUR

    def _api_source(self, settings: Settings, bookmark: Bookmark, *, raw: bool) -> ApiSource:
        return ApiSource(
            settings,
            user_agent=f"tap-amplitude/{self._tap.plugin_version}",
            remembered_hours=bookmark.window_hours,
            # `--test` wants one record: one small request tells whether the keys work.
            just_one=self.ABORT_AT_RECORD_COUNT is not None,
            raw=raw,
        )

    def _rows_of(self, members: Sequence[Member]) -> Iterator[Record]:
        for member in members:
            for row in member.take(fast_row, row_of):
                if isinstance(row, Found):
                    self._reject(member, row, records=self._records)
                    continue
                self._records += 1
                self._tally.odd_times += row.odd_times
                yield row.record

    def _reject(self, member: Member, bad: Found, *, records: int) -> None:
        if self._rejects is None:
            raise BadLine(
                f"{member.name!r}, {bad.place}, is not an event: {bad.reason}.",
                remedy="Set `on_bad_line` to `reject` to keep such lines aside, or fix the file.",
            )
        self._keep(self._rejects, member, bad, records=records)

    def _advance(self, bookmark: Bookmark, read_until: datetime) -> None:
        """Write the state when all hours of this run before one are out."""
        self._tally.next_hour = bookmark.next_export_hour
        super()._advance(bookmark, read_until)

    def _report(self, settings: Settings) -> None:
        """Say what came of the run, and what it left out."""
        tally, rejects = self._tally, self._rejects
        if tally.hours:
            level = logging.WARNING if rejects and rejects.count else logging.INFO
            self.logger.log(level, "%s.", "; ".join(self._results()))
        else:
            self.logger.info(
                "Nothing to export from %s, so there is nothing to do.",
                settings.archive_path or settings.base_url,
            )
        if rejects:
            rejects.close()
        for level, sentence in self._left_out.sentences():
            self.logger.log(level, sentence)

    def _results(self) -> Iterator[str]:
        tally, rejects = self._tally, self._rejects
        what = [count(tally.files, "file")] if tally.files else []
        if self._records or not tally.files:
            what.append(count(self._records, "event"))
        yield f"Exported {' and '.join(what)} of {count(tally.hours, 'hour')}"
        yield f"{count(tally.hours - tally.hours_with_events, 'hour')} without events"
        if rejects and rejects.count:
            yield f"{count(rejects.count, 'line')} rejected, kept in {rejects.place}"
        if tally.odd_times:
            yield f"{count(tally.odd_times, 'unreadable time')} kept unchanged"
        if tally.next_hour:
            yield f"the next hour is {hour_text(tally.next_hour)}"
