"""From a few hours to a range: the true number lies in what is told, nine times in ten."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.estimate.arithmetic import Count, count_events, estimate
from target_posthog.estimate.weights import Sample, Weights
from tests.support.target_settings import settings_of

USUAL = settings_of()


def weights(samples: list[Sample], hours: int = 1000, **more: Any) -> Weights:
    """Return a range of so many hours."""
    known: dict[str, Any] = {"source": "api", "place": "", "young_hours": 0, **more}
    return Weights(first="", end="", hours=hours, samples=tuple(samples), **known)


def sample(rows: int, size: int = 100, **more: Any) -> Sample:
    """Return an hour of so many events of so many packed bytes each, ten times that unpacked."""
    return Sample(rows * size, rows * size, rows, rows * size * 10, **more)


def test_hours_alike_leave_nothing_to_guess() -> None:
    """Their mean is that of all."""
    assert count_events(weights([sample(50)] * 24)) == Count(50_000, 50_000, 50_000)


def test_all_hours_are_exact() -> None:
    """However they differ."""
    found = count_events(weights([sample(1), sample(99)], hours=2))
    assert found == Count(100, 100, 100)
    assert found.is_exact


def test_one_hour_tells_hardly_anything() -> None:
    """Nothing but its own events is sure."""
    assert count_events(weights([sample(50)])) == Count(50_000, 50, 100_000)


def test_a_listing_tells_by_bytes() -> None:
    """Samples tell how many events a byte is."""
    found = count_events(weights([sample(10), sample(90)], packed_bytes=1_000_000))
    assert found == Count(10_000, 10_000, 10_000)
    uneven = count_events(weights([sample(10, 50), sample(90, 150)], packed_bytes=10**6))
    assert uneven.low < uneven.likely < uneven.high
    whole = count_events(weights([sample(10), sample(90)], packed_bytes=10_000))
    assert whole == Count(100, 100, 100)


def test_a_listing_without_events_has_none() -> None:
    """Nor is anything divided by nothing."""
    assert count_events(weights([sample(0)], packed_bytes=0)) == Count(0, 0, 0)


@given(
    rows=st.lists(st.integers(0, 10**6), min_size=1, max_size=40),
    hours=st.integers(1, 100_000),
    listed=st.none() | st.integers(0, 10**12),
)
def test_any_samples_give_an_order(rows: list[int], hours: int, listed: int | None) -> None:
    """Low, likely, high; never less than what was seen."""
    found = count_events(weights([sample(one) for one in rows], hours, packed_bytes=listed))
    assert 0 <= found.low <= found.likely <= found.high
    if any(rows):
        assert found.low >= sum(rows)


def test_the_true_number_lies_in_the_range_as_often_as_is_said() -> None:
    """Over projects that grow, sleep at night and rest on Sundays."""
    met = 0
    for seed in range(200):
        chance = random.Random(seed)
        growth, night = chance.uniform(0, 3), chance.uniform(0.1, 1)
        hours = [
            round(
                1000
                * (1 + growth * hour / 8760)
                * (night if hour % 24 < 8 else 1)
                * (0.5 if hour // 24 % 7 == 6 else 1)
                * chance.lognormvariate(0, 0.4)
            )
            for hour in range(8760)
        ]
        parts = [range(n * 365, (n + 1) * 365) for n in range(24)]
        chosen = [sample(hours[chance.choice(part)]) for part in parts]
        found = count_events(weights(chosen, 8760))
        met += found.low <= sum(hours) <= found.high
    assert met >= 175


def test_sizes_requests_and_times_follow_from_the_events() -> None:
    """Of a project of 10 million events of 1,000 bytes."""
    rows = [sample(10_000, seconds=2.0)] * 24
    known = weights(rows, young_hours=10, requests=50, parallel=3, spool_bytes=16 * 10**9)
    found = estimate(known, settings_of(max_events_per_second=2500), 25_000)
    assert found.events == Count(10**7, 10**7, 10**7)
    assert found.young.likely == 100_000
    assert found.packed_bytes == 10**9
    assert found.unpacked_bytes == Count(10**10, 10**10, 10**10)
    assert found.sent_bytes is not None
    assert found.sent_bytes.likely == pytest.approx(1.25 * 10**10)
    assert found.source_requests == 50
    assert found.requests.likely == math.ceil(1.25 * 10**10 / USUAL.max_batch_bytes)
    assert (found.agreed_seconds, found.measured_seconds) == (4000, 400)
    # 1,000 hours of two seconds each, three at a time.
    assert found.source_seconds == pytest.approx(2000 / 3)
    assert found.disk_bytes == 2 * 10**9


def test_what_nobody_knows_stays_unknown() -> None:
    """Of a book, that has no bytes."""
    known = weights([Sample(0, 0, 60), Sample(0, 0, 60)], source="book")
    found = estimate(known, USUAL, 25_000)
    assert found.requests == Count(12, 12, 12)
    assert (found.packed_bytes, found.unpacked_bytes, found.sent_bytes) == (None, None, None)
    assert (found.source_requests, found.source_seconds, found.disk_bytes) == (None, None, None)
    assert found.agreed_seconds is None


def test_the_disk_holds_no_more_than_the_spool_twice() -> None:
    """Downloads, and files on their way to the target."""
    known = weights([sample(10**6)] * 2, spool_bytes=16 * 10**9)
    assert estimate(known, USUAL, 25_000).disk_bytes == 32 * 10**9


def test_a_range_without_events_needs_nothing() -> None:
    """Nor is anything divided by nothing."""
    found = estimate(weights([sample(0)] * 3), USUAL, 25_000)
    assert (found.events, found.requests.likely) == (Count(0, 0, 0), 0)
    assert found.source_seconds is None
