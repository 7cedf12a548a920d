"""The user's own exported files as a source: a .zip, a folder or a bucket, hour by hour."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tap_amplitude.archive import Archive, by_hour, open_archive
from tap_amplitude.bucket_listing import Days
from tap_amplitude.buckets import BucketStore
from tap_amplitude.clouds import is_url
from tap_amplitude.errors import ForeignArchive
from tap_amplitude.sources import Portion, report_unknown
from tap_amplitude.spool import Spool
from tap_amplitude.windows import HOUR, Window, hour_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_amplitude.members import Member
    from tap_amplitude.settings import Settings

logger = logging.getLogger("tap-amplitude.archive_source")

#: Only hours of these days can still be on their way; an older file that was written just now was
#: copied there, or is a backfill.
_STILL_ARRIVING = timedelta(days=2)


class ArchiveSource:
    """Reads exported files.

    Args:
        settings: Where the files lie, and bounds.
        start: The first hour that is wanted; of a bucket, only files of its day and later are
            listed.
        merged_ids: Read the lists of merged users instead of the events.
        as_stored: Events are handed over undecoded: check files as `Member.verify` says.

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
        self._bucket: BucketStore | None = None
        if is_url(settings.archive_path):
            self._bucket = BucketStore(settings.archive_path, _days(start, settings.end))
            self._archive = Archive(
                settings.archive_path, self._bucket, max_member_bytes=settings.max_member_bytes
            )
        else:
            self._archive = open_archive(
                Path(settings.archive_path).expanduser(),
                max_member_bytes=settings.max_member_bytes,
            )
        self._members: Sequence[Member] = (
            self._archive.merged_ids if merged_ids else self._archive.members
        )
        if merged_ids:
            return
        report_unknown(self._archive)
        nothing_new = self._bucket and start and not self._bucket.is_empty
        if not self._members and not nothing_new:
            raise ForeignArchive(
                f"{self._archive.origin} holds no export files of Amplitude.",
                remedy="Event files are named like 187520_2020-01-25_17#1.json.gz.",
            )

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
        return Window(first, min(last + HOUR, self._arriving() or last + HOUR))

    def portions(self, start: datetime, until: datetime) -> Iterator[Portion]:
        """Give hour after hour; each is verified before it is given.

        Hours without files between two that have some are taken as empty: bucket exports may
        leave no mark for them.
        """
        with ExitStack() as stack:
            spool = Spool(self._settings.spool_path) if self._bucket else None
            if spool:
                stack.callback(spool.close)
            for hour, members in by_hour(self._members):
                if hour < start:
                    continue
                if hour >= until:
                    break
                with self._at_hand(members, spool) as files:
                    self._archive.verify(files, as_stored=self._as_stored)
                    yield Portion(Window(start, hour + HOUR), [(hour, files)])
                start = hour + HOUR
            if start < until:
                yield Portion(Window(start, until))

    def _at_hand(
        self, members: Sequence[Member], spool: Spool | None
    ) -> AbstractContextManager[Sequence[Member]]:
        """Bring the files of an hour to this machine, if they are not here."""
        if self._bucket is None or spool is None:
            return nullcontext(members)
        return self._bucket.at_hand(members, spool.path, self._settings.max_spool_bytes)

    def _arriving(self) -> datetime | None:
        """Find the first hour whose files may not all be there yet.

        An export that runs late writes the files of an hour one after the other, long after the
        hour itself was over. Were the hour read in between, the rest of it would be lost.
        """
        if self._bucket is None:
            return None
        recent = datetime.now(timezone.utc) - _STILL_ARRIVING
        for member in self._members:
            if member.hour > recent and member.name in self._bucket.fresh:
                logger.info(
                    "A file of %s was written a few minutes ago, and others may follow: this hour "
                    "and later ones are left for the next run.",
                    hour_text(member.hour),
                )
                return member.hour
        return None


def _days(start: datetime | None, end: datetime | None) -> Days:
    return Days(start.date() if start else None, (end - HOUR).date() if end else None)
