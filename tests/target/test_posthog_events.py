"""Records that already are PostHog events are checked, and left alone."""

from __future__ import annotations

from typing import Any

import pytest

from target_posthog.amplitude.convert import Options
from target_posthog.amplitude.event_names import EventNames
from target_posthog.conversion import Conversion, Converted, Json, Rejected, Skipped
from target_posthog.posthog_events import convert as convert_with

UUID = "550e8400-e29b-41d4-a716-446655440000"


def convert(record: Json, options: Options | None = None) -> Conversion:
    """Convert as a target without further settings does."""
    return convert_with(record, options or Options())


def event(**changes: Any) -> Json:
    """Return a sound event; a change to None leaves a field out."""
    sound = {
        "uuid": UUID,
        "event": "viewed",
        "distinct_id": "u1",
        "timestamp": "2024-01-01T10:00:00.5+02:00",
        "properties": {"a": 1},
    }
    return {name: value for name, value in {**sound, **changes}.items() if value is not None}


def sent(**changes: Any) -> Json:
    """Return what is sent for an event."""
    result = convert(event(**changes))
    assert isinstance(result, Converted), result
    return result.event


def test_a_sound_event_goes_out_as_it_is() -> None:
    """Only its time is brought to one form, and our own place is kept out of it."""
    assert sent() == {
        "uuid": UUID,
        "event": "viewed",
        "distinct_id": "u1",
        "timestamp": "2024-01-01T08:00:00.500000Z",
        "properties": {"$geoip_disable": True, "a": 1},
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"event": None}, "missing_event_type"),
        ({"event": ""}, "missing_event_type"),
        ({"event": 5}, "missing_event_type"),
        ({"distinct_id": None}, "no_distinct_id"),
        ({"distinct_id": " "}, "no_distinct_id"),
        ({"distinct_id": "x" * 201}, "distinct_id_too_long"),
        ({"timestamp": None}, "bad_time"),
        ({"timestamp": "yesterday"}, "bad_time"),
        ({"properties": [1]}, "bad_event"),
        ({"$set": "x"}, "bad_event"),
        ({"$set_once": [1]}, "bad_event"),
        ({"properties": {"$set": 5}, "$set": {"a": 1}}, "bad_event"),
    ],
)
def test_what_posthog_would_refuse_or_bend_is_rejected(changes: Json, code: str) -> None:
    """Each under its own code."""
    result = convert(event(**changes))
    assert isinstance(result, Rejected)
    assert result.code == code


def test_fields_that_posthog_does_not_know_become_properties() -> None:
    """PostHog would leave them out; the event's own property of the same name wins."""
    properties = sent(elements_chain="a;b", a=2)["properties"]
    assert properties == {"$geoip_disable": True, "elements_chain": "a;b", "a": 1}


def test_person_properties_beside_the_properties_join_those_inside() -> None:
    """As PostHog joins them itself."""
    event_sent = sent(**{"$set": {"b": 2}, "properties": {"$set": {"a": 1, "b": 1}}})
    assert event_sent["properties"]["$set"] == {"a": 1, "b": 2}
    assert sent(**{"$set_once": {"c": 3}})["properties"]["$set_once"] == {"c": 3}


def test_the_user_decides_about_geoip() -> None:
    """It is only a default."""
    assert sent(properties={"$geoip_disable": False})["properties"] == {"$geoip_disable": False}


def test_an_event_without_a_uuid_gets_the_same_one_in_every_run() -> None:
    """Singer's own columns are new in each run and do not count."""
    first, second = sent(uuid=None), sent(uuid="no uuid", _sdc_batched_at="2024")
    assert first["uuid"] == sent(uuid=None, _sdc_batched_at="2025")["uuid"]
    assert first["uuid"] != second["uuid"]
    assert first["uuid"] != sent(uuid=None, properties={"a": 2})["uuid"]


def test_the_record_is_not_changed() -> None:
    """It may still have to go to the rejects as it came."""
    record = event(**{"$set": {"b": 2}, "properties": {"$set": {"a": 1}}})
    before = repr(record)
    convert(record)
    assert repr(record) == before


def test_names_are_renamed_and_skipped_as_the_user_says() -> None:
    """By the settings that Amplitude's names follow, too."""
    options = Options(names=EventNames.of({"viewed": "seen"}, ["draft_*"]))
    renamed = convert(event(), options)
    assert isinstance(renamed, Converted)
    assert renamed.event["event"] == "seen"
    assert convert(event(event="draft_1"), options) == Skipped("skip_events")


def test_objects_may_be_written_as_text() -> None:
    """As databases hold them, PostHog's own exports to PostgreSQL first of all."""
    event_sent = sent(**{"properties": '{"a": [1]}', "$set": '{"b": 2}', "$set_once": ""})
    assert event_sent["properties"] == {"$geoip_disable": True, "a": [1], "$set": {"b": 2}}
    for text in ("{", "[1]", '"a"'):
        result = convert(event(properties=text))
        assert isinstance(result, Rejected)
        assert result.code == "bad_event"


@pytest.mark.parametrize(
    ("changes", "person"),
    [
        ({"distinct_id": 7}, "7"),
        ({"distinct_id": None, "properties": {"distinct_id": "p1"}}, "p1"),
        ({"distinct_id": "", "properties": {"distinct_id": 8}}, "8"),
    ],
)
def test_the_person_is_found_where_posthog_finds_it(changes: Json, person: str) -> None:
    """Numbers are ids, too, and an id may stand in the properties (rust/capture v0_request.rs)."""
    assert sent(**changes)["distinct_id"] == person


def test_a_time_may_be_a_number() -> None:
    """Seconds or milliseconds since 1970, as databases hold them."""
    for time in (1704103200, 1704103200000):
        assert sent(timestamp=time)["timestamp"] == "2024-01-01T10:00:00.000000Z"


def test_what_posthog_would_answer_with_ok_and_not_keep_is_rejected() -> None:
    """Or it would count as accepted; its own names for people and groups pass."""
    result = convert(event(event="$performance_event"))
    assert isinstance(result, Rejected)
    assert result.code == "reserved_event_name"
    for name in ("$identify", "$create_alias", "$groupidentify"):
        assert sent(event=name)["event"] == name
