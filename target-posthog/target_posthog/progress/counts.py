"""What the run counts, and the line that it tells now and then. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from target_posthog.model import Json

_ONE_HOUR = timedelta(hours=1)


@dataclass
class Counts:
    """One number per fate of a record.

    exported = accepted + superseded + skipped + rejected, at every flush.

    Attributes:
        exported: records that the tap handed over.
        accepted: of them, events that PostHog took and keeps.
        superseded: of them, events of which PostHog keeps a later version instead.
        skipped: records left out, by rule.
        rejected: records in the rejects file, by code.
        links: identity events that PostHog took.
        groups: group events that PostHog took.
        shared_devices: pairs of a device and a further user, not linked.
        added_rejected: identity and group events that PostHog refused, by code.
        warned: events that PostHog took with a remark, by remark; only protocol v1 has any.
    """

    exported: int = 0
    accepted: int = 0
    superseded: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    links: int = 0
    groups: int = 0
    shared_devices: int = 0
    added_rejected: Counter[str] = field(default_factory=Counter)
    warned: Counter[str] = field(default_factory=Counter)

    def add(self, more: Counts) -> None:
        """Add what another part of the run counted."""
        for number in fields(self):
            # Numbers are added to numbers, counters to counters; these keep zeros out.
            setattr(self, number.name, getattr(self, number.name) + getattr(more, number.name))

    @property
    def open(self) -> int:
        """Return how many records are on their way."""
        left_out = self.skipped.total() + self.rejected.total()
        return self.exported - self.accepted - self.superseded - left_out

    def as_json(self) -> Json:
        """Return the counts for `summary.json`."""
        return {
            "exported": self.exported,
            "accepted": self.accepted,
            "superseded": self.superseded,
            "skipped": dict(self.skipped),
            "rejected": dict(self.rejected),
            "links": self.links,
            "group_updates": self.groups,
            "shared_devices": self.shared_devices,
            "refused_links_and_group_updates": dict(self.added_rejected),
            "warnings": dict(self.warned),
        }


@dataclass(frozen=True)
class Hours:
    """How far the tap is: the first hour not yet exported, and the first that it will not read."""

    next_hour: datetime
    until: datetime

    @classmethod
    def of_state(cls, state: Any) -> Hours | None:
        """Read them from the bookmark of `tap-amplitude`; other taps have none."""
        try:
            bookmark = state["bookmarks"]["events"]
            return cls(_hour(bookmark["next_export_hour"]), _hour(bookmark["export_until"]))
        except (AttributeError, KeyError, TypeError, ValueError):
            return None


class Progress:
    """The line that is shown while the run goes on.

    Args:
        started: seconds, of any clock that only goes forward.
        interval: seconds between two lines.
    """

    def __init__(self, started: float, interval: float = 10.0) -> None:
        self._started = started
        self._interval = interval
        self._next_line = started + interval
        self._first_hour: datetime | None = None
        self._hours: Hours | None = None

    def reached(self, state: Any, earliest: str = "") -> None:
        """Take in a STATE of the tap.

        `earliest` is the first hour of the records before it, `2024-01-31T05`, if they have any.
        """
        hours = Hours.of_state(state)
        if hours is None:
            return
        first = min(hours.next_hour, _hour(earliest)) if earliest else hours.next_hour
        self._first_hour = min(first, self._first_hour or first)
        self._hours = hours

    @property
    def hour(self) -> str:
        """The first hour that is not out yet, `2024-01-31T05`; empty when the tap names none."""
        return "" if self._hours is None else f"{self._hours.next_hour:%Y-%m-%dT%H}"

    def range_as_json(self) -> Json | None:
        """Return the hours of this run for its summary; None when the tap names none."""
        if self._hours is None or self._first_hour is None:
            return None
        first, next_hour, until = self._first_hour, self._hours.next_hour, self._hours.until
        return {
            "from": f"{first:%Y-%m-%dT%H:%M:%SZ}",
            "next": f"{next_hour:%Y-%m-%dT%H:%M:%SZ}",
            "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "done": (next_hour - first) // _ONE_HOUR,
            "total": max(until - first, next_hour - first) // _ONE_HOUR,
        }

    def is_due(self, now: float) -> bool:
        """Return True if it is time for a line; then not before the interval is over again."""
        if now < self._next_line:
            return False
        self._next_line = now + self._interval
        return True

    def text(self, now: float, counts: Counts, *, stalled: float = 0.0, waits_for: str = "") -> str:
        """Return how far the run is.

        `now` is of the clock of `started`; `stalled` are seconds that tell nothing of its speed, as
        PostHog took nothing; `waits_for` is what would have to be faster, if that is known.
        """
        seconds = max(now - self._started, 1e-9)
        parts = [
            f"{counts.exported:,} events",
            f"{counts.exported / seconds:,.0f}/s",
            f"rejected {counts.rejected.total():,}",
        ]
        left = self._time_left(max(seconds - stalled, 1e-9))
        waits = [f"waits for {waits_for}"] if waits_for else []
        return "  ".join([*self._where(), *parts, *left, *waits])

    def _where(self) -> list[str]:
        if self._hours is None:
            return []
        share = self.share
        percent = [] if share is None else [f"{share:.1%} of hours"]
        return [f"{self._hours.next_hour:%Y-%m-%dT%HZ}", *percent]

    @property
    def share(self) -> float | None:
        """How much of the hours is done, from 0 to 1; None when the tap names none."""
        if self._hours is None or self._first_hour is None:
            return None
        whole = self._hours.until - self._first_hour
        if whole <= timedelta():
            return None
        return min(1.0, (self._hours.next_hour - self._first_hour) / whole)

    def _time_left(self, seconds: float) -> list[str]:
        share = self.share
        if not share:
            return []
        left = timedelta(seconds=round(seconds / share - seconds))
        return [f"about {left} left"]


def _hour(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
