"""From a few hours to a whole range: how many events, how large, how long. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.estimate.weights import Sample, Weights
    from target_posthog.settings import Settings

#: An event of PostHog, with all fields of its row and what is added, for each byte of the row:
#: measured over the sample export and over rows of real exports (1.19 and 1.24).
BYTES_FOR_A_BYTE = 1.25
#: Student's t for a range that holds nine times in ten, by the number of samples less one.
_T = (
    *(6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81, 1.80, 1.78, 1.77, 1.76, 1.75),
    *(1.75, 1.74, 1.73, 1.73, 1.72, 1.72, 1.72, 1.71, 1.71, 1.71, 1.71, 1.70, 1.70, 1.70, 1.70),
)
_T_BEYOND = 1.65


@dataclass(frozen=True)
class Count:
    """How many there are.

    Attributes:
        likely: The best guess.
        low, high: The true number lies between them nine times in ten, if the samples are like the
            rest.
    """

    likely: int
    low: int
    high: int

    @property
    def is_exact(self) -> bool:
        """Whether nothing is guessed."""
        return self.low == self.high

    def times(self, factor: float) -> Count:
        """Return what so much of each comes to."""
        return Count(*(round(number * factor) for number in (self.likely, self.low, self.high)))


@dataclass(frozen=True)
class Estimate:
    """What a range comes to.

    Attributes:
        young: Of them, those of the last 48 hours.
        packed_bytes: What the source sends; None when nobody knows.
        unpacked_bytes: The same, unpacked.
        sent_bytes: What PostHog gets, before compression.
        source_requests: Requests to the source; None when nobody knows.
        requests: Requests to PostHog, at least.
        source_seconds: How long the source takes; None when nobody knows.
        agreed_seconds: How long the events take at the agreed speed; None without one.
        measured_seconds: The same at the measured speed.
        measured_speed: In events a second.
        disk_bytes: What may lie on the disk at once, besides the ledger; None when nobody knows.
    """

    events: Count
    young: Count
    packed_bytes: int | None
    unpacked_bytes: Count | None
    sent_bytes: Count | None
    source_requests: int | None
    requests: Count
    source_seconds: float | None
    agreed_seconds: float | None
    measured_seconds: float
    measured_speed: float
    disk_bytes: int | None


def estimate(weights: Weights, settings: Settings, measured_speed: float) -> Estimate:
    """Return what a range comes to, at a measured speed in events a second."""
    events = count_events(weights)
    rows = sum(sample.rows for sample in weights.samples)
    known = [
        sample.unpacked_bytes for sample in weights.samples if sample.unpacked_bytes is not None
    ]
    per_event = sum(known) / rows if known and rows else None
    unpacked = None if per_event is None else events.times(per_event)
    sent = None if unpacked is None else unpacked.times(BYTES_FOR_A_BYTE)
    agreed = settings.max_events_per_second
    packed = _packed(weights)
    return Estimate(
        events=events,
        young=events.times(weights.young_hours / weights.hours),
        packed_bytes=packed,
        unpacked_bytes=unpacked,
        sent_bytes=sent,
        source_requests=weights.requests,
        requests=_requests(events, sent, settings),
        source_seconds=_source_seconds(weights, packed),
        agreed_seconds=events.likely / agreed if agreed else None,
        measured_seconds=events.likely / measured_speed,
        measured_speed=measured_speed,
        disk_bytes=_disk(weights, packed),
    )


def count_events(weights: Weights) -> Count:
    """Return how many events a range has.

    Of a listing, all bytes are known: the samples tell how many events a byte is. Otherwise they
    tell how many events an hour has.
    """
    samples = weights.samples
    rows = sum(sample.rows for sample in samples)
    if weights.packed_bytes is not None:
        return _by_ratio(samples, weights.packed_bytes)
    if len(samples) >= weights.hours:
        return Count(rows, rows, rows)
    mean = rows / len(samples)
    off = [sample.rows - mean for sample in samples]
    error = _error_of_mean(off, share=len(samples) / weights.hours, mean=mean)
    return _count(mean * weights.hours, error * weights.hours, rows)


def _by_ratio(samples: Sequence[Sample], packed_bytes: int) -> Count:
    read, rows = (
        sum(sample.read_bytes for sample in samples),
        sum(sample.rows for sample in samples),
    )
    if not read:
        return Count(0, 0, 0)
    if read >= packed_bytes:
        return Count(rows, rows, rows)
    ratio = rows / read
    off = [sample.rows - ratio * sample.read_bytes for sample in samples]
    size = read / len(samples)
    error = _error_of_mean(off, share=read / packed_bytes, mean=ratio * size) / size
    return _count(ratio * packed_bytes, error * packed_bytes, rows)


def _count(likely: float, margin: float, seen: int) -> Count:
    return Count(
        max(round(likely), seen), max(seen, math.floor(likely - margin)), math.ceil(likely + margin)
    )


def _error_of_mean(off: Sequence[float], *, share: float, mean: float) -> float:
    """Return how far the mean of all may lie from that of some, nine times in ten.

    `off` is how far each of these lies from their mean, `share` how much of all they are.
    """
    count = len(off)
    if count == 1:
        # One tells nothing of the others: they may be nothing, or twice as much.
        return mean
    variance = sum(distance * distance for distance in off) / (count - 1)
    t = _T[count - 2] if count - 2 < len(_T) else _T_BEYOND
    return t * math.sqrt(variance / count * max(0.0, 1 - share))


def _packed(weights: Weights) -> int | None:
    if weights.packed_bytes is not None:
        return weights.packed_bytes
    if weights.source == "book":
        return None
    return round(fmean(sample.packed_bytes for sample in weights.samples) * weights.hours)


def _requests(events: Count, sent: Count | None, settings: Settings) -> Count:
    """Return how many batches the events fill; where PostHog is far away, some go out earlier."""
    sizes = sent or Count(0, 0, 0)

    def needed(number: int, size: int) -> int:
        most_events, most_bytes = settings.max_batch_events, settings.max_batch_bytes
        return max(math.ceil(number / most_events), math.ceil(size / most_bytes))

    return Count(
        needed(events.likely, sizes.likely),
        needed(events.low, sizes.low),
        needed(events.high, sizes.high),
    )


def _source_seconds(weights: Weights, packed: int | None) -> float | None:
    timed = [sample for sample in weights.samples if sample.seconds is not None]
    seconds, size = (
        sum(sample.seconds or 0.0 for sample in timed),
        sum(sample.packed_bytes for sample in timed),
    )
    if not timed or not size or packed is None:
        return None
    return packed / size * seconds / weights.parallel


def _disk(weights: Weights, packed: int | None) -> int | None:
    """Return what downloads, and files on their way to the target, may take together."""
    if weights.spool_bytes is None:
        return None
    most = 2 * weights.spool_bytes
    return most if packed is None else min(most, 2 * packed)
