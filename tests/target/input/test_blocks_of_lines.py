"""Pieces of a file of any size → blocks of whole lines: nothing is lost, moved or cut apart."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from target_posthog.input.blocks import in_blocks
from target_posthog.model import BlockOfLines, lines_of

#: Short lines, long ones, and ends of all kinds.
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([b"\n", b"\n\n", b"\r\n", b"\r", b"{}", b"{}\n", b"\xef\xbb\xbf", b" "]),
        st.integers(1, 60).map(lambda size: b"x" * size),
    ),
    max_size=40,
).map(b"".join)


def pieces_of(text: bytes, cuts: list[int]) -> list[bytes]:
    """Return a text cut at these places, wherever they are in lines; no piece is empty."""
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[begin:end] for begin, end in pairwise(places)]


@given(text=TEXTS, cuts=st.lists(st.integers(0, 5000), max_size=30), longest=st.integers(1, 50))
@example(text=b"x" * 30 + b"\n", cuts=list(range(31)), longest=3)
@example(text=b"x" * 30 + b"\nabc\n", cuts=[10, 20], longest=3)
def test_blocks_are_the_text_and_whole_ones_whole_lines(
    text: bytes, cuts: list[int], longest: int
) -> None:
    """Wherever pieces end; a line that is too long comes in parts, the last with its end."""
    pieces = pieces_of(text, cuts)
    blocks = list(in_blocks(iter(pieces), longest))

    assert b"".join(raw for raw, _ in blocks) == text
    assert all(raw for raw, _ in blocks)
    at = 0
    for raw, is_whole in blocks:
        begins_line = at == 0 or text[at - 1 : at] == b"\n"
        ends_line = raw.endswith(b"\n") or at + len(raw) == len(text)
        if is_whole:
            assert begins_line
            assert ends_line
        else:
            # A part belongs to one line, and that is too long.
            assert raw.count(b"\n") - raw.endswith(b"\n") == 0
            begin = text.rfind(b"\n", 0, at) + 1
            end = (text.find(b"\n", at) + 1 or len(text)) if raw else at
            assert end - begin > longest
        at += len(raw)
        # What waits for its end is never more than a long line and a piece.
        assert is_whole or len(raw) <= longest + max(map(len, pieces))
    lines = [line for raw, is_whole in blocks if is_whole for line in lines_of(raw)]
    of_text = lines_of(text)
    assert [line for line in of_text if len(line) <= longest] == [
        line for line in lines if len(line) <= longest
    ]


@given(text=TEXTS)
def test_lines_of_a_block_are_found_by_their_numbers(text: bytes) -> None:
    """As they were when the worker saw them."""
    block = BlockOfLines(text)
    lines = text.split(b"\n")
    expected = [line + b"\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]
    assert block.lines() == expected
    assert [block.line(index) for index in range(len(expected))] == expected
