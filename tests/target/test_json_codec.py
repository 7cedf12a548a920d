"""JSON in and out without bending a value."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.common.lenient_json import TooDeep
from target_posthog.json_codec import dumps, loads
from tests.support.any_amplitude_rows import JSON
from tests.support.golden_pairs import as_json


@pytest.mark.parametrize(
    "number",
    [
        0,
        -1,
        2**53 + 1,
        2**63 - 1,
        -(2**63),
        2**63,
        2**64 - 1,
        2**64,
        -(2**63) - 1,
        10**40 + 7,
        -(10**40) - 7,
    ],
)
def test_an_integer_of_any_size_stays_exact(number: int) -> None:
    """Amplitude's own ids pass 2^31, and customers send what they like."""
    read = loads(f'{{"n": [{number}]}}')
    assert read == {"n": [number]}
    assert type(read["n"][0]) is int
    assert dumps(read) == f'{{"n":[{number}]}}'.encode()


def test_a_big_integer_beside_broken_text_stays_exact() -> None:
    """The slow way must not bend what the fast way keeps."""
    assert loads(b'["\\ud800", 123456789012345678901234567890, NaN, 0.1, 1.0]') == [
        "\ufffd",
        123456789012345678901234567890,
        "NaN",
        0.1,
        1.0,
    ]


def test_an_integer_of_thousands_of_digits_becomes_its_own_text() -> None:
    """Python converts at most 4,300 digits; the tap writes such a number as text, too."""
    digits = "1" * 5000
    assert loads(f'{{"n": {digits}}}') == {"n": digits}


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1E+999"])
def test_what_is_no_json_number_becomes_its_own_text(text: str) -> None:
    """PostHog's reader refuses it, null would lose it, and the largest double would be a lie."""
    assert loads(f'{{"n": [{text}, 1]}}'.encode()) == {"n": [text, 1]}


def test_text_that_says_nan_stays_text() -> None:
    """Only the bare word is a number."""
    assert loads(b'["NaN", "1e400", NaN]') == ["NaN", "1e400", "NaN"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a": "\\ud800"}', {"a": "\ufffd"}),
        (b'{"a": "x\\ude00y"}', {"a": "x\ufffdy"}),
        (b'{"\\udfff": [{"b": "\\ud83d!"}]}', {"\ufffd": [{"b": "\ufffd!"}]}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "\\ud83d\\ude00 \\ud83d"}', {"a": "\U0001f600 \ufffd"}),
        (b'{"a": "\\\\ud800", "b": NaN}', {"a": "\\ud800", "b": "NaN"}),
    ],
)
def test_half_a_character_becomes_the_replacement_character(line: bytes, expected: Any) -> None:
    """No UTF-8 can hold a lone surrogate; the rest of the row is whole."""
    assert loads(line) == expected
    dumps(loads(line))


def test_two_broken_names_stay_two_properties() -> None:
    """Both names lose the same half character; neither value may be lost for it."""
    assert sorted(loads(b'{"a\\ud800": 1, "a\\ud801": 2}').values()) == [1, 2]


def test_bytes_and_text_give_the_same_value() -> None:
    """Files are read as bytes, messages may be text."""
    line = '{"ключ": "значение", "n": 1.5}'
    assert loads(line) == loads(line.encode()) == {"ключ": "значение", "n": 1.5}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"{",
        b'{"a":}',
        b"{'a': 1}",
        b'{"a": 1} {"b": 2}',
        b'{"a": "\xff"',
        b"nul",
        b"NaNN",
    ],
)
def test_what_is_no_json_is_a_value_error(line: bytes) -> None:
    """The caller counts it as a bad line."""
    with pytest.raises(ValueError):  # noqa: PT011 - any ValueError is the contract
        loads(line)


@pytest.mark.parametrize("depth", [5_000, 100_000])
def test_a_line_that_is_nested_too_deep_is_a_value_error(depth: int) -> None:
    """One hostile line must not end the run."""
    with pytest.raises(ValueError):  # noqa: PT011 - any ValueError is the contract
        loads(b"[" * depth + b"]" * depth)


def test_deeper_values_than_orjson_takes_are_still_written() -> None:
    """Orjson stops at 254 levels."""
    line = b"[" * 400 + b"]" * 400
    assert dumps(loads(line)) == line


@pytest.mark.parametrize("number", [0.1, 1.0, -0.0, 1e22, 5e-324, 1.7976931348623157e308])
def test_a_decimal_number_keeps_every_bit(number: float) -> None:
    """What was 1.0 does not become 1."""
    back = loads(dumps(number))
    assert type(back) is float
    assert back == number
    assert math.copysign(1, back) == math.copysign(1, number)


@given(JSON)
def test_what_is_written_is_read_back(value: Any) -> None:
    """Any JSON value, with integers beyond 64 bits."""
    assert as_json(loads(dumps(value))) == as_json(value)


@given(JSON)
def test_the_standard_library_reads_the_same(value: Any) -> None:
    """The fast writers write plain JSON."""
    assert as_json(json.loads(dumps(value))) == as_json(value)


@given(st.text())
def test_any_text_that_the_standard_library_writes_is_read(text: str) -> None:
    """It writes lone surrogates; each becomes one U+FFFD and nothing else changes."""
    expected = "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in text)
    assert loads(json.dumps({"a": text})) == {"a": expected}


def nested(levels: int) -> str:
    """Return JSON of so many levels."""
    return '{"a":[' * (levels // 2) + "1" + "]}" * (levels // 2)


@pytest.mark.parametrize("text", [nested(510), f"[{','.join(['[{}]'] * 1000)}]"])
def test_what_can_be_read_can_be_written(text: str) -> None:
    """Also 500 levels, which the tap lets pass, and many values beside each other."""
    assert dumps(loads(text)) == dumps(loads(text.encode())) == text.encode()


@pytest.mark.parametrize("levels", [512, 970, 980, 990, 1000, 5000])
def test_what_nests_deeper_is_refused_when_it_is_read(levels: int) -> None:
    """Whoever writes it could fail at it, and each run would end at the same row."""
    for line in (nested(levels), nested(levels).encode(), nested(levels).replace("1", "NaN")):
        with pytest.raises(TooDeep):
            loads(line)
