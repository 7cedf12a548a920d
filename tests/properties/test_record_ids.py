"""Any two records: equal ones have one uuid, different ones two."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from target_posthog.codec import loads
from target_posthog.record_ids import canonical, uuid_of_record
from tests.properties.test_fuzz_target import VALUES

NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
SMALL = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 1), st.sampled_from(["", "1", "1.0", 1.5])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)


def strictly(value: Any) -> Any:
    """Return a value that is equal to another one only if JSON tells no difference."""
    if isinstance(value, dict):
        return {"object": {name: strictly(inner) for name, inner in value.items()}}
    if isinstance(value, list):
        return [strictly(inner) for inner in value]
    return ("truth", value) if isinstance(value, bool) else value


def reordered(value: Any, write: Any) -> Any:
    """Return a value with its keys the other way round, and numbers written another way."""
    if isinstance(value, dict):
        return {name: reordered(inner, write) for name, inner in reversed(value.items())}
    if isinstance(value, list):
        return [reordered(inner, write) for inner in value]
    return write(value) if isinstance(value, (int, float)) and value is not True else value


@settings(max_examples=500, deadline=None)
@given(one=SMALL, other=SMALL)
def test_only_equal_values_have_one_form(one: Any, other: Any) -> None:
    """A text is no number, and a truth is none; null is not nothing."""
    assert (canonical(one) == canonical(other)) == (strictly(one) == strictly(other))


@settings(max_examples=300, deadline=None)
@given(record=st.dictionaries(st.text(max_size=3), VALUES, max_size=5))
def test_the_order_of_keys_and_the_form_of_numbers_do_not_count(record: Any) -> None:
    """Two taps, or two versions of one, write one record in two ways."""
    read = loads(json.dumps(record))

    def other(number: Any) -> Any:
        if isinstance(number, bool):
            return number
        if isinstance(number, int):
            return float(number) if abs(number) < 2**53 else number
        return int(number) if number.is_integer() else number

    assert uuid_of_record("x", read) == uuid_of_record("x", reordered(read, other))


@given(one=NUMBERS, other=NUMBERS)
def test_two_numbers_have_one_form_when_they_are_equal(one: float, other: float) -> None:
    """However large or small they are."""
    assert (canonical(one) == canonical(other)) == (one == other)
