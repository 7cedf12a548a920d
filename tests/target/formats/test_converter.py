"""What the converter says of a stream before its first record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.errors import FixConfiguration
from target_posthog.formats.converter import Conversions, Converter
from target_posthog.model import Skipped
from target_posthog.settings import SETTINGS, Settings
from target_posthog.validation import checked_config
from tests.support.target_settings import settings_of

if TYPE_CHECKING:
    from tests.support.singer import Json


def converter_of(
    stream: str = "orders", schema: Json | None = None, key: tuple[str, ...] = (), **config: Any
) -> Converter:
    """Return the converter of a stream, by settings that are checked as those of a run are."""
    config = {"api_key": "phc_x", **config}
    checked_config(config, SETTINGS, raise_errors=True)
    conversions = Conversions(Settings.read(config))
    return Converter(conversions, stream, schema or {}, key, lambda *_: None)


@pytest.mark.parametrize(
    ("fields", "has"),
    [
        ({"properties": {key: {} for key in ("total", "id", "at")}}, "It has at, id, total."),
        ({"allOf": [{"properties": {one: {}}} for one in ("total", "id")]}, "It has id, total."),
        ({"properties": {}}, "It has no fields at all."),
    ],
)
def test_a_part_that_the_schema_cannot_have_is_told_with_the_fields_that_it_has(
    fields: Json, has: str
) -> None:
    """Sorted, so that a misspelt name is found."""
    closed = {**fields, "additionalProperties": False}
    with pytest.raises(FixConfiguration) as caught:
        converter_of(schema=closed, streams={"orders": {"distinct_id": "buyer"}})

    told = str(caught.value)
    assert "`streams`, orders: the stream orders has no field for distinct_id (buyer)." in told
    assert f"{has} A constant is written {{value: …}}." in told


@pytest.mark.parametrize(
    ("source_format", "record"),
    [
        ("fields", {"user_id": "u1", "time": "2024-01-01"}),
        ("posthog", {"event": "orders", "distinct_id": "u1", "timestamp": "2024-01-01"}),
        ("amplitude", {"event_type": "orders", "user_id": "u1", "event_time": "2024-01-01"}),
    ],
)
def test_the_new_name_of_an_event_that_is_left_out_is_not_said_to_meet_nothing(
    source_format: str, record: Json
) -> None:
    """Its event came, in any format."""
    settings = settings_of(
        source_format=source_format,
        event_names=[{"from": "orders", "to": "Ordered"}],
        skip_events=["ord*"],
    )
    conversions = Conversions(settings)
    converter = Converter(conversions, "orders", {}, (), lambda *_: None)
    assert converter.convert(record) == Skipped("skip_events")
    assert list(conversions.entries.warnings(())) == []
