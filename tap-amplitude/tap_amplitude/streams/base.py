"""A stream whose state counts whole hours instead of records."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_amplitude.common.object_cutter import Found
from tap_amplitude.common.quantities import count
from tap_amplitude.files.left_out import Why
from tap_amplitude.sdk import WholeHoursStream
from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.streams.bad_lines import BadLines
from tap_amplitude.streams.schema_drift import SchemaDrift
from tap_amplitude.windows import hour_text

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.tap_base import Tap

    from tap_amplitude.files.left_out import LeftOut
    from tap_amplitude.files.member import Member
    from tap_amplitude.sources.hour_range import HourRange
    from tap_amplitude.streams.reject_share import RejectShare


class HourlyStream(WholeHoursStream):
    """Reads hour after hour, and keeps the first one that is not exported yet as its state."""

    #: What a record is, for messages.
    thing: ClassVar[str]
    #: The reasons for leaving files out that this stream speaks of.
    reasons: ClassVar[Container[Why]] = frozenset(Why)

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap)
        #: How many records the run has read, of how many hours, and in how many of them.
        self.records = self.hours_read = self.hours_with_files = 0
        self.next_hour: datetime | None = None
        self._read_until: datetime | None = None
        self.bad_lines: BadLines | None = None

    def open_range(self, now: datetime, *, raw: bool) -> HourRange:
        """Return what this run reads; with `raw` files are handed over undecoded."""
        raise NotImplementedError

    def rows(self, member: Member) -> Iterator[Record | Found]:
        """Read the records of a file, and what stands in it that is none."""
        raise NotImplementedError

    def get_records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        """Yield a record for each row; the state moves when the last record of an hour is out.

        Raises:
            TapError: An hour cannot be read, or a line of it cannot be read.
        """
        for files in self.hours():
            for member in files:
                for row in self.rows(member):
                    if isinstance(row, Found):
                        self.reject(member, row, self.records)
                    else:
                        self.records += 1
                        yield row

    def reject(self, member: Member, bad: Found, records: int) -> None:
        """Keep a bad line aside, or stop; see `BadLines`."""
        assert self.bad_lines is not None  # noqa: S101 - `hours` has given the file
        self.bad_lines.take(member, bad, records=records)

    def hours(self, *, raw: bool = False) -> Iterator[Sequence[Member]]:
        """Yield the files of each hour that has some; the state moves when they are out."""
        now = datetime.now(timezone.utc)
        bad_lines = self.bad_lines = BadLines(self.name, self.thing, self.settings, now)
        hours = self.open_range(now, raw=raw)
        for note in hours.notes:
            self.logger.log(logging.WARNING if note.is_warning else logging.INFO, note.text)
        if window := hours.window:
            number = count(window.hours, "hour")
            self.logger.info("Exporting %s (%s) from %s.", window, number, self.settings.place)
        for read in hours.verified:
            if read.files:
                yield read.files
                self.hours_with_files += 1
            self.hours_read += read.hours
            bad_lines.sync()
            self.write_bookmark(read.bookmark, read.read_until)
        self._report(bad_lines, hours.left_out)

    def read_bookmark(self) -> Bookmark | None:
        """Read the state, unless the catalog asks for the full table."""
        if self.forced_replication_method == REPLICATION_FULL_TABLE:
            return None
        return Bookmark.from_state(self.stream_state)

    def write_bookmark(self, bookmark: Bookmark, read_until: datetime) -> None:
        """Write a STATE: everything that the bookmark covers is out.

        All hours of this run before `read_until` are out.
        """
        self.next_hour, self._read_until = bookmark.next_export_hour, read_until
        self.stream_state.clear()
        self.stream_state.update(bookmark.to_state())
        # Leaves out a state that did not change.
        self._tap.state_writer.write_state(self.tap_state)

    def saved(self) -> str:
        """Return what is safe when the run fails now."""
        if self._read_until is None:
            return "No hour was finished in this run; the state is as it was."
        return (
            f"All hours before {hour_text(self._read_until)} are out; the state keeps "
            "those that the target has taken."
        )

    @cached_property
    def observe(self) -> Callable[[Record], Mapping[str, Any]]:
        """Returns the schemas of a record's fields that the stream's schema lacks."""
        known = {*self.schema["properties"], *self.effective_schema["properties"]}
        return SchemaDrift(known).observe

    @property
    def reject_share(self) -> RejectShare | None:
        """How much the run read and rejected so far; None when nothing was."""
        return self.bad_lines.share(self.records) if self.bad_lines else None

    def _report(self, bad_lines: BadLines, left_out: LeftOut) -> None:
        """Log what came of the run, and what it left out."""
        if self.hours_read:
            rejected = list(bad_lines.result())
            level = logging.WARNING if rejected else logging.INFO
            self.logger.log(level, "%s.", "; ".join(self.results(rejected)))
        else:
            self.logger.info(self.nothing_new())
        bad_lines.close()
        for level, sentence in left_out.sentences(self.reasons):
            self.logger.log(level, sentence)

    def nothing_new(self) -> str:
        """Return that there is nothing to read, in a sentence."""
        raise NotImplementedError

    def results(self, rejected: Iterable[str]) -> Iterator[str]:
        """Yield what came of the run, each in a few words, with what was rejected."""
        raise NotImplementedError
