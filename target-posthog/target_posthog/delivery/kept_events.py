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
    lost. It forgets in two generations, as `cache.Recent` does.
    """

    def __init__(self, size: int = _REMEMBERED) -> None:
        self._size = size
        self._young: set[int] = set()
        self._old: set[int] = set()

    def repeats(self, fingerprints: Sequence[int]) -> Sequence[int]:
        """Remember accepted events; return the places of those that replace an older version."""
        before = len(self._young)
        are_new = self._young.isdisjoint(fingerprints) and self._old.isdisjoint(fingerprints)
        if not are_new:
            places = self._places_of_repeats(fingerprints)
        self._young.update(fingerprints)
        if are_new:
            # Mostly they are new among each other, too.
            has_twins = len(self._young) - before < len(fingerprints)
            places = _places_of_twins(fingerprints) if has_twins else []
        if len(self._young) >= self._size:
            self._old, self._young = self._young, set()
        return places

    def _places_of_repeats(self, fingerprints: Sequence[int]) -> list[int]:
        twins = set(_places_of_twins(fingerprints))
        return [
            place
            for place, fingerprint in enumerate(fingerprints)
            if place in twins or fingerprint in self._young or fingerprint in self._old
        ]


def _places_of_twins(fingerprints: Sequence[int]) -> list[int]:
    """Return the places of those that stand before it in the same events."""
    seen: set[int] = set()
    places = []
    for place, fingerprint in enumerate(fingerprints):
        if fingerprint in seen:
            places.append(place)
        seen.add(fingerprint)
    return places


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
