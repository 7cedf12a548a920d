"""What the converter says of a stream before its first record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from target_posthog.errors import FixConfiguration
from target_posthog.formats.converter import Conversions, Converter
from target_posthog.model import Skipped
from target_posthog.settings import SETTINGS, Settings
from target_posthog.validation import checked_config
from tests.support.target_settings import settings_of

if TYPE_CHECKING:
    from tests.support.singer import Json


@pytest.mark.parametrize(
    ("fields", "has"),
    [
        (
            {"properties": {"total": {}, "id": {}, "created_at": {}}},
            "It has created_at, id, total.",
        ),
        (
            {"allOf": [{"properties": {"total": {}}}, {"properties": {"id": {}}}]},
            "It has id, total.",
        ),
        ({"properties": {}}, "It has no fields at all."),
    ],
)
def test_a_part_that_the_schema_cannot_have_is_told_with_the_fields_that_it_has(
    fields: Json, has: str
) -> None:
    """Sorted, so that a misspelt name is found."""
    config: Json = {"api_key": "phc_x", "streams": {"orders": {"distinct_id": "buyer"}}}
    checked_config(config, SETTINGS, raise_errors=True)
    closed = {**fields, "additionalProperties": False}
    with pytest.raises(FixConfiguration) as caught:
        Converter(Conversions(Settings.read(config)), "orders", closed, ("id",), lambda *_: None)

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
