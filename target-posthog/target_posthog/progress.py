"""What the run counts, and how it tells: one line now and then, one block at the end. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from target_posthog.model import Json


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
        for one in fields(self):
            # Numbers are added to numbers, counters to counters; these keep zeros out.
            setattr(self, one.name, getattr(self, one.name) + getattr(more, one.name))

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

    def reached(self, state: Any) -> None:
        """Take in a STATE of the tap."""
        hours = Hours.of_state(state)
        if hours is None:
            return
        if self._first_hour is None:
            self._first_hour = hours.next_hour
        self._hours = hours

    def line(self, now: float, counts: Counts, *, stalled: float = 0.0) -> str | None:
        """Return the line when it is time for one.

        Args:
            now: seconds, of the clock of `started`.
            counts: what the run came to so far.
            stalled: seconds that tell nothing of its speed, as PostHog took nothing.
        """
        if now < self._next_line:
            return None
        self._next_line = now + self._interval
        seconds = max(now - self._started, 1e-9)
        parts = [
            f"{counts.exported:,} events",
            f"{counts.exported / seconds:,.0f}/s",
            f"rejected {counts.rejected.total():,}",
        ]
        return "  ".join([*self._where(), *parts, *self._time_left(max(seconds - stalled, 1e-9))])

    def _where(self) -> list[str]:
        if self._hours is None:
            return []
        share = self._share()
        percent = [] if share is None else [f"{share:.1%} of hours"]
        return [f"{self._hours.next_hour:%Y-%m-%dT%HZ}", *percent]

    def _share(self) -> float | None:
        if self._hours is None or self._first_hour is None:
            return None
        whole = self._hours.until - self._first_hour
        if whole <= timedelta():
            return None
        return min(1.0, (self._hours.next_hour - self._first_hour) / whole)

    def _time_left(self, seconds: float) -> list[str]:
        share = self._share()
        if not share:
            return []
        left = timedelta(seconds=round(seconds / share - seconds))
        return [f"about {left} left"]


def summary(
    counts: Counts,
    *,
    seconds: float,
    destination: str,
    rejects: str,
    source: str = "records from the tap",
    early: str | None = None,
) -> str:
    """Return the block at the end of a run.

    Args:
        counts: what the run came to.
        seconds: how long it took.
        destination: where the events went, in words.
        rejects: the path of the rejects file.
        source: what was counted as exported, in words.
        early: what speaks against a good end of the tap.
    """
    ended = "Done in" if early is None else "The input ended after"
    lines = [
        f"{ended} {timedelta(seconds=round(seconds))}: {destination}.",
        *([] if early is None else [early]),
        f"  exported {counts.exported:>12,}  {source}",
        f"  accepted {counts.accepted:>12,}",
        f"  superseded {counts.superseded:>10,}{_by_later(counts.superseded)}",
        f"  skipped  {counts.skipped.total():>12,}{_by_name(counts.skipped)}",
        f"  rejected {counts.rejected.total():>12,}{_by_name(counts.rejected)}",
        f"  links    {counts.links:>12,}  devices joined to their user",
    ]
    if counts.groups:
        lines.append(f"  groups   {counts.groups:>12,}  group updates")
    if counts.shared_devices:
        lines.append(
            f"  shared   {counts.shared_devices:>12,}  further users of a device, not joined to it"
        )
    if counts.added_rejected:
        lines.append(f"  PostHog refused {counts.added_rejected.total():,} links or group updates.")
    if counts.warned:
        lines.append(f"  warnings {counts.warned.total():>12,}{_by_name(counts.warned)}")
    if counts.rejected or counts.added_rejected:
        lines.append(f"Next: look at {rejects}, one line for each, with its reason.")
    return "\n".join(lines)


def _by_later(superseded: int) -> str:
    return "  older versions of the same event" if superseded else ""


def _by_name(counter: Counter[str]) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in counter.most_common())
    return f"  {shown}" if shown else ""


def _hour(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
