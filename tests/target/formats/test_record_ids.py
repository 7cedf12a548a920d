"""Any two records: equal ones have one uuid, different ones two."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.common.derived_uuids import NAMESPACE
from target_posthog.formats.record_ids import canonical, uuid_of_record, uuid_of_value
from target_posthog.json_codec import loads
from tests.support.examples import examples
from tests.target.test_any_input import VALUES

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


@examples(250)
@given(one=SMALL, other=SMALL)
def test_only_equal_values_have_one_form(one: Any, other: Any) -> None:
    """A text is no number, and a truth is none; null is not nothing."""
    assert (canonical(one) == canonical(other)) == (strictly(one) == strictly(other))


@examples(150)
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


@given(value=VALUES)
def test_the_uuid_is_a_version_5_of_the_canonical_form(value: Any) -> None:
    """As Python's own `uuid` makes it."""
    read = loads(json.dumps(value))
    made = uuid_of_value("orders", read)
    assert made == str(uuid.uuid5(NAMESPACE, canonical(["orders", read]).decode()))


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ('{"id": 7, "total": 12.5, "note": null}', "c5a5609a-c321-5521-a57f-90c25f0342e8"),
        (
            '{"note": null, "total": 12.50, "id": 7.0, "_sdc_batched_at": "2024-01-01"}',
            "c5a5609a-c321-5521-a57f-90c25f0342e8",
        ),
        (
            '{"n": [1, 1.0, 1e16, 1e22, -0.0, 123456789012345678901234567890, 0.1]}',
            "1e2eab41-dc54-51d0-a06c-49c96c0f2710",
        ),
        (
            '{"text": "J\\u00fcrgen 1.0 e+ _sdc_", "deep": {"b": [], "a": {"c": true}}, "": ""}',
            "547afa62-b739-52fe-9247-bfc3b708cf4e",
        ),
        ('{"_sdc_source_lineno": 3, "id": "7"}', "43bc8254-88e5-50ac-9c75-7f95ab4391d1"),
        ('{"big": 5e300, "small": 1e-7, "plus": "+1e+5"}', "67464588-bb83-5ccd-bbf9-c3bd086e855e"),
    ],
)
def test_a_record_has_the_uuid_that_it_had_in_0_1(line: str, made: str) -> None:
    """Another one would double everything that was sent before."""
    assert uuid_of_record("record orders", loads(line), ("_sdc_source_lineno",)) == made
