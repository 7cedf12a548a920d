"""What an export weighs, by a few of its hours: for `target-posthog-estimate`, or anybody.

Of exported files, the listing tells what all of them weigh, and one file of each sample hour how
many events that is.
"""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from datetime import timezone
from typing import TYPE_CHECKING, Any

from tap_amplitude.errors import FixConfiguration
from tap_amplitude.preflight.range import hours_under_48
from tap_amplitude.preflight.sampler import HourSampler
from tap_amplitude.preflight.samples import requests_for, sample_hours
from tap_amplitude.preflight.weight import Weight, weigh
from tap_amplitude.sources.api_plan import plan_project
from tap_amplitude.sources.archive import ArchiveSource
from tap_amplitude.sources.download_plan import LARGEST_ARCHIVE_BYTES
from tap_amplitude.sources.file_plan import plan_files
from tap_amplitude.state.reach import Reach
from tap_amplitude.windows import HOUR, Window, WindowSize, hour_text

if TYPE_CHECKING:
    from datetime import datetime

    from tap_amplitude.settings import Settings
    from tap_amplitude.state.bookmark import Bookmark

logger = logging.getLogger("tap-amplitude.estimate")

#: Raised when a reader of an older one would misread it.
VERSION = 1


@dataclass(frozen=True)
class Sample:
    """An hour that stands for others.

    Attributes:
        packed_bytes: What all of its files weigh.
        read: What was read of it.
        seconds: How long Amplitude took; None for files.
    """

    hour: datetime
    packed_bytes: int
    read: Weight
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for a machine."""
        return {
            "hour": hour_text(self.hour),
            "packed_bytes": self.packed_bytes,
            "read": {
                "rows": self.read.rows,
                "packed_bytes": self.read.packed_bytes,
                "unpacked_bytes": self.read.unpacked_bytes,
            },
            "seconds": None if self.seconds is None else round(self.seconds, 3),
        }


def estimate_project(
    bookmark: Bookmark | None, settings: Settings, now: datetime, user_agent: str, most: int
) -> dict[str, Any]:
    """Ask Amplitude for at most `most` hours of what the next run reads, one after the other.

    Raises:
        TapError: An hour cannot be had, or there is none.
    """
    window = plan_project(bookmark, settings, now).window
    if window.hours <= 0:
        raise _nothing()
    hours = sample_hours(window, most)
    samples = []
    with closing(HourSampler(settings, user_agent, settings.retry_seconds)) as sampler:
        for number, hour in enumerate(hours, start=1):
            sampled = sampler.ask(hour)
            logger.info(
                "Hour %d of %d, %s: %s events.",
                *(number, len(hours), hour_text(hour), f"{sampled.weight.rows:,}"),
            )
            read = sampled.weight
            samples.append(Sample(hour, read.packed_bytes, read, sampled.seconds))
    remembered = bookmark.window_hours if bookmark else None
    size = WindowSize.start(settings.max_window_hours, remembered, settings.parallel_downloads)
    mean = sum(sample.packed_bytes for sample in samples) / len(samples)
    return {
        **_head("api", settings.base_url, window, now, settings),
        "requests": requests_for(window, mean, size, LARGEST_ARCHIVE_BYTES),
        "parallel": settings.parallel_downloads,
        "listed": None,
        "samples": [sample.as_json() for sample in samples],
    }


def estimate_files(
    bookmark: Bookmark | None, settings: Settings, now: datetime, most: int
) -> dict[str, Any]:
    """List what the next run reads of exported files; read one file of at most `most` hours.

    Raises:
        TapError: The archive cannot be read, or there is nothing in it to read.
    """
    reach = Reach.of(bookmark, settings)
    source = ArchiveSource(settings, reach, now)
    steps = plan_files(bookmark, reach, source.listing).steps
    with_files = [step for step in steps if step.files]
    if not with_files:
        raise _nothing()
    window = Window(steps[0].since, steps[-1].hour + HOUR)
    # All hours are weighed by the listing: these tell only how many events a byte is.
    count = min(most, len(with_files))
    chosen = [with_files[number * len(with_files) // count] for number in range(count)]
    samples = []
    for step, members in zip(chosen, source.read(step.files[:1] for step in chosen), strict=True):
        packed = sum(member.packed_bytes for member in step.files)
        samples.append(Sample(step.hour, packed, weigh(members)))
    files = [member for step in with_files for member in step.files]
    return {
        **_head("archive", str(settings.archive_path), window, now, settings),
        "requests": 0,
        "parallel": 1,
        "listed": {
            "hours": len(with_files),
            "files": len(files),
            "packed_bytes": sum(member.packed_bytes for member in files),
        },
        "samples": [sample.as_json() for sample in samples],
    }


def _head(
    source: str, place: str, window: Window, now: datetime, settings: Settings
) -> dict[str, Any]:
    return {
        "version": VERSION,
        "source": source,
        "place": place,
        "made_at": f"{now.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "first_hour": hour_text(window.start),
        "end_hour": hour_text(window.end),
        "hours": window.hours,
        "hours_under_48_h": hours_under_48(window, now),
        "spool_bytes": settings.max_spool_bytes,
    }


def _nothing() -> FixConfiguration:
    return FixConfiguration(
        "There is no hour to estimate: the next run would read none.",
        remedy="`tap-amplitude --test` tells why.",
    )
