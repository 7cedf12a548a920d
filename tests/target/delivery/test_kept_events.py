"""What PostHog keeps already is remembered, within a bound."""

from __future__ import annotations

from typing import Any

import pytest

from target_posthog.delivery.kept_events import KeptEvents, fingerprint_of, fingerprints_of
from tests.support.deliveries import item


def test_an_accepted_event_is_new_once() -> None:
    """Within one request and over several."""
    kept = KeptEvents()
    assert kept.repeats([1, 2, 3]) == []
    assert kept.repeats([3, 4]) == [0]
    assert kept.repeats([5, 5, 4]) == [1, 2]
    assert kept.repeats([6, 6, 7, 6]) == [1, 3]


def test_the_last_ones_are_remembered_and_older_ones_forgotten() -> None:
    """So the memory of a run of any length is bounded."""
    kept = KeptEvents(10)
    for start in range(0, 1000, 5):
        assert kept.repeats(range(start, start + 5)) == []
        # Of the last ten, each once more, at any time.
        assert len(kept.repeats(range(max(0, start - 5), start + 5))) == min(start + 5, 10)
    assert kept.repeats(range(5)) == []


@pytest.mark.parametrize(
    "changes",
    [{"event": "left"}, {"distinct_id": "other"}, {"timestamp": "2024-01-02T00:00:00.000000Z"}],
)
def test_what_posthog_keeps_both_of_is_told_apart(changes: Any) -> None:
    """By uuid, name, person and day, and by nothing else."""
    one, other, version = fingerprints_of(
        [item(1), item(1, **changes), item(1, properties={"v": 2})]
    )
    assert one == version != other


def test_what_a_worker_found_is_believed_and_the_rest_found_here() -> None:
    """A hash costs as much as the rest of the count."""
    one, other = item(1), item(1)
    one.fingerprint = 5
    assert list(fingerprints_of([one, other])) == [5, fingerprint_of(other)]
    assert fingerprint_of(one) == fingerprint_of(other)
