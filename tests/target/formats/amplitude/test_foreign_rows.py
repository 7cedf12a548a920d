"""Rows that a warehouse or another tap wrote get back the form that Amplitude exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.common.amplitude_columns import (
    FIELD_NAMES,
    FOREIGN_TYPES,
    field_name,
    fields_of,
)
from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.amplitude.fast import rows as typed_rows
from target_posthog.formats.amplitude.foreign_rows import exported_row
from target_posthog.formats.names import EventNames, PropertyNames
from target_posthog.formats.options import Options
from target_posthog.model import Converted, Rejected, Skipped
from tests.support.golden_pairs import as_json

if TYPE_CHECKING:
    from target_posthog.model import Json

SOUND: Json = {
    "event_type": "Play",
    "user_id": "u-1",
    "event_time": "2024-01-31 12:34:56.789012",
    "uuid": "7d2c8c1e-0a3b-4c55-9b6e-aa0000000100",
}


def properties_of(row: Json) -> Json:
    """Return the properties of the event that a row becomes."""
    conversion = Amplitude(Options()).convert(row)
    assert isinstance(conversion, Converted)
    properties: Json = conversion.event["properties"]
    return properties


def test_every_field_of_an_export_is_known() -> None:
    """A field that is not would be taken in one spelling only."""
    assert set(typed_rows.FIELDS) == FIELD_NAMES


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("event_type", "event_type"),
        ("EVENT_TYPE", "event_type"),
        ("Event_Type", "event_type"),
        ("eventType", "event_type"),
        ("$INSERT_ID", "$insert_id"),
        ("INSERT_ID", "$insert_id"),
        ("_insert_id", "$insert_id"),
        ("schema", "$schema"),
        ("ad_id", "adid"),
        ("DMA", "dma"),
        # PostHog's name, and columns that are not Amplitude's.
        *((name, name) for name in ("$device_id", "$session_id", "followed_an_identify", "_id")),
        *((name, name) for name in ("_sdc_batched_at", "EVENT", "", "_", "$", "ÄPP")),
    ],
)
def test_a_column_is_known_in_any_spelling(column: str, field: str) -> None:
    """Snowflake writes capitals, Fivetran `_insert_id`, programs of JavaScript `eventType`."""
    assert field_name(column) == field


def test_a_field_keeps_the_column_of_its_own_name() -> None:
    """Another spelling beside it is a property like any other; nothing is lost."""
    row = {**SOUND, "city": "Graz", "CITY": "Linz", "Region": "b", "REGION": "a"}
    assert fields_of(row) == {"REGION": "region"}
    properties = properties_of(row)
    assert (properties["city"], properties["CITY"]) == ("Graz", "Linz")
    assert (properties["region"], properties["Region"]) == ("a", "b")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("data", '{"path": "/batch"}', {"path": "/batch"}),
        ("plan", '"{\\"branch\\": \\"main\\"}"', {"branch": "main"}),
        ("groups", ' {"org": ["a"]}\n', {"org": ["a"]}),
        ("data", '{"a": NaN, "b": 12345678901234567890, "c": 1.0}', None),
        *(("data", text, None) for text in ("{}", "[]", "null", "NULL", "None", "nan", "\\N", "")),
        ("data", "  ", None),
        ("app", 445566.0, 445566),
        ("app", "445566", 445566),
        ("app", "445566.0", 445566),
        ("amplitude_id", "9007199254740993", 9007199254740993),
        ("amplitude_id", "5.38001826014E11", 538001826014),
        ("event_id", " 7 ", 7),
        ("event_id", 0.0, 0),
        ("session_id", -1.0, -1),
        ("session_id", "-1", -1),
        ("session_id", "null", None),
        # Not an integer after all: it stays what it was.
        *(("event_id", value, value) for value in (5.5, "5.5", "x", "1_0", "\u0665", "1E99", True)),
        *(("is_attribution_event", text, True) for text in ("true", "True", "TRUE", "t")),
        *(("is_attribution_event", text, False) for text in ("false", "F")),
        ("is_attribution_event", "maybe", "maybe"),
        ("paying", "true", "true"),
        ("amplitude_attribution_ids", '["a"]', ["a"]),
        ("amplitude_attribution_ids", "a", "a"),
        ("server_upload_time", 1706704497789012, "2024-01-31T12:34:57.789012Z"),
        ("server_upload_time", "1.706704497789E9", "2024-01-31T12:34:57.789000Z"),
        ("server_upload_time", "2024-01-31 12:34:57.789012 UTC", "2024-01-31T12:34:57.789012Z"),
        ("server_upload_time", "2024-01-31 12:34:57.789+00", "2024-01-31T12:34:57.789000Z"),
        ("server_upload_time", "2024-01-31 14:34:57+02:00", "2024-01-31T12:34:57.000000Z"),
    ],
)
def test_a_field_has_the_form_that_amplitude_gives_it(
    field: str, value: Any, expected: Any
) -> None:
    """An object is read from JSON text, an integer and a boolean from what stands for it."""
    if field == "data" and isinstance(value, str) and "NaN" in value:
        expected = {"a": "NaN", "b": 12345678901234567890, "c": 1.0}
    properties = properties_of({**SOUND, field: value})
    assert as_json(properties.get(field)) == as_json(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("{'a': 1, 'b': None}", '{"a": True}', "['a']", "{a=1, b=null}", '{"a"=>1}', '"a"=>"1"'),
        *('{"a": 1', "a:1:{i:0;i:1;}", "[object Object]", "<map>", '[{"key": "a"}]', '"a"', "5"),
        '{"a":' * 600 + "1" + "}" * 600,
    ],
)
@pytest.mark.parametrize("field", ["event_properties", "USER_PROPERTIES", "groups"])
def test_a_text_that_is_no_json_object_is_rejected(field: str, text: str) -> None:
    """It is neither one long property nor guessed at, and the reason names the field."""
    rejected = Amplitude(Options()).convert({**SOUND, field: text})
    assert isinstance(rejected, Rejected)
    assert rejected.code == "bad_object"
    assert field.lower() in rejected.reason
    assert text not in rejected.reason


@pytest.mark.parametrize("field", ["data", "global_user_properties", "plan"])
@pytest.mark.parametrize(
    ("text", "rejected"),
    [("{'a': 1}", True), (" [object Object]", True), ("gold", False), ('"gold"', False)],
)
def test_where_amplitude_seldom_has_an_object_a_word_stays_a_word(
    field: str, text: str, *, rejected: bool
) -> None:
    """A stream map may add one under such a name; but what begins as an object must be one."""
    conversion = Amplitude(Options()).convert({**SOUND, field: text})
    assert isinstance(conversion, Rejected) == rejected
    if not rejected:
        assert properties_of({**SOUND, field: text})[field] == text


def test_a_list_that_is_no_json_is_rejected_too() -> None:
    """Python prints the list of attribution ids as it prints objects."""
    rejected = Amplitude(Options()).convert({**SOUND, "amplitude_attribution_ids": "['a']"})
    assert isinstance(rejected, Rejected)
    assert rejected.code == "bad_object"


def test_an_event_that_is_left_out_need_not_be_readable() -> None:
    """What the user does not want is no reject."""
    options = Options(names=EventNames({}, ["Play"]))
    assert isinstance(Amplitude(options).convert({**SOUND, "data": "{'a': 1}"}), Skipped)


@pytest.mark.parametrize("text", ["{'a': 1}", '{"a": 1}', "5.0", "NULL", "[]", '"x"'])
def test_a_customers_own_text_stays_a_text(text: str) -> None:
    """Only Amplitude's columns are read, also where a property is called like one."""
    own = {"note": text, "data": text, "event_id": text, "groups": text, "REGION": text}
    row = {**SOUND, "event_properties": own, "user_properties": own, "city": text}
    properties = properties_of(row)
    assert {name: properties[name] for name in own} == own
    assert properties["$set"] == own
    assert properties["city"] == text


