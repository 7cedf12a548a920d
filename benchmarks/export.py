"""Made-up exports on the disk, as Amplitude's Export API sends its own; made once and kept.

A .zip of `<app>/<app>_<date>_<hour>#<partition>.json.gz`: several files for each hour, gzip of
lines of JSON, stored in the .zip as they are.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from benchmarks import events as events_module
from benchmarks.events import HourPart, lines, row_number
from tests.fakes.amplitude_archive import member_name
from tools.sample_export.rows import APP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: An ordinary hour of a project with 36 million events a month.
EVENTS_OF_AN_HOUR = 50_000

_FIRST_HOUR = datetime(2024, 1, 1, tzinfo=timezone.utc)
#: How busy the hours of a day are, and the files of an hour. Both have a mean of 1.
_BUSY_NIGHT = (0.5, 0.4, 0.4, 0.5, 0.7, 0.9, 1.1, 1.3)
_BUSY_DAY = (1.4, 1.5, 1.5, 1.4, 1.4, 1.4, 1.4, 1.3)
_BUSY_EVENING = (1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.7, 0.5)
_BUSY_HOURS = _BUSY_NIGHT + _BUSY_DAY + _BUSY_EVENING
_PARTITIONS = {70: 1.3, 113: 0.7, 248: 1.1, 359: 0.9, 401: 1.2, 516: 0.8, 627: 1.0, 744: 1.0}
#: Amplitude's files shrink as much as with zlib's default.
_LEVEL = 6


def export(events: int, cache: Path, events_of_an_hour: int = EVENTS_OF_AN_HOUR) -> Path:
    """Return the .zip of an export of so many events, made now if it is not in the cache.

    Args:
        events: how many; 0 gives an empty one.
        cache: where the exports are kept.
        events_of_an_hour: the mean.
    """
    # Another generator makes other exports.
    version = hashlib.sha256(
        Path(events_module.__file__).read_bytes() + Path(__file__).read_bytes()
    ).hexdigest()[:8]
    path = cache / f"export-{events}-{events_of_an_hour}-{version}.zip"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        with ProcessPoolExecutor(os.cpu_count()) as pool, ZipFile(unfinished, "w") as files:
            for name, packed in pool.map(_packed, parts_of_hours(events, events_of_an_hour)):
                files.writestr(name, packed)
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return path


def exported_row(event: Mapping[str, Any]) -> int:
    """Return the number of the row that an event stands for, or one that no row has."""
    # The ways that send the row as it is, or all its fields as properties, have it there.
    fields = event.get("properties", event)
    return row_number(fields.get("uuid") or event["uuid"])


def parts_of_hours(events: int, events_of_an_hour: int) -> Iterator[HourPart]:
    """Yield the files of an export, hour after hour: busy hours and quiet ones."""
    done = 0
    for hour in count():
        if done == events:
            return
        wanted = max(1, round(events_of_an_hour * _BUSY_HOURS[hour % len(_BUSY_HOURS)]))
        wanted = min(wanted, events - done)
        first = done
        for place, rows in enumerate(_split(wanted)):
            if rows:
                start = _FIRST_HOUR + timedelta(hours=hour)
                yield HourPart(start, place, len(_PARTITIONS), first, rows, done)
            first += rows
        done += wanted


def _split(rows: int) -> list[int]:
    """Return how many rows each file of an hour has."""
    sizes = [int(rows * share / len(_PARTITIONS)) for share in _PARTITIONS.values()]
    sizes[-1] += rows - sum(sizes)
    return sizes


def _packed(part: HourPart) -> tuple[str, bytes]:
    """Return the name of a file in the .zip, and the file."""
    number = list(_PARTITIONS)[part.partition]
    name = member_name(APP, part.hour, number)
    return name, gzip.compress("".join(lines(part)).encode(), _LEVEL, mtime=0)
