"""The schema of `events` holds for rows as real exports have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tap_amplitude import schemas
from tap_amplitude.records import Row
from tests.support.reading import read_row

SCHEMA: dict[str, Any] = json.loads(
    Path(schemas.__file__).with_name("events.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(
    SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)


def check(content: dict[str, Any]) -> None:
    """Validate a row as the tap writes it."""
    row = read_row(json.dumps(content).encode())
    assert isinstance(row, Row)
    VALIDATOR.validate(row.record)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("paying", [True, "true", "0", 1, None]),
        ("sample_rate", [None, 0.5, 1, "0.5"]),
        ("location_lat", [51.5, 51, "51.5", None]),
        ("location_lng", [-0.1, "-0.1", None]),
        ("amplitude_attribution_ids", [None, "a", ["a", "b"]]),
        ("$schema", [12, 13, None]),
        ("plan", [None, {}, {"branch": "main", "version": "1"}]),
        ("is_attribution_event", [None, True, False, "0"]),
        ("amplitude_id", [538001826014, 2**63 - 1]),
        ("session_id", [-1, 1672599772749]),
        ("event_properties", [{}, {"a": {"b": [1, None]}}, None]),
        ("groups", [{"team": ["a", "b"]}, {}, None]),
        ("group_properties", [{"team": {"a": {"size": 1}}}]),
        ("data", [{"path": "/2/httpapi", "group_ids": {"3124": [2357687219]}}]),
        ("event_time", ["2023-01-01 19:02:52.749000", "", None]),
        ("$insert_id", ["", None, "Property Drop Purchased:2"]),
        ("unheard_of", [1, "a", None, {}, []]),
    ],
)
def test_a_field_takes_every_value_that_exports_were_seen_with(
    field: str, values: list[Any]
) -> None:
    """Types are as wide as reality, so that a validating target stops at no real row."""
    for value in values:
        check({"uuid": "u", field: value})


def test_every_field_may_be_null() -> None:
    """A row of today has all 55 fields, many of them null."""
    check(dict.fromkeys(SCHEMA["properties"]))


def test_the_schema_still_says_something() -> None:
    """Wide is not the same as nothing: a number is no name, and a list no properties."""
    wrong: list[dict[str, Any]] = [
        {"event_type": 1},
        {"event_properties": []},
        {"city": {}},
        # A number that may be text becomes a text column.
        {"amplitude_id": "538001826014"},
        {"session_id": 1.5},
    ]
    for content in wrong:
        with pytest.raises(jsonschema.ValidationError):
            check({"uuid": "u", **content})
