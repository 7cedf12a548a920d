"""What a line of the book says: one export hour of one app, and what became of its records. Pure.

Of every line: exported = accepted + superseded + skipped + rejected.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from target_posthog.books.samples import Sample, Samples, joined


class Unit(NamedTuple):
    """What one line is about.

    Attributes:
        app: Amplitude's number of the project; empty when the records name none.
        hour: the export hour, `2024-01-31T05`; empty when the records have none.
        stretch: empty for the hours of `tap-amplitude`, whose states stand between whole hours.
            Of another tap a digest of the state behind the records: the same records, read again,
            end in the same state.
    """

    stream: str
    app: str = ""
    hour: str = ""
    stretch: str = ""


class Kind(NamedTuple):
    """Events that PostHog counts together: those of one UTC day, `2024-01-31`, and one name."""

    day: str
    event: str


@dataclass
class Line:
    """What became of the records of one unit.

    Attributes:
        events: records that became events, by kind.
        superseded: of them, those of which PostHog keeps a later version.
        refused: of them, those that PostHog refused; they are counted in `rejected`, too.
        skipped: records left out, by rule.
        rejected: records in the rejects file, by code.
        links, groups: events that were added to these records.
        sample: a few of the records that became events; see `samples`.
        others: a few of the records that did not.
        parts: those parts of the run in which a record of these was rejected; see `BookPlace`.
        goes_on: it holds what an earlier line of this run said of the same unit.
    """

    events: Counter[Kind] = field(default_factory=Counter)
    superseded: Counter[Kind] = field(default_factory=Counter)
    refused: Counter[Kind] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    links: int = 0
    groups: int = 0
    sample: Sample = field(default=(), compare=False)
    others: Sample = field(default=(), compare=False)
    parts: set[int] = field(default_factory=set, compare=False)
    goes_on: bool = field(default=False, compare=False)

    @property
    def samples(self) -> Samples:
        """Return a few of the records."""
        return Samples(self.sample, self.others)

    @property
    def exported(self) -> int:
        """Return how many records there were."""
        never_events = self.rejected.total() - self.refused.total()
        return self.events.total() + self.skipped.total() + never_events

    @property
    def accepted(self) -> int:
        """Return how many events PostHog took and keeps."""
        return self.events.total() - self.superseded.total() - self.refused.total()

    def accepted_of(self, kind: Kind) -> int:
        """Return how many events of a kind PostHog took and keeps."""
        return self.events[kind] - self.superseded[kind] - self.refused[kind]

    def add(self, more: Line) -> None:
        """Add what another part of the same unit came to."""
        for mine, others in (
            (self.events, more.events),
            (self.superseded, more.superseded),
            (self.refused, more.refused),
        ):
            mine.update(others)
        self.skipped.update(more.skipped)
        self.rejected.update(more.rejected)
        self.sample = joined(self.sample, more.sample)
        self.others = joined(self.others, more.others)
        self.parts |= more.parts
        self.links += more.links
        self.groups += more.groups
