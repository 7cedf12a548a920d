"""Pieces of a file of any size → blocks of whole lines: nothing is lost, moved or cut apart."""

from __future__ import annotations

import gzip
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_posthog.errors import BrokenInput
from target_posthog.input.batch_files import BatchFile
from target_posthog.input.blocks import in_blocks
from target_posthog.model import BlockOfLines, lines_of
from target_posthog.workers.blocks import block_again

if TYPE_CHECKING:
    from pathlib import Path

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


@given(text=TEXTS)
def test_lines_that_were_let_go_are_read_again_once_they_are_asked_for(text: bytes) -> None:
    """All of a block at once; what cannot be read again stays."""
    read: list[bytes] = []

    def read_again() -> bytes:
        read.append(text)
        return text

    block, kept = BlockOfLines(text, read_again=read_again), BlockOfLines(text)
    expected = block.lines()
    for one in (block, kept):
        one.let_go()
        assert [one.line(index) for index in range(len(expected))] == expected
    assert len(read) == min(1, len(expected))


@pytest.mark.parametrize("is_gzip", [True, False])
def test_each_block_of_a_file_is_read_again_as_it_was(tmp_path: Path, *, is_gzip: bool) -> None:
    """One that it has not any more says that the file has changed."""
    path, text = tmp_path / "0.json", b"".join(b'{"n":%d}\n' % n * 50 for n in range(9_000))
    path.write_bytes(gzip.compress(text) if is_gzip else text)
    file = BatchFile(path.as_uri(), is_gzip=is_gzip)
    blocks = [raw for raw, _ in file.raw_blocks()]
    assert len(blocks) > 10
    assert [block_again(file, number, crc32(raw)) for number, raw in enumerate(blocks)] == blocks
    with pytest.raises(BrokenInput, match="has changed while it was delivered"):
        block_again(file, len(blocks), crc32(blocks[-1]))
    with pytest.raises(BrokenInput, match="has changed while it was delivered"):
        block_again(file, 0, crc32(blocks[1]))
