"""A few records of an hour tell whether it came again, whatever the hour holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.books.samples import (
    Samples,
    check_of,
    joined,
    relation_between,
    relation_of,
    sample_of,
    with_one_more,
)
from target_posthog.json_codec import dumps
from target_posthog.model import StreamLine

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


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_a_sample_grows_by_one_as_by_many(numbers: list[int]) -> None:
    """In whatever order they come."""
    one_by_one: tuple[int, ...] = ()
    for number in numbers:
        one_by_one = with_one_more(one_by_one, number)
    assert one_by_one == tuple(sorted(set(numbers)))[:32]


def test_a_record_is_known_in_whatever_form_it_comes() -> None:
    """As a line of a file, as a line of another tap, and as what was read of it."""
    record = {"event_type": "a", "n": 1}
    line = dumps(record)
    forms = [record, line, line + b"\n", line + b"\r\n", line.decode(), StreamLine(line, "s", ())]
    assert len({check_of(form) for form in forms}) == 1


OF_LINES = st.sets(st.integers(0, 2**32 - 1), min_size=1, max_size=60)


@given(UUIDS.filter(bool), OF_LINES, OF_LINES)
def test_a_part_without_events_is_known_by_its_lines(
    uuids: set[str], lines: set[int], late: set[int]
) -> None:
    """Added once, and not again when a crash has it read again."""
    before = Samples(sample_of(uuids), tuple(sorted(lines))[:32])
    new = tuple(sorted(late - lines))[:32]
    if not new:
        return
    now = Samples((), new)
    assert relation_between(before, now, is_less=True) == "more"
    whole = Samples(before.events, joined(before.others, new))
    if set(new) <= set(whole.others):
        assert relation_between(whole, now, is_less=True) == "part"
    # All of the hour again, of which the settings skip everything now.
    assert relation_between(before, now, is_less=False) == "again"


def test_a_part_without_events_is_more_where_there_never_were_any() -> None:
    """A line of a version that knew no others gives way."""
    one, other = Samples((), (1, 2)), Samples((), (3, 4))
    assert relation_between(one, other, is_less=False) == "more"
    assert relation_between(one, one, is_less=False) == "again"
    assert relation_between(Samples(), other, is_less=False) == "again"
