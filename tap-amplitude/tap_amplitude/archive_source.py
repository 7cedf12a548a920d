"""The user's own exported files as a source: a .zip, a folder or a bucket, hour by hour."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tap_amplitude.archive import Archive, by_hour, open_archive
from tap_amplitude.bucket_listing import Days
from tap_amplitude.buckets import BucketStore, at_hand
from tap_amplitude.clouds import is_url
from tap_amplitude.errors import ForeignArchive
from tap_amplitude.file_names import NAMED_LIKE
from tap_amplitude.left_out import Why
from tap_amplitude.row_kinds import Rows
from tap_amplitude.sources import Portion
from tap_amplitude.spool import Spool
from tap_amplitude.windows import HOUR, READY_AFTER, Window, hour_text
from tap_amplitude.zip_stores import OpenZips

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_amplitude.members import Member
    from tap_amplitude.settings import Settings

logger = logging.getLogger("tap-amplitude.archive_source")

#: Only hours of these days can still be on their way; an older file that was written just now was
#: copied there, or is a backfill.
_STILL_ARRIVING = timedelta(days=2)
#: A file that is younger may have brothers that are still on their way.
_SETTLED_AFTER = timedelta(minutes=30)


class ArchiveSource:
    """Reads exported files.

    Args:
        settings: Where the files lie, and bounds.
        start: The first hour that is wanted; of a bucket, only files of its day and later are
            listed.
        merged_ids: Read the lists of merged users instead of the events.
        as_stored: Events are handed over undecoded: check files as `Member.verify` says.

    Attributes:
        left_out: Which files are not read, and why.

    Raises:
        TapError: The archive cannot be read, or holds no events.
    """

    def __init__(
        self,
        settings: Settings,
        start: datetime | None,
        *,
        merged_ids: bool = False,
        as_stored: bool = False,
    ) -> None:
        assert settings.archive_path is not None  # noqa: S101 - the caller chose this source
        self._settings = settings
        self._start = start
        self._as_stored = as_stored
        self._rows = Rows.MERGES if merged_ids else Rows.EVENTS
        self._bucket: BucketStore | None = None
        self._archive = self._open(settings.archive_path)
        self.left_out = self._archive.left_out
        self._members: Sequence[Member] = (
            self._archive.merged_ids if merged_ids else self._archive.members
        )
        nothing_new = merged_ids or (self._bucket and start and not self._bucket.is_empty)
        if not nothing_new and not self._archive.holds_events():
            raise ForeignArchive(
                f"{self._archive.origin} holds no export files of Amplitude.",
                remedy=NAMED_LIKE,
            )

    def _open(self, place: str) -> Archive:
        settings = self._settings
        zips = OpenZips(settings.spool_path, settings.max_spool_bytes)
        bound = settings.max_member_bytes
        if not is_url(place):
            path = Path(place).expanduser()
            return open_archive(path, max_member_bytes=bound, zips=zips, wanted=self._is_wanted)
        self._bucket = BucketStore(place, _days(self._start, settings.end))
        return Archive(self._bucket, zips=zips, max_member_bytes=bound, wanted=self._is_wanted)

    def _is_wanted(self, hour: datetime) -> bool:
        end = self._settings.end
        return not (self._start and hour < self._start) and not (end and hour >= end)

    @property
    def is_empty(self) -> bool:
        """Whether there are no files."""
        return not self._members

    @property
    def window(self) -> Window:
        """From the first hour that has a file to the last.

        Of a bucket from `start` on, because what lies before it is not listed.
        """
        if self.is_empty:
            nowhere = self._start or datetime.now(timezone.utc)
            return Window(nowhere, nowhere)
        first, last = self._members[0].hour, self._members[-1].hour
        if self._bucket and self._start:
            first = self._start
        return Window(first, min(last + HOUR, self._arriving or last + HOUR))

    def portions(self, start: datetime, until: datetime) -> Iterator[Portion]:
        """Give hour after hour; each is verified before it is given.

        Hours without files between two that have some are taken as empty: bucket exports may
        leave no mark for them.
        """
        with ExitStack() as stack:
            stack.callback(self._archive.close)
            spool = Spool(self._settings.spool_path) if self._bucket else None
            if spool:
                stack.callback(spool.close)
            for hour, members in by_hour(self._members):
                if hour < start:
                    continue
                if hour >= until:
                    break
                with self._at_hand(members, spool) as near:
                    files = self._archive.ready(near, rows=self._rows, as_stored=self._as_stored)
                    yield Portion(Window(start, hour + HOUR), [(hour, files)] if files else ())
                start = hour + HOUR
            if start < until:
                yield Portion(Window(start, until))

    def leave_out(self, start: datetime, until: datetime) -> None:
        """Count the files that a run does not read.

        Args:
            start: The first hour that it reads.
            until: The first hour after it.
        """
        for member in self._members:
            if not start <= member.hour < until:
                why = self._why_outside(member.hour, start)
                note = ""
                if why is Why.NOT_READY:
                    note = f"which can be read from {hour_text(member.hour + READY_AFTER)} on"
                self.left_out.add(why, member.place, note)

    def _why_outside(self, hour: datetime, start: datetime) -> Why:
        first, end = self._settings.start, self._settings.end
        if hour < start:
            return Why.BEFORE_START if first and hour < first else Why.READ_BEFORE
        if end and hour >= end:
            return Why.AFTER_END
        arriving = self._arriving
        return Why.ARRIVING if arriving and hour >= arriving else Why.NOT_READY

    def _at_hand(
        self, members: Sequence[Member], spool: Spool | None
    ) -> AbstractContextManager[Sequence[Member]]:
        """Bring the files of an hour to this machine, if they are not here."""
        if self._bucket is None or spool is None:
            return nullcontext(members)
        return at_hand(members, spool.path, self._settings.max_spool_bytes)

    @cached_property
    def _arriving(self) -> datetime | None:
        """Find the first hour whose files may not all be there yet.

        An export that runs late writes the files of an hour one after the other, long after the
        hour itself was over. Were the hour read in between, the rest of it would be lost.
        """
        if self._bucket is None:
            return None
        now = datetime.now(timezone.utc)
        recent, young = now - _STILL_ARRIVING, now - _SETTLED_AFTER
        for member in self._members:
            if member.hour > recent and member.modified and member.modified > young:
                logger.info(
                    "A file of %s was written a few minutes ago, and others may follow: this hour "
                    "and later ones are left for the next run.",
                    hour_text(member.hour),
                )
                return member.hour
        return None


def _days(start: datetime | None, end: datetime | None) -> Days:
    return Days(start.date() if start else None, (end - HOUR).date() if end else None)
