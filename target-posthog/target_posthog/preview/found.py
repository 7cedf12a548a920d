"""What a preview has found so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.json_codec import loads
from target_posthog.model import Rejected, Skipped
from target_posthog.preview.pairs import Added, Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.input.intake import Outcome
    from target_posthog.posthog.events import OutgoingEvent
    from target_posthog.preview.wanted import Wanted

#: How much of a time is its hour.
_HOUR = len("2024-01-31T05")


class Found:
    """Pairs on their way, in the order of their records.

    Attributes:
        reasons: of each code of rejection, the reason of the first record.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.pairs: list[Pair] = []
        self.reasons: dict[str, str] = {}

    @property
    def is_full(self) -> bool:
        """Whether there are as many as are wanted."""
        return len(self.pairs) >= self.wanted.count

    def look(self, pair: Pair, outcome: Outcome, origin: bytes) -> Pair | None:
        """Keep a record if it is to be shown; return None when it is not.

        `origin` is whose it is in the book, when it becomes no event.
        """
        event, hour = None, origin.decode().rpartition("/")[2]
        if isinstance(outcome, Skipped):
            pair.fate, pair.rule = "skipped", outcome.rule
        elif isinstance(outcome, Rejected):
            pair.fate, pair.rule, pair.reason = "rejected", outcome.code, outcome.reason
        else:
            event = loads(outcome.body)
            hour = outcome.origin.decode().rpartition("/")[2] or outcome.timestamp[:_HOUR]
        if self.is_full or not self.wanted.has(pair.record, pair.trace, event, hour):
            return None
        self.pairs.append(pair)
        return pair

    def completed(self, items: Sequence[OutgoingEvent]) -> None:
        """Take in events as they go out, with those that are added in front of theirs."""
        added: list[Added] = []
        for item in items:
            if item.is_derived:
                added.append(Added(loads(item.body), _why(item)))
                continue
            if isinstance(item.record, Pair):
                item.record.complete(item, added)
            added = []

    def sent(self, items: Sequence[OutgoingEvent]) -> None:
        """Take in what a request holds."""
        for item in items:
            if isinstance(item.record, Pair):
                item.record.is_sent = True


def _why(item: OutgoingEvent) -> str:
    if item.link is not None:
        return "the first user seen on this device: the device is joined to it"
    return "the group's properties are new: they are set on the group"
