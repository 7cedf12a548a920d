"""Exported files: a downloaded archive, a user's .zip, folder or bucket, read line by line.

Amplitude writes gzip files of JSON lines, one or more for each hour and none for an empty hour;
`file_names` knows their names. They come in folders, in .zip files, in .zip files of .zip files.

A bucket export "may run less frequently and contain multiple hours"
(https://amplitude.com/docs/data/destination-catalog/amazon-s3): a file named for one hour may hold
rows of hours around it. What counts is the name. Each file is read once, with the hour of its
name, all of its rows, which keep their own times. So no row can be lost or come twice, wherever
the hours are cut; only the day on which a row is read can differ from its own.

What a file is, its first bytes say, and its rows where its name leaves that open.

Nothing here trusts an archive. Names inside a .zip are only ever compared, never used as paths;
what a file may unpack to is bounded; and an hour is read to its last checksum before its first
event is handed on.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import datetime, timezone
from itertools import groupby
from typing import TYPE_CHECKING

from tap_amplitude.errors import DamagedArchive, ForeignArchive, HostileArchive
from tap_amplitude.files.copies import without_copies
from tap_amplitude.files.forms import COPY_AGAIN, HEAD_BYTES, READ_AS_FILES, Form, form_of
from tap_amplitude.files.left_out import LeftOut, Why
from tap_amplitude.files.member import DAMAGE, Member, reason_of
from tap_amplitude.files.names import (
    NAMED_LIKE,
    base_of,
    ignorable,
    is_marker,
    is_packed,
    read_name,
)
from tap_amplitude.files.row_kinds import LOOK_BYTES, Rows, rows_in
from tap_amplitude.files.stores import FileStore, FolderStore
from tap_amplitude.files.zip_stores import OpenZips, ZipStore

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from tap_amplitude.files.stores import Listed, Store
    from tap_amplitude.windows import Window

#: A .zip of daily .zip files of a .zip for each hour is the deepest that anybody has a reason for.
_DEEPEST = 4
#: What may hold events under a name that tells no hour.
_LIKE_DATA = re.compile(r".*(?:json|\.gz|\.tgz|\.tar)[^/\\]*", re.IGNORECASE | re.DOTALL)
#: How 7-Zip names the parts of a .zip.
_IS_PART = re.compile(r"\.\d{3}$", re.ASCII)
_JOIN = "It is one part of a .zip: unpack them together with the tool that made them."
_NO_HOUR = datetime.max.replace(tzinfo=timezone.utc)
_NUMBERS = re.compile(r"(\d+)", re.ASCII)
#: So many names, of so many characters, stand in a message.
_NAMED, _LONGEST_NAME = 5, 200


class Archive:
    """The files of one export, by hour.

    Args:
        store: Where its files lie.
        zips: Opens the .zip files among them.
        max_member_bytes: What one file may unpack to.
        wanted: Tells which files are compared when they lie there twice; all by default.

    Attributes:
        origin: What to call the archive in messages.
        members: The event files, in the order in which they are read. Files whose name leaves
            open whether they hold events are among them.
        merged_ids: Files that may be lists of merged users, in the same order.
        left_out: What is not read, and why.

    Raises:
        TapError: A file cannot be placed, or comes twice with different content; a .zip in it is
            damaged or hostile.
    """

    def __init__(
        self,
        store: Store,
        *,
        zips: OpenZips,
        max_member_bytes: int,
        wanted: Callable[[Member], bool] = lambda _: True,
    ) -> None:
        self.origin = store.origin
        self.left_out = LeftOut()
        self._max_member_bytes = max_member_bytes
        self._store = store
        self._zips = zips
        try:
            self._list(wanted)
        except BaseException:
            self.close()
            raise

    def _list(self, wanted: Callable[[Member], bool]) -> None:
        members: list[tuple[str, Member]] = []
        merged_ids: list[tuple[str, Member]] = []
        foreign: list[tuple[str, Member]] = []
        for where, listed in self._files(self._store, 0, self.left_out):
            name = read_name(listed.name)
            if name is None:
                self._place_nowhere(where, listed)
                continue
            # A few projects have a quarter of a million files: their numbers are kept once.
            app = sys.intern(name.app)
            member = Member(
                listed.name, name.hour, listed.size, where, app=app, modified=listed.modified
            )
            if name.is_foreign:
                foreign.append((name.part, member))
                continue
            if not name.is_certain:
                merged_ids.append((name.part, member))
            if name.is_certain or not _is_surely_a_list(member):
                members.append((name.part, member))
            else:
                self.left_out.add(Why.MERGES, member.place)
        if foreign:
            parts = {part for part, _ in (*members, *merged_ids)}
            for part, member in self._without_companions(foreign, parts):
                of_merges = base_of(member.name).startswith("-")
                (merged_ids if of_merges else members).append((part, member))
        self.members = self._in_order(members, wanted, self.left_out)
        # Counted once: most of them were among the others.
        self.merged_ids = self._in_order(merged_ids, wanted, LeftOut())

    def hours(self) -> Iterator[tuple[datetime, list[Member]]]:
        """Give each hour that has events, in order, with its files in natural order."""
        return by_hour(self.members)

    def ready(
        self,
        members: Iterable[Member],
        *,
        rows: Rows = Rows.EVENTS,
        raw: bool = False,
    ) -> list[Member]:
        """Look what files are, and check them to their ends before anything of them is used.

        Args:
            members: The files to check.
            rows: What is wanted of those whose name leaves open what they are.
            raw: Do not decompress where a checksum tells as much; see `Member.verify`.

        Returns:
            What is to be read, in the same order. In the place of a .zip stands what it holds.

        Raises:
            DamagedArchive: A file is cut off or corrupt.
            HostileArchive: A file unpacks to more than it may.
        """
        found: list[Member] = []
        for member in members:
            for one in self._unfolded(member, 0):
                if self._is_wanted(one, rows):
                    one.verify(self._max_member_bytes, raw=raw)
                    found.append(one)
        return found

    def verify(self, *, raw: bool = False) -> None:
        """Make all files ready; from now on `members` are those that are to be read.

        Args:
            raw: See `ready`.

        Raises:
            TapError: See `ready`.
        """
        self.members = self.ready(self.members, raw=raw)

    def holds_events(self) -> bool:
        """Tell whether there is any file of events, without looking into more than it takes."""
        return any(self._certain(member) for member in self.members) or any(
            _look_at_rows(member) is not Rows.MERGES for member in self.members
        )

    def close(self) -> None:
        """Let go of the files; on Windows an open file cannot be deleted."""
        self._store.close()
        self._zips.close()

    def _files(self, store: Store, depth: int, left_out: LeftOut) -> Iterator[tuple[Store, Listed]]:
        """List what may be export files, also of .zip files in the store."""
        for listed in store.files():
            place = f"{store.prefix}{listed.name}"
            if (why := ignorable(listed.name)) is not None:
                left_out.add(why, place)
            elif not listed.is_file:
                left_out.add(Why.UNKNOWN, place)
            elif _may_be_zip(store, listed) and _is_zip(store, listed):
                yield from self._files_in_zip(store, listed, depth + 1, left_out)
            else:
                yield store, listed

    def _files_in_zip(
        self, store: Store, listed: Listed, depth: int, left_out: LeftOut
    ) -> Iterator[tuple[Store, Listed]]:
        inner = self._open_zip(store, listed.name, listed.size, listed.modified, depth)
        beside = LeftOut()
        try:
            found = list(self._files(inner, depth, beside))
        except DAMAGE as error:
            if not _is_named_zip(listed.name):
                left_out.add(Why.UNKNOWN, f"{store.prefix}{listed.name}")
                return
            raise _damaged_zip(store, listed.name, error) from error
        if any(read_name(one.name) or _LIKE_DATA.fullmatch(one.name) for _, one in found):
            left_out.absorb(beside)
            yield from found
        else:
            # What somebody packed that has nothing to do with Amplitude is one file.
            left_out.add(Why.UNKNOWN, f"{store.prefix}{listed.name}")

    def _open_zip(
        self, store: Store, name: str, size: int, modified: datetime | None, depth: int
    ) -> ZipStore:
        if depth > _DEEPEST:
            raise HostileArchive(
                f"The .zip {store.prefix + name!r} of {store.origin} lies in more than {_DEEPEST} "
                "others.",
                remedy="Unpack the outer ones yourself if you trust them.",
            )
        return ZipStore(store, name, size, self._zips, modified=modified)

    def _without_companions(
        self, foreign: list[tuple[str, Member]], parts: Container[str]
    ) -> Iterator[tuple[str, Member]]:
        """Keep files that stand in for a file which is not there, or may hold other events.

        A file named like an export file, packed or encrypted by somebody, is the only one of its
        part or beside it. Then it may as well be its checksum.
        """
        for part, member in foreign:
            if part not in parts or (not member.store.is_remote and _has_events(member)):
                yield part, member
            else:
                self.left_out.add(_why_unread(member.name), member.place)

    def _place_nowhere(self, store: Store, listed: Listed) -> None:
        """Refuse events whose hour nobody knows; count anything else."""
        place = f"{store.prefix}{listed.name}"
        member = Member(listed.name, _NO_HOUR, listed.size, store)
        if listed.name.lower().endswith(".zip"):
            member.look()  # which tells: a day may be missing, if it is a page of a proxy
        if _is_worth_a_look(member) and _has_events(member):
            raise ForeignArchive(
                f"{self.origin} holds the file {place!r}, whose name tells no export hour.",
                remedy=f"{NAMED_LIKE} Give the file its name back, unpack it if it is a .tar, or "
                "take it out.",
            )
        self.left_out.add(Why.MARKER if is_marker(listed.name) else _why_unread(listed.name), place)

    def _in_order(
        self,
        parts: list[tuple[str, Member]],
        wanted: Callable[[Member], bool],
        left_out: LeftOut,
    ) -> Sequence[Member]:
        near = [(part, member) for part, member in parts if wanted(member)]
        members = without_copies(near, left_out, self._max_member_bytes)
        members += [member for _, member in parts if not wanted(member)]
        return sorted(members, key=lambda member: (member.hour, _natural(member.name)))

    def _unfolded(self, member: Member, depth: int) -> Iterator[Member]:
        """Give a file with its form; in the place of a .zip that is named otherwise its files."""
        form = member.look()
        if form is not Form.ZIP:
            yield replace(member, form=form)
            return
        inner = self._open_zip(
            member.store, member.name, member.packed_bytes, member.modified, depth + 1
        )
        try:
            entries = sorted(inner.files(), key=lambda entry: _natural(entry.name))
        except DAMAGE as error:
            raise _damaged_zip(member.store, member.name, error) from error
        for entry in entries:
            if (why := ignorable(entry.name)) is not None:
                self.left_out.add(why, f"{inner.prefix}{entry.name}")
                continue
            part = replace(member, name=entry.name, packed_bytes=entry.size, store=inner)
            yield from self._unfolded(part, depth + 1)

    def _is_wanted(self, member: Member, rows: Rows) -> bool:
        if self._certain(member):
            return rows is Rows.EVENTS
        # Rows that are neither, such as damaged ones, are events: somebody must tell of them.
        kind = _look_at_rows(member)
        is_named_list = base_of(member.name).startswith("-")
        is_list = kind is Rows.MERGES or (kind is Rows.OTHER and is_named_list)
        if rows is Rows.EVENTS and is_list:
            self.left_out.add(Why.MERGES, member.place)
        return is_list is (rows is Rows.MERGES)

    @staticmethod
    def _certain(member: Member) -> bool:
        name = read_name(member.name)
        return name is not None and name.is_certain


def by_hour(members: Iterable[Member]) -> Iterator[tuple[datetime, list[Member]]]:
    """Group files by the hours of their names.

    Args:
        members: Files in the order of their hours.

    Yields:
        Each hour and its files.
    """
    for hour, files in groupby(members, key=lambda member: member.hour):
        yield hour, list(files)


def open_archive(
    path: Path,
    *,
    max_member_bytes: int,
    zips: OpenZips | None = None,
    wanted: Callable[[Member], bool] = lambda _: True,
) -> Archive:
    """Open a .zip, a folder of exported files, or one such file.

    Args:
        path: The file or the folder; folders are searched in depth.
        max_member_bytes: What one file may unpack to.
        zips: Opens the .zip files.
        wanted: See `Archive`.

    Returns:
        The archive; its files are not verified yet.

    Raises:
        TapError: The .zip is damaged, or no .zip at all, or see `Archive`.
    """
    zips = zips or OpenZips()
    store: Store = FolderStore(path) if path.is_dir() else _file_or_zip(path, zips)
    try:
        return Archive(store, zips=zips, max_member_bytes=max_member_bytes, wanted=wanted)
    except DAMAGE as error:
        if isinstance(store, ZipStore):
            raise _no_zip(path, error) from error
        raise DamagedArchive(
            f"The files of {path} cannot be listed ({reason_of(error)}).",
            remedy="Check the permissions of the folder and all files in it.",
        ) from error


def open_download(
    path: Path, window: Window, *, max_member_bytes: int, raw: bool = False
) -> Archive:
    """Open what the Export API sent, and check it to its end.

    Args:
        path: The downloaded file.
        window: The hours that were asked for.
        max_member_bytes: What one file may unpack to.
        raw: See `Member.verify`.

    Returns:
        The archive; all of its files may be read.

    Raises:
        DamagedArchive: It is damaged, or no .zip at all.
        ForeignArchive: It holds other hours, or no events. Amplitude says in other words that
            hours have no events.
    """
    zips = OpenZips(path.parent)
    store = _zip_of(path, zips)
    try:
        archive = Archive(store, zips=zips, max_member_bytes=max_member_bytes)
        archive.verify(raw=raw)
        _refuse_other_events(archive, window, store)
    except DAMAGE as error:
        zips.close()
        raise _no_zip(path, error) from error
    except BaseException:
        zips.close()
        raise
    return archive


def _refuse_other_events(archive: Archive, window: Window, store: ZipStore) -> None:
    remedy = "Check `api_url`; if it is right, report this to Amplitude."
    for member in archive.members:
        if not window.holds(member.hour):
            raise ForeignArchive(
                f"Amplitude was asked for {window} and sent the file {member.place!r}.",
                remedy=remedy,
            )
    if not archive.members:
        raise ForeignArchive(
            f"Amplitude was asked for {window} and sent a .zip that holds no file of events. "
            f"{_content_of(store)}",
            remedy=remedy,
        )


def _file_or_zip(path: Path, zips: OpenZips) -> Store:
    try:
        with path.open("rb") as file:
            form = form_of(file.read(HEAD_BYTES))
    except OSError as error:
        raise _no_zip(path, error) from error
    return FileStore(path) if form in READ_AS_FILES else _zip_of(path, zips)


def _zip_of(path: Path, zips: OpenZips) -> ZipStore:
    file = FileStore(path)
    return ZipStore(file, path.name, path.stat().st_size, zips, is_whole=True)


def _no_zip(path: Path, error: Exception) -> DamagedArchive:
    return DamagedArchive(
        f"{path} is not a readable .zip file ({reason_of(error)}).", remedy=COPY_AGAIN
    )


def _damaged_zip(store: Store, name: str, error: Exception) -> DamagedArchive:
    return DamagedArchive(
        f"The .zip {store.prefix + name!r} of {store.origin} cannot be read ({reason_of(error)}).",
        remedy=_JOIN if _IS_PART.search(name) else COPY_AGAIN,
    )


def _content_of(store: ZipStore) -> str:
    names = [repr(listed.name[:_LONGEST_NAME]) for listed in store.files()]
    if not names:
        return "It is empty."
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"It holds {', '.join(names[:_NAMED])}{more}."


def _is_named_zip(name: str) -> bool:
    return ".zip" in base_of(name).lower()


def _may_be_zip(store: Store, listed: Listed) -> bool:
    """Tell which files are worth a look: a bucket takes a request for each."""
    if _is_named_zip(listed.name):
        return True
    is_named = _LIKE_DATA.fullmatch(base_of(listed.name)) or read_name(listed.name)
    return not is_named and not store.is_remote


def _is_zip(store: Store, listed: Listed) -> bool:
    try:
        with store.open(listed.name) as file:
            return form_of(file.read(HEAD_BYTES)) is Form.ZIP
    except DAMAGE:
        return _is_named_zip(listed.name)  # opening it will tell


def _look_at_rows(member: Member) -> Rows | None:
    return rows_in(member.beginning(LOOK_BYTES))


def _why_unread(name: str) -> Why:
    return Why.PACKED if is_packed(name) else Why.UNKNOWN


def _is_worth_a_look(member: Member) -> bool:
    """Tell whether a file of any name may hold events; in a bucket, its name alone says so."""
    if _LIKE_DATA.fullmatch(base_of(member.name)):
        return True
    try:
        return not member.store.is_remote and member.look() in READ_AS_FILES
    except DamagedArchive:
        return False


def _has_events(member: Member) -> bool:
    """Tell whether a file of any name holds events; one that cannot be read does not."""
    try:
        return _look_at_rows(member) is Rows.EVENTS
    except DamagedArchive:
        return False


def _is_surely_a_list(member: Member) -> bool:
    """Trust Amplitude's own names where a look costs a request for each hour of years."""
    return member.store.is_remote and base_of(member.name).startswith("-")


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort `#70` before `#627`: numbers by value, the rest by letter."""
    # Not as integers: Python makes none of more than 4,300 digits.
    parts = enumerate(_NUMBERS.split(name))
    return [(len(part.lstrip("0")), part.lstrip("0")) if n % 2 else (0, part) for n, part in parts]
