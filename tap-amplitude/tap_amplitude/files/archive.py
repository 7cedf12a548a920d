"""Exported files: a downloaded archive, a user's .zip, folder or bucket, read line by line.

Amplitude writes gzip files of JSON lines, one or more for each hour and none for an empty hour;
`names` knows their names, `listing` finds them.

A bucket export "may run less frequently and contain multiple hours"
(https://amplitude.com/docs/data/destination-catalog/amazon-s3): a file named for one hour may hold
rows of hours around it. What counts is the name. Each file is read once, with the hour of its
name, all of its rows, which keep their own times. So no row can be lost or come twice, wherever
the hours are cut; only the day on which a row is read can differ from its own.

What a file is, its first bytes say, and its rows where its name leaves that open.

Nothing here trusts an archive: what a file may unpack to is bounded, and an hour is read to its
last checksum before its first event is handed on.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from tap_amplitude.errors import DamagedArchive, ForeignArchive
from tap_amplitude.files.forms import COPY_AGAIN, HEAD_BYTES, READ_AS_FILES, Form, form_of
from tap_amplitude.files.left_out import Why
from tap_amplitude.files.listing import ArchiveListing, damaged_zip, look_at_rows, natural
from tap_amplitude.files.member import DAMAGE, Member, reason_of
from tap_amplitude.files.names import base_of, ignorable, read_name
from tap_amplitude.files.row_kinds import Rows
from tap_amplitude.files.stores import FileStore, FolderStore
from tap_amplitude.files.zip_stores import OpenZips, ZipStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from tap_amplitude.files.stores import Store
    from tap_amplitude.windows import Window

#: So many names, of so many characters, stand in a message.
_NAMED, _LONGEST_NAME = 5, 200


class Archive:
    """The files of one export, by hour.

    Args:
        max_member_bytes: What one file may unpack to.
        wanted: Tells which files are compared when they lie there twice; all by default.

    Attributes:
        origin: What to call the archive in messages.
        left_out: What is not read, and why.

    Raises:
        TapError: See `ArchiveListing`.
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
        self._max_member_bytes = max_member_bytes
        self._store = store
        self._zips = zips
        try:
            listing = ArchiveListing(
                store, zips=zips, max_member_bytes=max_member_bytes, wanted=wanted
            )
        except BaseException:
            self.close()
            raise
        self.members, self.merged_ids = listing.members, listing.merged_ids
        self.left_out = listing.left_out

    def hours(self) -> Iterator[tuple[datetime, list[Member]]]:
        """Yield each hour that has events, in order, with its files in natural order."""
        for hour, files in groupby(self.members, key=lambda member: member.hour):
            yield hour, list(files)

    def ready(
        self,
        members: Iterable[Member],
        *,
        rows: Rows = Rows.EVENTS,
        raw: bool = False,
    ) -> list[Member]:
        """Look what files are, and check them to their ends before anything of them is used.

        `rows` is what is wanted of those whose name leaves open what they are. With `raw` nothing
        is decompressed where a checksum tells as much; see `Member.verify`.

        Returns:
            What is to be read, in the same order. In the place of a .zip stands what it holds.

        Raises:
            DamagedArchive: A file is cut off or corrupt.
            HostileArchive: A file unpacks to more than it may.
        """
        found: list[Member] = []
        for member in members:
            for inner in self._unfolded(member):
                if self._is_wanted(inner, rows):
                    inner.verify(self._max_member_bytes, raw=raw)
                    found.append(inner)
        return found

    def verify(self, *, raw: bool = False) -> None:
        """Make all files `ready`; from now on `members` are those that are to be read."""
        self.members = self.ready(self.members, raw=raw)

    def holds_events(self) -> bool:
        """Return True if there is any file of events; look into no more than it takes."""
        return any(self._certain(member) for member in self.members) or any(
            look_at_rows(member, self._max_member_bytes) is not Rows.MERGES
            for member in self.members
        )

    def close(self) -> None:
        """Let go of the files; on Windows an open file cannot be deleted."""
        self._store.close()
        self._zips.close()

    def _unfolded(self, member: Member) -> Iterator[Member]:
        """Yield a file with its form; in the place of a .zip that is named otherwise its files."""
        form = member.look()
        if form is not Form.ZIP:
            yield replace(member, form=form)
            return
        inner = ZipStore(
            member.store, member.name, member.packed_bytes, self._zips, modified=member.modified
        )
        try:
            entries = sorted(inner.files(), key=lambda entry: natural(entry.name))
        except DAMAGE as error:
            raise damaged_zip(member.store, member.name, error) from error
        for entry in entries:
            if (why := ignorable(entry.name)) is not None:
                self.left_out.add(why, f"{inner.prefix}{entry.name}")
                continue
            part = replace(member, name=entry.name, packed_bytes=entry.size, store=inner)
            yield from self._unfolded(part)

    def _is_wanted(self, member: Member, rows: Rows) -> bool:
        if self._certain(member):
            return rows is Rows.EVENTS
        # Rows that are neither, such as damaged ones, are events, so that they are reported.
        kind = look_at_rows(member, self._max_member_bytes)
        is_named_list = base_of(member.name).startswith("-")
        is_list = kind is Rows.MERGES or (kind is Rows.OTHER and is_named_list)
        if rows is Rows.EVENTS and is_list:
            self.left_out.add(Why.MERGES, member.place)
        # A file of both is read for each: whoever reads it says what does not belong there.
        return kind is Rows.BOTH or is_list is (rows is Rows.MERGES)

    @staticmethod
    def _certain(member: Member) -> bool:
        name = read_name(member.name)
        return name is not None and name.is_certain


def open_archive(
    path: Path,
    *,
    max_member_bytes: int,
    zips: OpenZips | None = None,
    wanted: Callable[[Member], bool] = lambda _: True,
) -> Archive:
    """Open a .zip, a folder of exported files, searched in depth, or one such file.

    Its files are not verified yet. For `wanted` see `Archive`.

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

    All files of the archive may then be read. For `raw` see `Member.verify`.

    Raises:
        DamagedArchive: It is damaged, or no .zip at all.
        ForeignArchive: It holds other hours, or no events. Amplitude says in other words that
            hours have no events.
    """
    zips = OpenZips(path.parent)
    store = _zip_of(path, zips)
    # Its place is gone when this is read.
    store.origin = f"Amplitude's answer for {window}"
    try:
        archive = Archive(store, zips=zips, max_member_bytes=max_member_bytes)
        archive.verify(raw=raw)
        _refuse_other_events(archive, window, store)
    except BaseException as error:
        zips.close()
        if isinstance(error, ForeignArchive):
            error.remedy = "Check `api_url`; if it is right, report this to Amplitude."
        if isinstance(error, DAMAGE):
            raise _no_zip(store.origin, error) from error
        raise
    return archive


def _refuse_other_events(archive: Archive, window: Window, store: ZipStore) -> None:
    for member in archive.members:
        if not window.holds(member.hour):
            raise ForeignArchive(f"{store.origin} holds the file {member.place!r}.", remedy="")
    if not archive.members:
        raise ForeignArchive(
            f"{store.origin} holds no file of events. {_content_of(store)}", remedy=""
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


def _no_zip(place: object, error: Exception) -> DamagedArchive:
    return DamagedArchive(
        f"{place} is not a readable .zip file ({reason_of(error)}).", remedy=COPY_AGAIN
    )


def _content_of(store: ZipStore) -> str:
    names = [repr(listed.name[:_LONGEST_NAME]) for listed in store.files()]
    if not names:
        return "It is empty."
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"It holds {', '.join(names[:_NAMED])}{more}."
