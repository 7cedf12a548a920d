"""What the book of earlier runs tells: how fast they were, and how much is left. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from target_posthog.common.summary_file import rfc3339
from target_posthog.errors import FixConfiguration
from target_posthog.estimate.weights import Sample, Weights
from target_posthog.posthog.times import RECENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.books.tables import WrittenLine

_HOUR = timedelta(hours=1)
#: A shorter run is mostly its start.
_LEAST_SECONDS = 30
#: The hours that stand for those to come: whole weeks, as their days differ.
_LATEST_HOURS = 4 * 168


def speed_of(lines: Sequence[WrittenLine]) -> float | None:
    """Return how many events a second the last run sent that was long enough; None without one."""
    runs: dict[str, list[tuple[datetime, int]]] = {}
    for line in sorted(lines, key=lambda line: line.written_at):
        runs.setdefault(line.run, []).append((_moment(line.written_at), line.exported))
    for written in reversed(runs.values()):
        begin = written[0][0]
        seconds = (written[-1][0] - begin).total_seconds()
        # What the first lines tell of was sent before the clock of the book began.
        events = sum(exported for moment, exported in written if moment > begin)
        if seconds >= _LEAST_SECONDS and events:
            return events / seconds
    return None


def rest_of(lines: Sequence[WrittenLine], now: datetime) -> Weights | None:
    """Return what is left until now, if hours to come are like the latest; None if nothing is.

    Raises:
        FixConfiguration: The book has no export hours.
    """
    events: Counter[str] = Counter()
    for line in lines:
        if line.unit.hour:
            events[line.unit.hour] += line.exported
    if not events:
        raise FixConfiguration(
            "The book of this PostHog project has no export hours.",
            "Give the file that `tap-amplitude --estimate` wrote.",
        )
    latest = sorted(events)[-_LATEST_HOURS:]
    first = datetime.strptime(f"{latest[-1]}Z", "%Y-%m-%dT%H%z") + _HOUR
    end = now.replace(minute=0, second=0, microsecond=0)
    hours = (end - first) // _HOUR
    if hours <= 0:
        return None
    young = (end - max(first, now - RECENT)) // _HOUR
    samples = tuple(Sample(0, 0, events[hour]) for hour in latest)
    return Weights("book", "", rfc3339(first), rfc3339(end), hours, young, samples)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
