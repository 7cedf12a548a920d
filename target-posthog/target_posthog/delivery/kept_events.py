"""Which events PostHog keeps already, so that two versions of one do not count as two."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.posthog.events import OutgoingEvent

#: How many accepted events are remembered at least; twice as many at most, in some 20 MB.
_REMEMBERED = 150_000


class KeptEvents:
    """A bounded memory of the accepted events, by fingerprints of what PostHog keeps one of.

    It only counts. What is sent does not depend on it, so two events of one fingerprint are not
    lost. It forgets in two generations, as `memory.Recent` does.

    Args:
        size: how many fingerprints a generation holds.
    """

    def __init__(self, size: int = _REMEMBERED) -> None:
        self._size = size
        self._young: set[int] = set()
        self._old: set[int] = set()

    def repeats(self, fingerprints: Sequence[int]) -> int:
        """Remember accepted events; return how many of them replace an older version."""
        before = len(self._young)
        moved = 0
        if not self._old.isdisjoint(fingerprints):
            moved = len((self._old & set(fingerprints)) - self._young)
        self._young.update(fingerprints)
        new = len(self._young) - before - moved
        if len(self._young) >= self._size:
            self._old, self._young = self._young, set()
        return len(fingerprints) - new


def fingerprints_of(items: Sequence[OutgoingEvent]) -> Sequence[int]:
    """Return 64 bits for each event, mostly those that a worker found."""
    return [item.fingerprint or fingerprint_of(item) for item in items]


def fingerprint_of(item: OutgoingEvent) -> int:
    """Return 64 bits of what PostHog keeps one event of.

    Hashes of texts are the same in a process and its copies, such as workers are where processes
    can be copied.
    """
    # As `stored_once` has it, without a call for each event.
    return hash((item.uuid, item.name, item.person, item.timestamp[:10]))
