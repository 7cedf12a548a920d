"""What became of a batch that was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_posthog.posthog.events import OutgoingEvent


@dataclass(frozen=True)
class Accepted:
    """What PostHog said to a request that it took.

    Attributes:
        dropped: events that it refused for good, by uuid, with its reason.
        warned: events that it accepted with a remark, by uuid.
        again: uuids of events that are to be sent again.
    """

    dropped: Mapping[str, str] = field(default_factory=dict)
    warned: Mapping[str, str] = field(default_factory=dict)
    again: frozenset[str] = frozenset()

    def then(self, later: Accepted) -> Accepted:
        """Return what is known after a later response for the events that were sent again."""
        return Accepted(
            {**self.dropped, **later.dropped}, {**self.warned, **later.warned}, later.again
        )


@dataclass(frozen=True)
class BatchRefused:
    """PostHog does not take this body: one of its events, or its size, is the cause."""

    status: int
    reason: str


@dataclass(frozen=True)
class SendResult:
    """What became of a batch.

    Attributes:
        accepted: what PostHog said of events that it took; `again` is empty.
        refused: why the events in `left` were not accepted, as one of them is bad.
        left: the events that are neither taken nor dropped; empty unless `refused` is set.
        seconds: how long the last try was on its way.
    """

    accepted: Accepted = field(default_factory=Accepted)
    refused: BatchRefused | None = None
    left: Sequence[OutgoingEvent] = ()
    seconds: float = 0.0
