"""Reading a line is total: it never raises, drops nothing and changes nothing but times."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.common.amplitude_columns import TIME_FIELDS
from tap_amplitude.records import Row
from tap_amplitude.times import parse, to_rfc3339
from tests.support.reading import read_row

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
ANY_TEXT = st.text(alphabet=st.characters(codec=None, exclude_categories=()))
ROWS = st.dictionaries(st.text() | st.sampled_from(TIME_FIELDS), JSON, max_size=8)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_row_or_unreadable(line: bytes) -> None:
    """Nothing that a file can hold raises."""
    assert isinstance(read_row(line), (Row, str))


@given(ROWS)
def test_a_row_keeps_all_that_is_no_time(row: dict[str, Any]) -> None:
    """All fields, with their values and their order; a missing uuid is the only addition."""
    result = read_row(json.dumps(row).encode())

    assert isinstance(result, Row)
    kept = {name: value for name, value in result.record.items() if name not in TIME_FIELDS}
    given_ = {name: value for name, value in row.items() if name not in TIME_FIELDS}
    identifier = given_.get("uuid")
    if identifier is None or (isinstance(identifier, str) and not identifier.strip()):
        kept.pop("uuid")
        given_.pop("uuid", None)
    assert kept == given_
    assert [type(value) for value in kept.values()] == [type(value) for value in given_.values()]


@given(ROWS)
def test_reading_a_record_again_changes_nothing(row: dict[str, Any]) -> None:
    """The form of the times and the uuid are final."""
    once = read_row(json.dumps(row).encode())
    assert isinstance(once, Row)
    twice = read_row(json.dumps(once.record).encode())

    assert isinstance(twice, Row)
    assert twice.record == once.record


@given(
    st.dictionaries(
        ANY_TEXT, ANY_TEXT | st.floats() | st.integers(-(10**400), 10**400), min_size=1, max_size=5
    )
)
def test_whatever_python_writes_as_json_is_readable_and_writable(row: dict[str, Any]) -> None:
    """NaN, infinities, half surrogates and huge integers make no line unreadable."""
    result = read_row(json.dumps(row).encode())

    assert isinstance(result, Row)
    assert len(result.record.keys() - {"uuid"}) == len(row.keys() - {"uuid"})
    text = json.dumps(result.record, ensure_ascii=False, allow_nan=False)
    assert json.loads(text.encode()) == result.record


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_time_of_amplitude_is_the_same_moment_afterwards(moment: datetime) -> None:
    """Written as Amplitude writes it, read back as RFC 3339."""
    text = moment.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
    written = to_rfc3339(text)

    assert written is not None
    assert written == text.replace(" ", "T") + "Z"
    assert parse(written) == moment


@given(st.text() | st.from_regex(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}[.,0-9Z+:-]{0,12}"))
def test_a_text_is_a_time_or_stays_as_it_is(text: str) -> None:
    """Reading times is total, and what it writes is always the one form."""
    written = to_rfc3339(text)

    if written is not None:
        assert len(written) == len("2023-01-01T00:00:00.000000Z")
        assert to_rfc3339(written) == written
        assert orjson.loads(orjson.dumps(written)) == written
