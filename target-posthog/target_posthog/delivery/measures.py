"""What the delivery must know of many events at once, found where they are made. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from target_posthog.books.counts import counts_of, samples_of
from target_posthog.capture.batches import size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.posthog.events import OutgoingEvent


class Measures(msgspec.Struct, array_like=True, frozen=True):
    """What a worker finds of the events of a block, so that the target need not look at each.

    Attributes:
        size: how many bytes they have before compression, with a comma each.
        latest: the last of their times, RFC 3339; empty when there are none.
        counts: how many there are of each origin, day and name; see `books.counts`.
        samples: a few of each origin; see `books.samples`.
    """

    size: int = 0
    latest: str = ""
    counts: list[tuple[bytes, str, str, int]] = msgspec.field(default_factory=list)
    samples: dict[bytes, tuple[int, ...]] = msgspec.field(default_factory=dict)


def measures_of(items: Sequence[OutgoingEvent]) -> Measures:
    """Return what is found of events."""
    latest = max([item.timestamp for item in items], default="")
    return Measures(size_of(items), latest, counts_of(items), samples_of(items))
