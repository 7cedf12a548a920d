"""Lines come out whole, and the same objects out of them, wherever the blocks are cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tap_amplitude.common.line_blocks import Lines
from tap_amplitude.common.object_cutter import Found, ObjectCutter

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXTS = st.lists(
    st.sampled_from([b"", b"a", b"\n", b" ", b"bc\n", b"\n\n", b" \n", b"defghij"]), max_size=12
)
#: What real and broken files are made of.
PARTS = st.sampled_from(
    [
        b'{"a":1}', b'{"b":"x,{[y"}', b'{"c":[{"d":2},3]}', b'{"e":"\\"\\\\"}', b'{"f":"\xff"}',
        b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b'"a":', b"1", b"null", b'"text"', b"tru",
        b"\n", b"\n", b"\r\n", b"\r", b" ", b"\t", b"\0", b"\x1e", b"\xef\xbb\xbf", b"\xef",
        b"junk",
    ]
)  # fmt: skip
#: A blank first: two NULs around a brace would be UTF-16.
FILES = st.lists(PARTS, max_size=30).map(b"".join).map(b" ".__add__)


def lines_of(blocks: Iterable[bytes], longest: int) -> list[tuple[int, bytes]]:
    """Cut blocks into numbered lines, or parts of them."""
    lines, found = Lines(longest), []
    for block in blocks:
        number = lines.number
        for line in lines.feed(block):
            found.append((number, line))
            number += line.count(b"\n")
    number = lines.number
    return found + [(number, line) for line in lines.end()]


def blocks_of(file: bytes, size: int) -> list[bytes]:
    """Cut a file into blocks."""
    return [file[start : start + size] for start in range(0, len(file), size)]


def objects_in(lines: Iterable[tuple[int, bytes]], **bounds: int) -> list[Found]:
    """Cut all objects out of lines."""
    cutter = ObjectCutter(**bounds)
    found = [one for number, line in lines for one in cutter.feed(number, line)]
    assert len(found) < 100_000
    return found + cutter.end()


@given(TEXTS, st.integers(1, 5))
def test_lines_do_not_depend_on_where_the_blocks_end(blocks: list[bytes], longest: int) -> None:
    """Nothing is lost, and each line has its number; long ones come in parts."""
    found = lines_of(blocks, longest)
    whole = b"".join(blocks)
    assert b"".join(line for _, line in found) == whole
    for place, (number, line) in enumerate(found):
        before = b"".join(part for _, part in found[:place])
        assert number == before.count(b"\n") + 1
        is_part = not line.endswith(b"\n") and place < len(found) - 1
        assert line.isspace() or is_part <= (len(line) > longest)
        assert line.isspace() or b"\n" not in line[:-1]


@given(FILES, st.integers(1, 9), st.integers(1, 9), st.sampled_from([6, 20, 1000]))
@example(b'{"a":\n{"b":1}\n}\n', 1, 1, 1000)
def test_objects_do_not_depend_on_where_the_blocks_end(
    file: bytes, size: int, longest_line: int, longest: int
) -> None:
    """The same objects, rejects, reasons and places, whatever the parts that come."""
    bounds = {"longest": longest, "kept": 7}
    whole = objects_in(lines_of([file], 10_000), **bounds)
    assert objects_in(lines_of(blocks_of(file, size), longest_line), **bounds) == whole


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (b'{"a":1},{"b":2}\n', ["line 1", "line 1, item 2"]),
        (b'\n{"a":1}\n\n[{"b":2},\n{"c":3}]', ["line 2", "line 4", "line 5"]),
        (b'{"a":\n1} {"b":2}\n', ["line 1", "line 2"]),
        (b'x {"a":1}\n{"b":2}', ["line 1: not JSON", "line 2"]),
        (b'[7,{"a":1}]', ["line 1: a JSON number, not an object", "line 1, item 2"]),
        (b"[[1", ["line 1: a JSON number, not an object", "line 1: an array that has no end"]),
        (b'}{"a":1}\n~{"b":2}\n', ["line 1: not JSON", "line 2: not JSON"]),
        # An object before what cannot follow one is broken itself.
        (b'{"a":{}},"b":1}\n', ["line 1: not JSON"]),
        (b'{"a":1}}\n{"b":2}~\n', ["line 1: not JSON", "line 2: not JSON"]),
        (b'{"a":', ["line 1: not JSON"]),
        (b'{"a":"x\n{"b":2}\n', ["line 1: not JSON", "line 2"]),
        (b'{"a":"xxxxxxxxxxxxxxxxxxxxx\n{"b":2}\n', ["line 1: longer than 20 bytes", "line 2"]),
        (b'{"a":"xxxxxxxxxxxxxxxxxxxxx"}', ["line 1: longer than 20 bytes"]),
    ],
)
def test_an_object_or_what_is_none_is_told_with_its_place(file: bytes, told: list[str]) -> None:
    """By line, and by item where a line holds several."""
    found = objects_in(lines_of([file], 10_000), longest=20)
    assert [": ".join(filter(None, (one.place, one.reason))) for one in found] == told
    assert [one.record is None for one in found] == [": " in one for one in told]


@given(FILES)
def test_every_byte_that_says_something_is_an_object_or_kept(file: bytes) -> None:
    """All letters come out again, in order: nothing is passed over in silence."""
    found = objects_in(lines_of([file], 10_000))
    told = b"".join(one.text for one in found)
    # Separators go, and so do they inside of what is given up; letters and digits never do.
    kept = [bytes([letter]) for letter in file if letter in b'abcdefjunkltrxy123"\\{}:\xff']
    assert [bytes([letter]) for letter in told if bytes([letter]) in set(kept)] == kept


@given(st.lists(st.dictionaries(st.text(), st.text() | st.lists(st.integers())), max_size=6))
def test_objects_come_out_of_every_form_of_a_file(rows: list[dict[str, Any]]) -> None:
    """One a line, an array, pretty-printed, with CR, one behind the other: the same rows."""
    texts = [json.dumps(row).encode() for row in rows]
    pretty = [json.dumps(row, indent=2).encode() for row in rows]
    forms = [
        b"\n".join(texts),
        b"\r\n".join(texts) + b"\r\n",
        b"\r".join(texts),
        b"".join(texts),
        b",".join(texts),
        b"[" + b",".join(texts) + b"]",
        b"[\n" + b"\n,".join(texts) + b"\n]\n",
        json.dumps(rows, indent=1).encode(),
        b"\n".join(pretty),
        b"\xef\xbb\xbf" + b",\n".join(pretty),
        b"\x1e" + b"\n\x1e".join(texts) + b"\n\0\0\0",
    ]
    for form in forms:
        found = objects_in(lines_of(blocks_of(form, 17), 40))
        assert [one.record for one in found] == rows, form
