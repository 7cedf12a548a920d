"""How fast a run was, over its time: a bounded number of samples, however long it takes. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from target_posthog.progress.counts import Counts

#: More than a chart shows apart; then each second one is left out.
_MOST_SAMPLES = 240
#: The time between samples at first. Seconds.
_INTERVAL = 1.0


class Sample(NamedTuple):
    """What a run had come to after so many seconds.

    Attributes:
        seconds: since its start.
        hour: the first export hour that was not out yet, `2024-01-31T05`; empty for other taps.
        exported: records that had come from the tap.
        accepted: events that PostHog had taken.
        rejected: records that had been rejected.
    """

    seconds: float
    hour: str
    exported: int
    accepted: int
    rejected: int


class Speed:
    """Takes a sample now and then.

    Args:
        started: seconds, of any clock that only goes forward.
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self._interval = _INTERVAL
        self._samples = [Sample(0.0, "", 0, 0, 0)]
        self.next = started + _INTERVAL

    def take(self, now: float, counts: Counts, hour: str) -> None:
        """Take a sample, whether it is time for one or not."""
        rejected = counts.rejected.total()
        seconds = round(now - self._started, 3)
        sample = Sample(seconds, hour, counts.exported, counts.accepted, rejected)
        if seconds <= self._samples[-1].seconds:
            self._samples[-1] = sample
        else:
            self._samples.append(sample)
        if len(self._samples) > _MOST_SAMPLES:
            # They are sums, so that nothing is lost of what lies between; the last one stays.
            self._samples = self._samples[-1::-2][::-1]
            self._interval *= 2
        self.next = now + self._interval

    def as_json(self) -> list[dict[str, Any]]:
        """Return the samples, each with the records a second since the one before it."""
        return [
            {
                **sample._asdict(),
                "events_per_second": per_second(
                    sample.exported - before.exported, sample.seconds - before.seconds
                ),
            }
            for before, sample in pairwise(self._samples)
        ]


def per_second(events: int, seconds: float) -> float:
    """Return how many events there were each second, with one decimal."""
    return round(events / seconds, 1) if seconds > 0 else 0.0
