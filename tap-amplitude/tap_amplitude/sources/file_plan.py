"""Which exported files a run reads, and what it says of the others (pure: no clock, no I/O).

An hour of an app is read once, from the files that lie there then. What is new to the state, be
it an app, a month before it or the next hour, is read in the order of hours. A part that comes
when its hour is out is read only if no later hour of its app is.

It is a long file, because these rules decide only together what is read.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from tap_amplitude.files.left_out import Why
from tap_amplitude.files.names import read_name
from tap_amplitude.state.bookmark import Bookmark
from tap_amplitude.state.coverage import Coverage, Covered
from tap_amplitude.state.notes import (
    Note,
    all_anew,
    apps_are_new,
    files_again,
    files_are_adopted,
    gap_after,
    late_files,
    more_files,
    switch_to_files,
)
from tap_amplitude.windows import HOUR, READY_AFTER, hour_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tap_amplitude.files.member import Member
    from tap_amplitude.state.reach import Reach


@dataclass(frozen=True)
class Listing:
    """What lies in an archive.

    Attributes:
        files: In the order of their hours.
        newest: When the newest of them came to lie there, if anything tells.
        is_complete: Files of all hours were listed, those that are out among them.
        ready: The first hour that Amplitude may not have finished loading.
        arriving: The first hour whose files may not all be there yet.
    """

    files: Sequence[Member]
    newest: datetime | None
    is_complete: bool
    ready: datetime
    arriving: datetime | None = None


@dataclass(frozen=True)
class Step:
    """An hour whose files are read.

    Attributes:
        files: Its files, of every app that has some.
        since: The first hour that counts with it: those before it have no files.
        ranges: What is out when they are read, by app.
    """

    hour: datetime
    files: Sequence[Member]
    since: datetime
    ranges: Sequence[tuple[str, Covered]]


@dataclass(frozen=True)
class FilePlan:
    """What a run over exported files does.

    Attributes:
        steps: The hours that it reads, in order.
        bookmark: The state that it begins with; None when there is none and nothing to read.
        left_out: Files that it does not read, with the reason and what to do.
    """

    steps: Sequence[Step]
    bookmark: Bookmark | None
    left_out: Sequence[tuple[Why, Member, str]] = field(default=())
    notes: Sequence[Note] = field(default=())

    def after(self, bookmark: Bookmark, step: Step) -> Bookmark:
        """Return the bookmark when the files of a step are out."""
        covered = bookmark.covered or Coverage()
        for app, new in step.ranges:
            covered = covered.with_range(app, new)
        moved = bookmark.moved_to(step.hour + HOUR, self.steps[-1].hour + HOUR, None)
        begin = min(step.since, bookmark.export_from or step.since)
        return replace(moved, covered=covered, export_from=begin)


def plan_files(bookmark: Bookmark | None, reach: Reach, listing: Listing) -> FilePlan:
    """Decide which files a run reads."""
    covered = _adopted(reach, listing)
    chosen = _Choice(reach, listing, covered)
    steps = tuple(_steps(chosen, covered))
    if steps and (last := _last_step(chosen, reach, steps[-1].hour + HOUR)):
        steps = (*steps, last)
    if bookmark is None and not steps:
        steps = tuple(_quiet_range(chosen, reach))
    if bookmark is None and steps:
        begin = min(steps[0].hour, reach.start or steps[0].hour)
        bookmark = Bookmark(begin, export_from=begin)
    elif bookmark is not None and bookmark.covered is None:
        chosen.notes.insert(0, files_are_adopted(bookmark, covered.apps))
        if steps and steps[0].hour > bookmark.next_export_hour:
            chosen.notes.append(gap_after("", bookmark.next_export_hour, steps[0].hour))
    if bookmark is not None:
        if bookmark.project:
            chosen.notes.append(switch_to_files(bookmark.project_app))
        bookmark = replace(bookmark, covered=covered)
    return FilePlan(steps, bookmark, chosen.left_out, chosen.notes)


def _adopted(reach: Reach, listing: Listing) -> Coverage:
    """Return what is out; in a state that does not say whose hours, it is that of all apps."""
    covered = reach.covered
    if reach.of_all is None:
        return covered
    of_app: dict[str, list[Member]] = defaultdict(list)
    for file in listing.files:
        if reach.of_all.holds(file.hour):
            of_app[file.app].append(file)
    for app, files in of_app.items():
        begin = max(reach.of_all.start, files[0].hour)
        known = replace(reach.of_all, start=begin, files=len(files), newest=listing.newest)
        covered = covered.with_range(app, known)
    return covered


class _Choice:
    """The files that are read, and why others are not."""

    def __init__(self, reach: Reach, listing: Listing, covered: Coverage) -> None:
        self.listing = listing
        self.left_out: list[tuple[Why, Member, str]] = []
        self.notes: list[Note] = []
        #: Ranges of which nothing is missing; what follows one may be joined to it.
        self.settled: set[tuple[str, Covered]] = set()
        #: Ranges of this run.
        self.made: set[Covered] = set()
        #: By app the first hour that has a file.
        self.first: dict[str, datetime] = {}
        self.floor = reach.first_of
        self.reads_again = reach.reads_again
        self._reach = reach
        self.covered = covered
        new: list[Member] = []
        known: dict[tuple[str, Covered], list[Member]] = defaultdict(list)
        self._again: dict[tuple[str, Covered], list[Member]] = defaultdict(list)
        for file in listing.files:
            self.first.setdefault(file.app, file.hour)
            span = covered.at(file.app, file.hour)
            if span is not None:
                again = reach.reads_again(file.hour)
                (self._again if again else known)[file.app, span].append(file)
            if span is not None and not again:
                continue
            if why := self._why_not(file):
                self.left_out.append((why, file, self._until_when(why, file)))
            else:
                new.append(file)
        come_again = sum(len(files) for files in self._again.values())
        late = self._late_ones(known)
        order = {id(file): place for place, file in enumerate(listing.files)} if late else {}
        self.files = sorted([*new, *late], key=lambda file: order[id(file)]) if late else new
        if come_again and reach.again_from:
            self.notes.append(files_again(come_again, reach.again_from))
        apps = {file.app for file in self.files if file.app} - set(covered.apps)
        if apps and covered.apps:
            self.notes.append(apps_are_new({app: self.first[app] for app in apps}))

    def _why_not(self, file: Member) -> Why | None:
        first, end = self._reach.first_of(file.app), self._reach.end
        if first and file.hour < first:
            return Why.BEFORE_START
        if end and file.hour >= end:
            return Why.AFTER_END
        if self.listing.arriving and file.hour >= self.listing.arriving:
            return Why.ARRIVING
        return Why.NOT_READY if file.hour >= self.listing.ready else None

    @staticmethod
    def _until_when(why: Why, file: Member) -> str:
        if why is not Why.NOT_READY:
            return ""
        return f"which can be read from {hour_text(file.hour + READY_AFTER)} on"

    def _late_ones(self, known: Mapping[tuple[str, Covered], Sequence[Member]]) -> list[Member]:
        """Find what came when its hour was out; return what can be read in order all the same."""
        read: list[Member] = []
        for app in self.covered.apps:
            for span in self.covered.of(app):
                files = known.get((app, span), ())
                read += self._judge(app, span, files)
        return read

    def _judge(self, app: str, span: Covered, files: Sequence[Member]) -> Sequence[Member]:
        again = self._again.get((app, span), ())
        newer = [file for file in files if _is_newer(file, span)]
        more = self._more_files(span, [*files, *again])
        # Of a bucket not all files are listed.
        as_many = more == 0 or (more is None and len(files) <= (span.files or 0))
        if newer and len(newer) == len(files) and as_many and not again:
            self.notes.append(all_anew(app, len(newer)))
            newer = []
        is_last = span == self.covered.last_of(app)
        read: list[Member] = []
        if is_last and (more is None or more >= len(newer)):
            read = [file for file in newer if file.hour == span.end - HOUR]
        chosen = {id(file) for file in read}
        late = [file for file in newer if id(file) not in chosen]
        nameless = max(0, (more or 0) - len(newer))
        # Of files that are read again, nobody need know which came late.
        if nameless and not again:
            self.notes.append(more_files(app, nameless, span))
        # Fewer than were read, such as those of a second .zip: they may be others.
        if files and (more or 0) < 0 and span.newest is None and not again:
            self.notes.append(more_files(app, len(files), span, "may have come"))
        if not late and not nameless and not any(_is_newer(file, span) for file in again):
            self.settled.add((app, span))
        chosen |= {id(file) for file in late}
        self.left_out += [(Why.READ_BEFORE, file, "") for file in files if id(file) not in chosen]
        if late:
            what = late_files(late[0].hour, late[-1].hour)
            self.left_out += [(Why.LATE, file, what) for file in late]
        return read

    def _more_files(self, span: Covered, files: Sequence[Member]) -> int | None:
        """Return how many files more there are than were read; None when that is not known."""
        if not self.listing.is_complete or span.files is None:
            return None
        more = len(files) - span.files
        if more <= 0:
            return more
        # Of equal files that lie there twice one was read.
        return len({_part_of(file) for file in files}) - span.files


def _part_of(file: Member) -> str:
    name = read_name(file.name)
    return name.part if name else file.name


def _steps(chosen: _Choice, covered: Coverage) -> Iterator[Step]:
    """Yield the hours that are read, each with the ranges that are out then."""
    before: datetime | None = None
    for hour, group in groupby(chosen.files, key=lambda file: file.hour):
        files = list(group)
        ranges: list[tuple[str, Covered]] = []
        begin = hour
        for app, of_app in groupby(sorted(files, key=lambda file: file.app), lambda file: file.app):
            new, since = _range_after(app, hour, list(of_app), chosen, covered)
            begin = min(begin, since)
            covered = covered.with_range(app, new)
            chosen.settled.add((app, new))
            chosen.made.add(new)
            ranges.append((app, new))
        chosen.covered = covered
        yield Step(hour, files, max(begin, before or begin), ranges)
        before = hour + HOUR


def _last_step(chosen: _Choice, reach: Reach, begin: datetime) -> Step | None:
    """Return the hours without files up to the first that is not read, if there are any."""
    until, beyond = _next_files(chosen, reach)
    if not beyond or begin >= until:
        return None
    ranges = [
        (app, replace(last, end=until))
        for app in sorted(beyond)
        if (last := chosen.covered.last_of(app)) and last.end < until and last in chosen.made
    ]
    return Step(until - HOUR, (), begin, ranges)


def _quiet_range(chosen: _Choice, reach: Reach) -> Iterator[Step]:
    """Yield the hours of a range that has no file at all, if later files tell that it is quiet."""
    until, beyond = _next_files(chosen, reach)
    if beyond and reach.start and reach.start < until:
        span = Covered(reach.start, until, 0, chosen.listing.newest)
        yield Step(until - HOUR, (), reach.start, [(app, span) for app in sorted(beyond)])


def _next_files(chosen: _Choice, reach: Reach) -> tuple[datetime, set[str]]:
    """Return the first hour that is not read, and the apps that have files from there on."""
    listing = chosen.listing
    bounds = [bound for bound in (listing.ready, listing.arriving, reach.end) if bound]
    until = min(bounds)
    return until, {file.app for file in listing.files if file.hour >= until}


def _range_after(
    app: str, hour: datetime, files: Sequence[Member], chosen: _Choice, covered: Coverage
) -> tuple[Covered, datetime]:
    """Return the range that is out after an hour of an app, and the first hour new in it."""
    newest = chosen.listing.newest
    span = covered.at(app, hour)
    if span is not None:
        if _may_grow(app, span, chosen):
            late = 0 if span.files is None else sum(1 for file in files if _is_newer(file, span))
            grown = None if span.files is None else span.files + late
            return replace(span, files=grown, newest=newest), hour
        return _range_of_again(app, hour, files, chosen, covered), hour
    last, floor = covered.before(app, hour), chosen.floor(app)
    if last is not None and floor is not None and floor > last.end:
        last = None  # files between were not wanted
    # Hours without files between two that have some are empty; before the first that is not known.
    if last is None or chosen.first[app] >= last.end:
        if last is not None:
            chosen.notes.append(gap_after(app, last.end, hour))
        return Covered(hour, hour + HOUR, len(files), newest), hour
    if not _may_grow(app, last, chosen):
        return Covered(last.end, hour + HOUR, len(files), newest), last.end
    count = None if last.files is None else last.files + len(files)
    return Covered(last.start, hour + HOUR, count, newest), last.end


def _range_of_again(
    app: str, hour: datetime, files: Sequence[Member], chosen: _Choice, covered: Coverage
) -> Covered:
    """Return the range of an hour that is read again, or more of it, in one that lacks files."""
    newest = chosen.listing.newest
    if not chosen.reads_again(hour):
        return Covered(hour, hour + HOUR, None, newest)
    last = covered.before(app, hour)
    if last is None or last not in chosen.made or not chosen.reads_again(last.start):
        return Covered(hour, hour + HOUR, len(files), newest)
    # All between is read again, too, and has no files.
    return Covered(last.start, hour + HOUR, (last.files or 0) + len(files), newest)


def _may_grow(app: str, span: Covered, chosen: _Choice) -> bool:
    """Return True if nothing of a range is missing: it can grow, and be as new as the listing."""
    return not span.is_uncounted and (app, span) in chosen.settled


def _is_newer(file: Member, span: Covered) -> bool:
    return bool(file.modified and span.newest and file.modified > span.newest)