@pytest.mark.parametrize("name", ["IP_ADDRESS", "IP_*", "ip_address"])
def test_a_column_is_left_out_by_its_own_name_too(name: str) -> None:
    """Whoever looks at the warehouse knows no other; who the event is of stays."""
    row = {**SOUND, "IP_ADDRESS": "192.0.2.1", "CITY": "Graz"}
    row |= {"USER_ID": row.pop("user_id"), "SESSION_ID": 1706704496789, "DEVICE_ID": "d-1"}
    options = Options(properties=PropertyNames({}, [name, "SESSION_ID", "*ID"]))
    conversion = Amplitude(options).convert(row)
    assert isinstance(conversion, Converted)
    assert conversion.event["distinct_id"] == "u-1"
    properties = conversion.event["properties"]
    assert {"ip_address", "$ip", "session_id", "$session_id"}.isdisjoint(properties)
    assert (properties["city"], properties["$device_id"]) == ("Graz", "d-1")
    assert "192.0.2.1" not in as_json(conversion.event)


def test_a_row_from_an_export_is_not_looked_at_twice() -> None:
    """In its fields of a form an export has no text and no float."""
    row = {**SOUND, "data": {}, "app": 1, "event_properties": {"a": "x"}, "plan": None}
    assert FOREIGN_TYPES.isdisjoint({type(row[name]) for name in ("data", "app", "plan")})
    assert exported_row(row, fields_of(row)) == (row, None)
