"""What differs, what only seems to, and that nothing is counted twice or lost on the way."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.reconcile.cells import Booked, Cell, Held
from target_posthog.reconcile.comparison import Comparison, compare

FIVE, SIX = "2024-01-01T05", "2024-01-01T06"


def cell(hour: str = FIVE, event: str = "viewed", day: str = "2024-01-01") -> Cell:
    """Return a cell."""
    return Cell(hour, day, event)


def sums(comparison: Comparison) -> dict[str, int]:
    """Return all numbers that are not none."""
    names = ("missing", "extra", "moved", "replayed", "unmerged")
    return {name: total for name in names if (total := comparison.total(name))}


def held_later(event: str = "viewed") -> dict[Cell, Held]:
    """Return four events, three of them in the later hour."""
    return {cell(): Held(1, 1), cell(SIX, event): Held(3, 3)}


NONE = {cell(): Booked(0), cell(event="paid"): Booked(0)}
MISSING_AND_EXTRA = {"missing": 1, "extra": 1}


@pytest.mark.parametrize(
    ("booked", "held", "rejected", "expected"),
    [
        ({cell(): Booked(3)}, {cell(): Held(3, 3)}, {}, {}),
        ({cell(): Booked(3)}, {cell(): Held(3, 5)}, {}, {"unmerged": 2}),
        ({cell(): Booked(3)}, {}, {}, {"missing": 3}),
        ({}, {cell(): Held(3, 3)}, {}, {"extra": 3}),
        ({cell(): Booked(0, 2)}, {}, {}, {}),
        # Rejects of the same hour explain what is more, as many as there are.
        ({cell(): Booked(3)}, {cell(): Held(6, 6)}, {FIVE: 2}, {"extra": 1, "replayed": 2}),
        ({cell(): Booked(3)}, {cell(): Held(4, 4)}, {SIX: 2}, {"extra": 1}),
        (NONE, {one: Held(1, 1) for one in NONE}, {FIVE: 1}, {"extra": 1, "replayed": 1}),
        # An older version went to the hour of the newer.
        ({cell(): Booked(2), cell(SIX): Booked(2, 1)}, held_later(), {}, {"moved": 2}),
        # The book knows of none.
        ({cell(): Booked(2), cell(SIX): Booked(2)}, held_later(), {}, MISSING_AND_EXTRA),
        # Of another day or name there is nothing to be moved.
        (
            {cell(): Booked(2), cell(SIX, "paid"): Booked(2, 1)},
            held_later("paid"),
            {},
            MISSING_AND_EXTRA,
        ),
    ],
)
def test_a_difference_is_what_nothing_explains(
    booked: dict[Cell, Booked],
    held: dict[Cell, Held],
    rejected: dict[str, int],
    expected: dict[str, int],
) -> None:
    """Each case by hand."""
    assert sums(compare(booked, held, rejected)) == expected


CELLS = st.builds(
    Cell, st.sampled_from(["", FIVE, SIX]), st.just("2024-01-01"), st.sampled_from("ab")
)
NUMBERS = st.integers(0, 5)


@given(
    st.dictionaries(CELLS, st.builds(Booked, NUMBERS, NUMBERS)),
    st.dictionaries(
        CELLS, st.builds(lambda events, more: Held(events, events + more), NUMBERS, NUMBERS)
    ),
    st.dictionaries(st.sampled_from(["", FIVE, SIX]), NUMBERS),
)
def test_every_event_is_accounted_for(
    booked: dict[Cell, Booked], held: dict[Cell, Held], rejected: dict[str, int]
) -> None:
    """What is booked and not missing is held, whatever else is; explanations are bounded."""
    found = compare(booked, held, rejected)
    assert [one.cell for one in found.cells] == sorted({*booked, *held})
    total = found.total
    assert total("booked") - total("missing") + total("extra") + total("replayed") == total("held")
    assert total("booked") == sum(one.accepted for one in booked.values())
    assert total("moved") <= 2 * sum(one.superseded for one in booked.values())
    sent = Counter[str]()
    for one in found.cells:
        sent[one.cell.hour] += one.replayed
        assert min(one.missing, one.extra) == 0
    assert all(count <= rejected.get(hour, 0) for hour, count in sent.items())
