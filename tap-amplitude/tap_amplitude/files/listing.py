"""What lies in an archive: its files by what their names say, and what stands in their place.

Files come in folders, in .zip files, in .zip files of .zip files. Names inside a .zip are only
ever compared, never used as paths.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tap_amplitude.common.lenient_json import strict_object
from tap_amplitude.common.object_cutter import as_it_is
from tap_amplitude.errors import DamagedArchive, ForeignArchive
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
from tap_amplitude.files.row_kinds import LOOK_BYTES, Rows, app_in, is_event, rows_in
from tap_amplitude.files.zip_stores import ZipStore

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from tap_amplitude.files.names import ExportName
    from tap_amplitude.files.stores import Listed, Store
    from tap_amplitude.files.zip_stores import OpenZips

    #: What tells a file from others of its hour, and the file.
    _Part = tuple[str, Member]

#: What may hold events under a name that tells no hour.
_LIKE_DATA = re.compile(r".*(?:json|\.gz|\.tgz|\.tar)[^/\\]*", re.IGNORECASE | re.DOTALL)
#: How 7-Zip names the parts of a .zip.
_IS_PART = re.compile(r"\.\d{3}$", re.ASCII)
_JOIN = "It is one part of a .zip: unpack them together with the tool that made them."
_NO_HOUR = datetime.max.replace(tzinfo=timezone.utc)
_NUMBERS = re.compile(r"(\d+)", re.ASCII)
#: Of each of many files: in so much lies a first row.
_ROW_BYTES = 64 * 1024


class ArchiveListing:
    """Lists an archive.

    Args:
        max_member_bytes: What one file may unpack to.
        wanted: Tells which files are compared when they lie there twice.

    Attributes:
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
        wanted: Callable[[Member], bool],
    ) -> None:
        self.left_out = LeftOut()
        self._zips = zips
        self._max_member_bytes = max_member_bytes
        self._wanted = wanted
        members: list[_Part] = []
        merged_ids: list[_Part] = []
        foreign: list[_Part] = []
        for where, listed in self._files(store, self.left_out):
            name = read_name(listed.name)
            if name is None:
                self._place_nowhere(where, listed)
                continue
            member = _member_of(where, listed, name)
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
        self.members = self._in_order(members, self.left_out)
        # Counted once: most of them were among the others.
        self.merged_ids = self._in_order(merged_ids, LeftOut())

    def _files(self, store: Store, left_out: LeftOut) -> Iterator[tuple[Store, Listed]]:
        """List what may be export files, also of .zip files in the store."""
        for listed in store.files():
            place = f"{store.prefix}{listed.name}"
            if (why := ignorable(listed.name)) is not None:
                left_out.add(why, place)
            elif not listed.is_file:
                left_out.add(Why.UNKNOWN, place)
            elif _may_be_zip(store, listed) and _is_zip(store, listed):
                yield from self._files_in_zip(store, listed, left_out)
            else:
                yield store, listed

    def _files_in_zip(
        self, store: Store, listed: Listed, left_out: LeftOut
    ) -> Iterator[tuple[Store, Listed]]:
        inner = ZipStore(store, listed.name, listed.size, self._zips, modified=listed.modified)
        beside = LeftOut()
        try:
            found = list(self._files(inner, beside))
        except DAMAGE as error:
            if not _is_named_zip(listed.name):
                left_out.add(Why.UNKNOWN, f"{store.prefix}{listed.name}")
                return
            raise damaged_zip(store, listed.name, error) from error
        if any(read_name(inner.name) or _LIKE_DATA.fullmatch(inner.name) for _, inner in found):
            left_out.absorb(beside)
            yield from found
        else:
            # What somebody packed that has nothing to do with Amplitude is one file.
            left_out.add(Why.UNKNOWN, f"{store.prefix}{listed.name}")

    def _without_companions(self, foreign: list[_Part], parts: Container[str]) -> Iterator[_Part]:
        """Keep files that stand in for a file which is not there, or may hold other events.

        A file named like an export file, packed or encrypted by somebody, is the only one of its
        part or beside it. Then it may as well be its checksum.
        """
        for part, member in foreign:
            # Of an hour without events a bucket export may lay down nothing else.
            if is_marker(member.name) and member.packed_bytes <= len("\n"):
                self.left_out.add(Why.MARKER, member.place)
            elif part not in parts or (
                not member.store.is_remote and _has_events(member, self._max_member_bytes)
            ):
                yield part, member
            else:
                self.left_out.add(_why_unread(member.name), member.place)

    def _place_nowhere(self, store: Store, listed: Listed) -> None:
        """Refuse events whose hour is not known; count anything else."""
        place = f"{store.prefix}{listed.name}"
        member = Member(listed.name, _NO_HOUR, listed.size, store)
        if listed.name.lower().endswith(".zip"):
            member.look()  # which tells: a day may be missing, if it is a page of a proxy
        if _is_worth_a_look(member) and _has_events(member, self._max_member_bytes):
            raise ForeignArchive(
                f"{store.origin} holds the file {place!r}, whose name tells no export hour.",
                remedy=f"{NAMED_LIKE} Give the file its name back, unpack it if it is a .tar, or "
                "take it out.",
            )
        self.left_out.add(Why.MARKER if is_marker(listed.name) else _why_unread(listed.name), place)

    def _in_order(self, parts: list[_Part], left_out: LeftOut) -> Sequence[Member]:
        near = [(part, member) for part, member in parts if self._wanted(member)]
        members = without_copies(near, left_out, self._max_member_bytes)
        members += [member for _, member in parts if not self._wanted(member)]
        return sorted(members, key=lambda member: (member.hour, natural(member.name)))


