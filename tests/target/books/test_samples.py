"""A few records of an hour tell whether it came again, whatever the hour holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.books.samples import joined, relation_of, sample_of

UUIDS = st.sets(st.uuids().map(str), max_size=100)


@given(UUIDS, UUIDS)
def test_the_sample_of_two_parts_is_that_of_the_whole(one: set[str], other: set[str]) -> None:
    """In whatever blocks they came."""
    assert joined(sample_of(one), sample_of(other)) == sample_of(one | other)


@given(UUIDS.filter(bool), UUIDS)
def test_an_hour_is_known_again_and_a_late_part_is_more(one: set[str], other: set[str]) -> None:
    """Read again with less than itself of what came late, too."""
    before, late = sample_of(one), set(sorted(other - one)[: len(one)])
    assert relation_of(before, before, is_less=False) == "again"
    if late:
        whole = sample_of(one | late)
        is_less = len(late) < len(one)
        assert relation_of(before, sample_of(late), is_less=is_less) == "more"
        # The same late part once more: it is in the book already.
        assert relation_of(whole, sample_of(late), is_less=True) == "part"
        # And the whole hour with it.
        assert relation_of(before, whole, is_less=False) == "again"


def test_a_row_that_lies_in_two_parts_does_not_make_them_one() -> None:
    """Amplitude's own files repeat some."""
    one, late = {f"{number}" for number in range(60)}, {f"{number}" for number in range(58, 90)}
    assert relation_of(sample_of(one), sample_of(late), is_less=True) == "more"


def test_a_line_without_a_sample_gives_way() -> None:
    """It was written before there were any, or none of its records became an event."""
    assert relation_of((), sample_of(["a"]), is_less=True) == "again"
    assert relation_of(sample_of(["a"]), (), is_less=True) == "more"
    assert relation_of(sample_of(["a"]), (), is_less=False) == "again"
