"""What is found of many events at once."""

from __future__ import annotations

from zlib import crc32

from target_posthog.delivery.measures import Measures, measures_of
from tests.support.deliveries import item


def test_events_are_measured_by_size_time_name_and_sample() -> None:
    """Each counts with its comma, under its origin and day."""
    late = "2024-01-02T03:04:05.000000Z"
    items = [item(1), item(2, timestamp=late), item(3, event="clicked")]
    items[2].origin = b"7/2024-01-01T05"
    items[2].size = 1000

    measures = measures_of(items)

    assert measures.size == len(items[0].body) + len(items[1].body) + 1000 + 3
    assert measures.latest == late
    assert sorted(measures.counts) == [
        (b"", "2024-01-01", "viewed", 1),
        (b"", "2024-01-02", "viewed", 1),
        (b"7/2024-01-01T05", "2024-01-01", "clicked", 1),
    ]
    checks = [crc32(one.uuid.encode()) for one in items]
    assert measures.samples == {
        b"": tuple(sorted(checks[:2])),
        b"7/2024-01-01T05": (checks[2],),
    }


def test_no_events_measure_nothing() -> None:
    """A block may have lines that are all skipped."""
    assert measures_of([]) == Measures()