def look_at_rows(member: Member, max_bytes: int) -> Rows | None:
    """Return what the rows of a file are, by the first ones; None when it has none.

    A list of merges is read to its end: an event among them would be left out with it.

    Raises:
        DamagedArchive: It cannot be read.
        HostileArchive: It is a list, and unpacks to more than `max_bytes`; see `Member.verify`.
        BadLine: It is a list, and goes on as text of another coding.
    """
    rows = rows_in(member.beginning(LOOK_BYTES))
    if rows is not Rows.MERGES:
        return rows
    member.verify(max_bytes)
    found = member.take(strict_object, as_it_is)
    has_events = any(isinstance(row, dict) and is_event(row) for row in found)
    return Rows.BOTH if has_events else rows


def natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts `#70` before `#627`: numbers by value, the rest by letter."""
    # Not as integers: Python makes none of more than 4,300 digits.
    parts = enumerate(_NUMBERS.split(name))
    return [(len(part.lstrip("0")), part.lstrip("0")) if n % 2 else (0, part) for n, part in parts]


def damaged_zip(store: Store, name: str, error: Exception) -> DamagedArchive:
    """Return the error of a .zip that lies in a store and cannot be read."""
    return DamagedArchive(
        f"The .zip {store.prefix + name!r} of {store.origin} cannot be read ({reason_of(error)}).",
        remedy=_JOIN if _IS_PART.search(name) else COPY_AGAIN,
    )


def _is_named_zip(name: str) -> bool:
    return ".zip" in base_of(name).lower()


def _may_be_zip(store: Store, listed: Listed) -> bool:
    """Return True for files that are worth a look: a bucket takes a request for each."""
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


def _why_unread(name: str) -> Why:
    return Why.PACKED if is_packed(name) else Why.UNKNOWN


def _is_worth_a_look(member: Member) -> bool:
    """Return True if a file of any name may hold events; in a bucket, its name alone says so."""
    if _LIKE_DATA.fullmatch(base_of(member.name)):
        return True
    try:
        return not member.store.is_remote and member.look() in READ_AS_FILES
    except DamagedArchive:
        return False


def _has_events(member: Member, max_bytes: int) -> bool:
    """Return True if a file of any name holds events; one that cannot be read does not."""
    try:
        return look_at_rows(member, max_bytes) in (Rows.EVENTS, Rows.BOTH)
    except DamagedArchive:
        return False


def _member_of(where: Store, listed: Listed, name: ExportName) -> Member:
    # A few projects have a quarter of a million files: their numbers are kept once.
    app = sys.intern(name.app)
    member = Member(listed.name, name.hour, listed.size, where, app=app, modified=listed.modified)
    return member if app else replace(member, app=sys.intern(_app_of_rows(member)))


def _app_of_rows(member: Member) -> str:
    """Return whose events a file holds whose name does not tell; in a bucket, nobody looks."""
    try:
        return "" if member.store.is_remote else app_in(member.beginning(_ROW_BYTES))
    except DamagedArchive:
        return ""


def _is_surely_a_list(member: Member) -> bool:
    """Trust Amplitude's own names where a look costs a request for each hour of years."""
    return member.store.is_remote and base_of(member.name).startswith("-")
