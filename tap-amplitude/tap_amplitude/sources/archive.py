"""The user's own exported files as a source: a .zip, a folder or a bucket, hour by hour."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tap_amplitude.errors import ForeignArchive
from tap_amplitude.files.archive import Archive, open_archive
from tap_amplitude.files.bucket import BucketStore, localised
from tap_amplitude.files.clouds import is_url
from tap_amplitude.files.names import NAMED_LIKE
from tap_amplitude.files.row_kinds import Rows
from tap_amplitude.files.spool import Spool
from tap_amplitude.files.zip_stores import OpenZips
from tap_amplitude.sources.file_plan import Listing, plan_files
from tap_amplitude.sources.hour_range import HourRange, VerifiedHours
from tap_amplitude.state.notes import not_listed
from tap_amplitude.state.reach import Reach
from tap_amplitude.windows import HOUR, Window, hour_text, ready_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from tap_amplitude.files.member import Member
    from tap_amplitude.settings import Settings
    from tap_amplitude.sources.file_plan import FilePlan
    from tap_amplitude.state.bookmark import Bookmark

logger = logging.getLogger("tap-amplitude.archive_source")

#: Only hours of these days can still be on their way; an older file that was written just now was
#: copied there, or is a backfill.
_STILL_ARRIVING = timedelta(days=2)
#: A file that is younger may have brothers that are still on their way.
_SETTLED_AFTER = timedelta(minutes=30)


def hours_of_files(
    bookmark: Bookmark | None,
    settings: Settings,
    now: datetime,
    *,
    merged_ids: bool = False,
    raw: bool = False,
) -> HourRange:
    """Return the hours of exported files that a run reads.

    For `merged_ids` and `raw` see `ArchiveSource`.

    Raises:
        TapError: The archive cannot be read, or holds no events.
    """
    reach = Reach.of(bookmark, settings)
    source = ArchiveSource(settings, reach, now, merged_ids=merged_ids, raw=raw)
    plan = plan_files(bookmark, reach, source.listing)
    for why, member, note in plan.left_out:
        source.left_out.add(why, member.place, note)
    notes = [note for note in (*plan.notes, not_listed(source.not_listed())) if note]
    if plan.bookmark is None or not plan.steps:
        return HourRange(None, notes, left_out=source.left_out)
    first = plan.steps[0]
    window = Window(first.hour if first.files else first.since, plan.steps[-1].hour + HOUR)
    return HourRange(window, notes, _verified_hours(source, plan, plan.bookmark), source.left_out)


def _verified_hours(
    source: ArchiveSource, plan: FilePlan, state: Bookmark
) -> Iterator[VerifiedHours]:
    read = source.read(step.files for step in plan.steps)
    for step, files in zip(plan.steps, read, strict=True):
        state, end = plan.after(state, step), step.hour + HOUR
        yield VerifiedHours(files, (end - step.since) // HOUR, state, end)


class ArchiveSource:
    """Reads exported files.

    Args:
        reach: The hours that are wanted; of a bucket, objects of other days are not listed.
        merged_ids: Read the lists of merged users instead of the events.
        raw: Events are handed over undecoded: check files as `Member.verify` says.

    Attributes:
        listing: The files.
        left_out: Which files are not read, and why.

    Raises:
        TapError: The archive cannot be read, or holds no events.
    """

    def __init__(
        self,
        settings: Settings,
        reach: Reach,
        now: datetime,
        *,
        merged_ids: bool = False,
        raw: bool = False,
    ) -> None:
        assert settings.archive_path is not None  # noqa: S101 - the caller chose this source
        self._settings = settings
        self._reach = reach
        self._as_stored = raw
        self._rows = Rows.MERGES if merged_ids else Rows.EVENTS
        self._bucket: BucketStore | None = None
        self._archive = self._open(settings.archive_path)
        self.left_out = self._archive.left_out
        files = self._archive.merged_ids if merged_ids else self._archive.members
        self.listing = Listing(
            files,
            max((file.modified for file in files if file.modified), default=None),
            is_complete=not (self._bucket and (reach.is_known or settings.start or settings.end)),
            ready=ready_until(now),
            arriving=self._arriving(files, now),
        )
        is_bounded = self._bucket and (reach.is_known or settings.start)
        nothing_new = merged_ids or (is_bounded and self._bucket and not self._bucket.is_empty)
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
        self._bucket = BucketStore(place, self._reach.days_of)
        return Archive(self._bucket, zips=zips, max_member_bytes=bound, wanted=self._is_wanted)

    def _is_wanted(self, member: Member) -> bool:
        return self._reach.wants(member.app, member.hour)

    def read(self, hours: Iterable[Sequence[Member]]) -> Iterator[Sequence[Member]]:
        """Yield the verified files of hour after hour, without those that are not to be read."""
        with ExitStack() as stack:
            stack.callback(self._archive.close)
            spool = Spool(self._settings.spool_path) if self._bucket else None
            if spool:
                stack.callback(spool.close)
            for members in hours:
                with self._localised(members, spool) as near:
                    yield self._archive.ready(near, rows=self._rows, raw=self._as_stored)

    def not_listed(self) -> Sequence[str]:
        """Return the days that were not listed, because their hours are out."""
        return self._reach.days_out() if self._bucket and self._bucket.skips_days else ()

    def _localised(
        self, members: Sequence[Member], spool: Spool | None
    ) -> AbstractContextManager[Sequence[Member]]:
        """Bring the files of an hour to this machine, if they are not here."""
        if self._bucket is None or spool is None:
            return nullcontext(members)
        return localised(members, spool.path, self._settings.max_spool_bytes)

    def _arriving(self, files: Sequence[Member], now: datetime) -> datetime | None:
        """Find the first hour whose files may not all be there yet.

        An export that runs late writes the files of an hour one after the other, long after the
        hour itself was over. Were the hour read in between, the rest of it would be lost.
        """
        if self._bucket is None:
            return None
        recent, young = now - _STILL_ARRIVING, now - _SETTLED_AFTER
        for member in files:
            is_young = member.modified and member.modified > young
            if member.hour > recent and is_young and self._is_wanted(member):
                logger.info(
                    "A file of %s was written a few minutes ago, and others may follow: this hour "
                    "and later ones are left for the next run.",
                    hour_text(member.hour),
                )
                return member.hour
        return None
