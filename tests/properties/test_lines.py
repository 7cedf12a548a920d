"""Lines come out whole, wherever the blocks are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.lines import Lines

TEXTS = st.lists(st.sampled_from([b"", b"a", b"\n", b"bc\n", b"\n\n", b"defghij"]), max_size=12)


def _lines(blocks: list[bytes], longest: int | None) -> list[bytes]:
    lines = Lines(longest)
    return [line for block in blocks for line in lines.feed(block)] + lines.end()


@given(TEXTS)
def test_lines_do_not_depend_on_where_the_blocks_end(blocks: list[bytes]) -> None:
    """As if all were one text."""
    whole = b"".join(blocks).splitlines(keepends=True)
    assert _lines(blocks, None) == whole


@given(TEXTS, st.integers(1, 5))
def test_a_line_that_is_too_long_may_come_cut_and_comes_once(
    blocks: list[bytes], longest: int
) -> None:
    """More bytes than the bound tell that it was longer; the lines after it are untouched."""
    cut, whole = _lines(blocks, longest), _lines(blocks, None)
    assert len(cut) == len(whole)
    for one, line in zip(cut, whole, strict=True):
        assert one == line or (len(one) > longest and line.startswith(one))
