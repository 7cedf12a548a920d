"""Builds export archives the way Amplitude does: a zip of gzip files of JSON lines."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias, TypeVar

Row: TypeAlias = Mapping[str, Any]
"""One exported event as Amplitude writes it: about 55 keys, times as text without a zone."""

HOUR = timedelta(hours=1)

# Amplitude docs, Export API, "Response": events before November 12, 2014 are grouped by day.
FIRST_HOURLY_DAY = datetime(2014, 11, 12, tzinfo=timezone.utc)

_T = TypeVar("_T")


@dataclass(frozen=True)
class Member:
    """One `.json.gz` file of an archive.

    Attributes:
        name: Its path in the zip.
        hours: The hours of upload of its rows: one, but several in a file of a whole day.
        lines: Its rows as JSON text without line ends, in the order of the file.
    """

    name: str
    hours: frozenset[datetime]
    lines: tuple[bytes, ...]

    def data(self) -> bytes:
        """Return the file itself: gzip of one JSON object per line."""
        # Fixed level and no time of writing: equal rows in equal order give equal bytes.
        return gzip.compress(b"".join(line + b"\n" for line in self.lines), 6, mtime=0)


def zip_of(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a zip of `(name, data)` files.

    The members are stored, not deflated. Observed: a public migration script hands adm-zip's
    raw member bytes straight to gunzip and that worked on thousands of real files.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_STORED)
    return buffer.getvalue()


def upload_hour(row: Row) -> datetime:
    """Return the hour of `server_upload_time`, the clock that the Export API goes by.

    Raises:
        KeyError: The row has no such time, so Amplitude could not have exported it.
        ValueError: The time cannot be read.
    """
    # Observed on every public row: "YYYY-MM-DD HH:MM:SS.ffffff", no zone, always UTC.
    moment = datetime.fromisoformat(row["server_upload_time"]).replace(tzinfo=timezone.utc)
    return moment.replace(minute=0, second=0, microsecond=0)


def json_line(row: Row) -> bytes:
    """Return the row as one line of JSON in UTF-8, other than ASCII only where it can be.

    A lone surrogate has no UTF-8 form, so a row that holds one is written with escapes.
    """
    text = json.dumps(dict(row), ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(dict(row), separators=(",", ":")).encode()


def partition_number(index: int) -> int:
    """Return the number after `#` of an hour's file `index`.

    Observed in a public log of real downloads: hours 9 and 10 of one day both came as `#627`
    and `#70`. It names a partition, the same ones in each hour, and does not count from 0.
    This makes 70, 627, 187, 744 and so on.
    """
    return 997 * (index // 997) + (70 + 557 * index) % 997


def member_name(app: int, period: datetime, partition: int) -> str:
    """Return a file's path in the zip; the hour is not padded.

    Observed: `203138/203138_2020-11-24_9#627.json.gz`. No name of a file of a whole day
    (before 2014-11-12) was ever published: leaving out the hour is this stand-in's guess.
    """
    hour = f"_{period.hour}" if period >= FIRST_HOURLY_DAY else ""
    return f"{app}/{app}_{period:%Y-%m-%d}{hour}#{partition}.json.gz"


def reordered(items: Sequence[_T], chance: random.Random) -> list[_T]:
    """Return the items in another order than they had, if they have another one."""
    shuffled = list(items)
    chance.shuffle(shuffled)
    if shuffled == list(items):
        return [*shuffled[1:], *shuffled[:1]]
    return shuffled


class EventStore:
    """The rows of one Amplitude project, by hour of upload. Not safe for threads by itself.

    Args:
        rows: The events.
        rows_per_file: The most rows of one file.
    """

    def __init__(self, rows: Iterable[Row], *, rows_per_file: int) -> None:
        if rows_per_file < 1:
            raise ValueError("rows_per_file must be at least 1")
        self._rows_per_file = rows_per_file
        self._app = 0
        # Period (an hour, or a day before 2014-11-12) -> its rows, each with its hour.
        self._periods: defaultdict[datetime, list[tuple[datetime, bytes]]] = defaultdict(list)
        self._sent: Counter[datetime] = Counter()
        for row in rows:
            hour = upload_hour(row)
            # One key pair is one project, and the project's number names the files.
            self._app = self._app or int(row.get("app") or 0)
            self._periods[_period_of(hour)].append((hour, json_line(row)))

    def members(self, first: datetime, last: datetime) -> list[Member]:
        """Return the files of the hours `first` to `last`, both included.

        An hour without rows has no file. A day before 2014-11-12 is one group, so it comes
        whole as soon as one of its hours is asked for: what the service does then is not
        documented, and this is the harder case for a reader.
        """
        periods = [p for p in sorted(self._periods) if _period_of(first) <= p <= last]
        members = [member for period in periods for member in self._files(period)]
        # Observed order of a first download: hours in time, partitions within as text. Each repeat
        # begins with another file.
        begin = max((self._sent[period] for period in periods), default=0) % max(len(members), 1)
        return [*members[begin:], *members[:begin]]

    def sent(self, members: Sequence[Member]) -> None:
        """Note that these files went out, so that the next time they come in another order.

        Mixpanel's export, which PostHog's importer tests treat as Amplitude's equal, was
        shown not to be stable between two downloads of one range; neither service promises
        an order. A reader that resumes by byte or line number must fail here.
        """
        for period in {_period_of(hour) for member in members for hour in member.hours}:
            self._sent[period] += 1
            # The same in every run.
            chance = random.Random(f"{period.isoformat()} {self._sent[period]}")
            self._periods[period] = reordered(self._periods[period], chance)

    def _files(self, period: datetime) -> list[Member]:
        rows = self._periods[period]
        # Amplitude docs, Export API: "there can be several files per hour"; two even of a
        # small hour, so that no test sees the easy case only.
        count = max(min(2, len(rows)), -(-len(rows) // self._rows_per_file))
        files = []
        for index in range(count):
            part = rows[len(rows) * index // count : len(rows) * (index + 1) // count]
            name = member_name(self._app, period, partition_number(index))
            hours = frozenset(hour for hour, _ in part)
            files.append(Member(name, hours, tuple(line for _, line in part)))
        return sorted(files, key=lambda member: member.name)


def _period_of(hour: datetime) -> datetime:
    return hour if hour >= FIRST_HOURLY_DAY else hour.replace(hour=0)
