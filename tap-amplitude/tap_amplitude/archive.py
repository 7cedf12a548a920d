"""Exported files: a downloaded archive, a user's .zip, folder or bucket, read line by line.

Amplitude writes gzip files of JSON lines, one or more for each hour and none for an empty hour:
`<project>_<YYYY-MM-DD>_<H>#<partition>.json.gz`. The hour is not padded, and partitions are
numbers such as 70 and 627, not a sequence (https://amplitude.com/docs/data/destination-catalog/amazon-s3).

A bucket export "may run less frequently and contain multiple hours" (same page): a file named for
one hour may hold rows of hours around it. What counts is the name. Each file is read once, with
the hour of its name, all of its rows, which keep their own times. So no row can be lost or come
twice, wherever the hours are cut; only the day on which a row is read can differ from its own.

Nothing here trusts an archive. Names inside a .zip are only ever compared, never used as paths;
what a file may unpack to is bounded; and an hour is read to its last checksum before its first
event is handed on.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime, timezone
from itertools import groupby
from typing import TYPE_CHECKING

from tap_amplitude.errors import DamagedArchive, ForeignArchive
from tap_amplitude.members import DAMAGE, Member, reason_of
from tap_amplitude.stores import FolderStore, Store, ZipStore
from tap_amplitude.windows import DAY, FIRST_HOURLY_DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tap_amplitude.stores import Listed

_EVENTS = re.compile(
    r"(?!-).+_(?P<date>\d{4}-\d{2}-\d{2})(?:_(?P<hour>\d{1,2}))?"
    r"(?:#|%23)\d+\.json(?:\.gz)?",
    re.ASCII,
)
#: Lists of merged users lie beside the events: `-<org>_<date>_<H>.json.gz`, and for old
#: organisations `<app>_<date>_<H>.json.gz`. They never have a partition number.
_MERGED_IDS = re.compile(
    r"-?\d+_(?P<date>\d{4}-\d{2}-\d{2})_(?P<hour>\d{1,2})\.json(?:\.gz)?", re.ASCII
)
_APP = re.compile(r"-?\d+(?=_)", re.ASCII)
_NUMBERS = re.compile(r"(\d+)")


class Archive:
    """The files of one export, by hour.

    Args:
        origin: What to call the archive in messages.
        store: Where its files lie.
        max_member_bytes: What one file may unpack to.

    Attributes:
        members: The event files, in the order in which they are read.
        merged_ids: The lists of merged users beside them, in the same order.
        unknown: Names of files that are neither events nor known to be something else.

    Raises:
        ForeignArchive: A file cannot be placed, or comes twice.
    """

    def __init__(self, origin: str, store: Store, *, max_member_bytes: int) -> None:
        self.origin = origin
        self.max_member_bytes = max_member_bytes
        self.unknown: list[str] = []
        self._store = store
        members: list[Member] = []
        merged_ids: list[Member] = []
        for listed in store.files():
            if (hour := _hour_in(_EVENTS, listed.name)) is not None:
                members.append(_member(listed, hour, store))
            elif (hour := _hour_in(_MERGED_IDS, listed.name)) is not None:
                merged_ids.append(_member(listed, hour, store))
            else:
                self._note(listed.name)
        for files in (members, merged_ids):
            files.sort(key=lambda member: (member.hour, _natural(member.name)))
            _refuse_twins(origin, files)
        self.members: Sequence[Member] = members
        self.merged_ids: Sequence[Member] = merged_ids

    def hours(self) -> Iterator[tuple[datetime, list[Member]]]:
        """Give each hour that has events, in order, with its files in natural order."""
        return by_hour(self.members)

    def verify(self, members: Iterable[Member] | None = None, *, as_stored: bool = False) -> None:
        """Check files to their ends before anything of them is used.

        Args:
            members: The files to check; all by default.
            as_stored: Do not decompress where a checksum tells as much; see `Member.verify`.

        Raises:
            DamagedArchive: A file is cut off or corrupt.
            HostileArchive: A file unpacks to more than it may.
        """
        for member in self.members if members is None else members:
            member.verify(self.max_member_bytes, as_stored=as_stored)

    def close(self) -> None:
        """Let go of the files; on Windows an open file cannot be deleted."""
        self._store.close()

    def _note(self, name: str) -> None:
        """Remember a file that holds neither events nor merged users."""
        if _base(name).endswith(".json.gz"):
            raise ForeignArchive(
                f"{self.origin} holds the file {name!r}, whose name tells no export hour.",
                remedy="Event files are named like 187520_2020-01-25_17#1.json.gz. "
                "Give the file its name back, or take it out.",
            )
        if not _is_litter(name):
            self.unknown.append(name)


def by_hour(members: Iterable[Member]) -> Iterator[tuple[datetime, list[Member]]]:
    """Group files by the hours of their names.

    Args:
        members: Files in the order of their hours.

    Yields:
        Each hour and its files.
    """
    for hour, files in groupby(members, key=lambda member: member.hour):
        yield hour, list(files)


def open_archive(path: Path, *, max_member_bytes: int) -> Archive:
    """Open a .zip or a folder of exported files.

    Args:
        path: The .zip file or the folder; folders are searched in depth.
        max_member_bytes: What one file may unpack to.

    Returns:
        The archive; its files are not verified yet.

    Raises:
        DamagedArchive: The .zip is damaged, or no .zip at all.
        ForeignArchive: A file cannot be placed, or comes twice.
    """
    store = _open_store(path)
    try:
        return Archive(str(path), store, max_member_bytes=max_member_bytes)
    except OSError as error:
        raise DamagedArchive(
            f"The files of {path} cannot be listed ({error}).",
            remedy="Check the permissions of the folder and all files in it.",
        ) from error


def _open_store(path: Path) -> Store:
    if path.is_dir():
        return FolderStore(path)
    try:
        return ZipStore(path)
    except DAMAGE as error:
        raise DamagedArchive(
            f"{path} is no readable .zip file ({reason_of(error)}).",
            remedy="Export or download it again.",
        ) from error


def _hour_in(form: re.Pattern[str], name: str) -> datetime | None:
    """The hour that a file is read with: its own, or the last one of the day of a daily file."""
    match = form.fullmatch(_base(name))
    if match is None:
        return None
    try:
        day = datetime.fromisoformat(match["date"]).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    if match["hour"] is None and day >= FIRST_HOURLY_DAY:
        return None
    hour = day + int(match["hour"] or 23) * HOUR
    return hour if hour < day + DAY else None


def _member(listed: Listed, hour: datetime, store: Store) -> Member:
    # A few projects have a quarter of a million files: their numbers are kept once.
    app = _APP.match(_base(listed.name))
    return Member(
        listed.name,
        hour,
        listed.size,
        store,
        app=sys.intern(app[0]) if app else "",
        modified=listed.modified,
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort `#70` before `#627`: numbers by value, the rest by letter."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in _NUMBERS.split(name)]


def _refuse_twins(origin: str, members: Iterable[Member]) -> None:
    """A part that lies in an archive twice would be exported twice."""
    seen: dict[str, str] = {}
    for member in members:
        part = _base(member.name).replace("%23", "#").removesuffix(".gz")
        if part in seen:
            raise ForeignArchive(
                f"{origin} holds the same part twice: {seen[part]!r} and {member.name!r}.",
                remedy="Keep one of the two.",
            )
        seen[part] = member.name


def _base(name: str) -> str:
    """The last part of a name; a .zip made on Windows may part names with a backslash."""
    return re.split(r"[/\\]", name)[-1]


def _is_litter(name: str) -> bool:
    """Whether a file is known to hold no events.

    `complete` files mark a finished hour of a bucket export; the others come from a desktop.
    """
    parts = re.split(r"[/\\]", name)
    return "complete" in parts[-1].lower() or parts[-1] == ".DS_Store" or "__MACOSX" in parts
