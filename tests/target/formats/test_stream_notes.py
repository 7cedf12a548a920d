"""What a preview says of records of other taps leaves nothing open either."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.formats.converter import Conversions, Converter
from target_posthog.formats.trace import Trace
from target_posthog.model import Conversion, Converted, Json, is_empty
from tests.support.any_amplitude_rows import ANY_OBJECT, JSON, TEXT
from tests.support.examples import examples
from tests.support.target_settings import settings_of

SETTINGS: Json = {"event_names": [{"from": "orders", "to": "Ordered"}], "source_format": "fields"}
MAPPINGS: list[Json] = [
    {},
    {"event": {"value": "Order"}, "distinct_id": "buyer", "set": ["plan"], "set_once": ["*"]},
    {"properties": ["plan", {"price": "total.amount"}, "total.*"], "uuid": ["uuid", "id"]},
    {"distinct_id": None, "groups": {"firm": {"key": "firm", "properties": ["plan"]}}},
    {"groups": {"firm": "firm"}, "properties": [{"a": ["none", "id"]}], "timestamp": "when"},
    {"event": "kind", "alias": "device_id", "groups": {"firm": "firm", "team": "team"}},
]
WISHES: list[Json] = [
    {},
    {"user_properties": "ignore"},
    {"user_properties": "set_once", "person_profiles": "identified_only"},
    {"skip_properties": ["plan", "t*"], "property_names": [{"from": "id", "to": "order_id"}]},
    {"person_profiles": "never", "property_names": [{"from": "plan", "to": "tier"}]},
]
IDS = st.sampled_from(["ann", "d-1", 7, "", None, "ACME"])
RECORDS = st.builds(
    lambda known, more: {**more, **known},
    st.fixed_dictionaries(
        {"created_at": st.just("2024-01-31T12:00:00Z"), "when": st.just("2024-01-31")},
        optional={
            **dict.fromkeys(("user_id", "device_id", "buyer", "firm", "team", "id", "kind"), IDS),
            "uuid": st.uuids().map(str) | st.just("x"),
            "plan": JSON,
            "total": ANY_OBJECT,
            "$set": ANY_OBJECT,
            "$groups": ANY_OBJECT,
            "$lib": TEXT,
            "$geoip_disable": JSON,
            "_sdc_batched_at": TEXT,
            "user_properties": JSON,
        },
    ),
    st.dictionaries(TEXT, JSON, max_size=3),
)
COLUMNS = st.builds(
    lambda known, more: {**more, **known},
    st.fixed_dictionaries(
        {"event": st.just("viewed"), "distinct_id": IDS, "timestamp": st.just("2024-01-31")},
        optional={
            "uuid": st.uuids().map(str) | st.just("x"),
            "id": st.uuids().map(str) | st.integers(),
            "properties": ANY_OBJECT | st.just('{"plan": 1, "$lib": "web"}'),
            **dict.fromkeys(("person_properties", "set", "$set_once"), ANY_OBJECT),
            "team_id": st.integers(),
            "elements_chain": TEXT,
            "ip": TEXT,
            "TEAM_ID": TEXT,
            "person_mode": st.sampled_from(["full", "propertyless"]),
        },
    ),
    st.dictionaries(TEXT, JSON, max_size=3),
)


def traced(record: Json, **settings: Any) -> tuple[Conversion, Trace]:
    """Return the event of a record, and the notes on it."""
    conversions = Conversions(settings_of(**{**SETTINGS, **settings}))
    converter = Converter(conversions, "orders", {"type": "object"}, ["id"], lambda *_: None)
    trace = Trace()
    conversion = converter.traced(record, trace)
    assert conversion == converter.convert(record)
    return conversion, trace


def hold(record: Json, converted: Conversion, trace: Trace) -> None:
    """See that all of an event and all of its record is explained, if there is an event."""
    if not isinstance(converted, Converted):
        return
    event = converted.event
    assert trace.parts.keys() == event.keys() - {"properties"}
    assert trace.properties.keys() == event["properties"].keys()
    for holder in ("$set", "$set_once", "$groups", "$group_set"):
        told = event["properties"].get(holder)
        if isinstance(told, dict):
            assert {name for one, name in trace.inside if one == holder} == told.keys()
    reasons = (*trace.parts.values(), *trace.properties.values(), *trace.inside.values())
    # A uuid of the whole record tells of no field in particular.
    single = [reason for reason in reasons if "whole" not in reason.rule]
    paths = {trace.path_of(one) for reason in single for one in reason.sources}
    paths |= {trace.path_of(one) for one in (*trace.left_out, *trace.beside)}
    heads = {path.partition(".")[0] for path in paths} | paths
    assert [
        name for name, value in record.items() if not is_empty(value) and name not in heads
    ] == []


@pytest.mark.parametrize("mapping", MAPPINGS, ids=range(len(MAPPINGS)))
@examples(60)
@given(RECORDS, st.sampled_from(WISHES))
def test_every_record_of_a_stream_is_explained(mapping: Json, record: Json, wishes: Json) -> None:
    """By the mapping's parts, by usual names, or as made by this target."""
    converted, trace = traced(record, streams={"orders": mapping}, **wishes)
    hold(record, converted, trace)


@examples(100)
@given(COLUMNS, st.sampled_from(WISHES))
def test_every_event_of_posthogs_own_is_explained(record: Json, wishes: Json) -> None:
    """Whichever export it is of."""
    converted, trace = traced(record, source_format="posthog", **wishes)
    hold(record, converted, trace)
