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
        *(0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1),
        *(10**40 + 7, -(10**40) - 7),
    ],
)
def test_an_integer_of_any_size_stays_exact(number: int) -> None:
    """Amplitude's own ids pass 2^31, and customers send what they like."""
    read = loads(f'{{"n": [{number}]}}')
    assert read == {"n": [number]}
    assert type(read["n"][0]) is int
    assert dumps(read) == f'{{"n":[{number}]}}'.encode()


_DIGITS = "1" * 5000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # PostHog's reader refuses them, null would lose them, the largest double would be a lie.
        *(
            (f"[{text}, 1]".encode(), [text, 1])
            for text in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1E+999")
        ),
        # Python converts at most 4,300 digits; the tap writes such a number as text, too.
        (f'{{"n": {_DIGITS}}}'.encode(), {"n": _DIGITS}),
        (b'["NaN", "1e400", NaN]', ["NaN", "1e400", "NaN"]),
        # No UTF-8 can hold a lone surrogate; the rest of the row is whole.
        (b'{"a": "\\ud800"}', {"a": "\ufffd"}),
        (b'{"a": "x\\ude00y"}', {"a": "x\ufffdy"}),
        (b'{"\\udfff": [{"b": "\\ud83d!"}]}', {"\ufffd": [{"b": "\ufffd!"}]}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "\\ud83d\\ude00 \\ud83d"}', {"a": "\U0001f600 \ufffd"}),
        (b'{"a": "\\\\ud800", "b": NaN}', {"a": "\\ud800", "b": "NaN"}),
        # The slow way must not bend what the fast way keeps.
        (
            b'["\\ud800", 123456789012345678901234567890, NaN, 0.1, 1.0]',
            ["\ufffd", 123456789012345678901234567890, "NaN", 0.1, 1.0],
        ),
    ],
)
def test_what_json_cannot_hold_becomes_a_text_that_it_can(line: bytes, expected: Any) -> None:
    """A number its own text, half a character the replacement character."""
    assert loads(line) == loads(line.decode()) == expected
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
        *(b"", b" ", b"{", b'{"a":}', b"{'a': 1}", b'{"a": 1} {"b": 2}', b'{"a": "\xff"'),
        *(b"nul", b"NaNN"),
        # One hostile line must not end the run.
        *(b"[" * depth + b"]" * depth for depth in (5_000, 100_000)),
    ],
)
def test_what_is_no_json_is_a_value_error(line: bytes) -> None:
    """The caller counts it as a bad line."""
    with pytest.raises(ValueError):  # noqa: PT011 - any ValueError is the contract
        loads(line)


@pytest.mark.parametrize("number", [0.1, 1.0, -0.0, 1e22, 5e-324, 1.7976931348623157e308])
def test_a_decimal_number_keeps_every_bit(number: float) -> None:
    """What was 1.0 does not become 1."""
    back = loads(dumps(number))
    assert type(back) is float
    assert back == number
    assert math.copysign(1, back) == math.copysign(1, number)


@given(JSON)
def test_what_is_written_is_read_back(value: Any) -> None:
    """Any JSON value, with integers beyond 64 bits; by the standard library, too."""
    assert as_json(loads(dumps(value))) == as_json(json.loads(dumps(value))) == as_json(value)


@given(st.text())
def test_any_text_that_the_standard_library_writes_is_read(text: str) -> None:
    """It writes lone surrogates; each becomes one U+FFFD and nothing else changes."""
    expected = "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in text)
    assert loads(json.dumps({"a": text})) == {"a": expected}


def nested(levels: int) -> str:
    """Return JSON of so many levels."""
    return '{"a":[' * (levels // 2) + "1" + "]}" * (levels // 2)


@pytest.mark.parametrize(
    "text", [nested(510), "[" * 400 + "]" * 400, f"[{','.join(['[{}]'] * 1000)}]"]
)
def test_what_can_be_read_can_be_written(text: str) -> None:
    """Also 500 levels, which the tap lets pass, and many values beside each other."""
    assert dumps(loads(text)) == dumps(loads(text.encode())) == text.encode()


@pytest.mark.parametrize("levels", [512, 970, 980, 990, 1000, 5000])
def test_what_nests_deeper_is_refused_when_it_is_read(levels: int) -> None:
    """Whoever writes it could fail at it, and each run would end at the same row."""
    for line in (nested(levels), nested(levels).encode(), nested(levels).replace("1", "NaN")):
        with pytest.raises(TooDeep):
            loads(line)
