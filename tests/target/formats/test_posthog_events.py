"""Records that already are PostHog events are checked, and left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from target_posthog.formats.names import EventNames
from target_posthog.formats.options import Options
from target_posthog.formats.posthog_events import convert as convert_with
from target_posthog.model import Conversion, Converted, Json, Link, Rejected, Skipped
from target_posthog.posthog.library import OWN_LIB
from tests.fakes import posthog_probe

UUID = "550e8400-e29b-41d4-a716-446655440000"


def convert(record: Json, options: Options | None = None) -> Conversion:
    """Convert as a target without further settings does."""
    return convert_with(record, options or Options())


def event(**changes: Any) -> Json:
    """Return a sound event; a change to None leaves a field out."""
    own = {"uuid": UUID, "timestamp": "2024-01-01T10:00:00.5+02:00"}
    return posthog_probe.event(**{**own, **changes})


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
        "properties": {"$geoip_disable": True, "a": 1, **OWN_LIB},
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"event": None}, "missing_event_type"),
        ({"event": ""}, "missing_event_type"),
        ({"event": 5}, "missing_event_type"),
        # PostHog would answer with OK and not keep it: it would count as accepted.
        ({"event": "$performance_event"}, "reserved_event_name"),
        ({"distinct_id": None}, "no_distinct_id"),
        ({"distinct_id": " "}, "no_distinct_id"),
        ({"distinct_id": "x" * 201}, "distinct_id_too_long"),
        ({"timestamp": None}, "bad_time"),
        ({"timestamp": "yesterday"}, "bad_time"),
        *(({"properties": one}, "bad_event") for one in ([1], "{", "[1]", '"a"')),
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
    properties = sent(shop="x", id=5, a=2)["properties"]
    assert properties == {"$geoip_disable": True, "shop": "x", "a": 1, **OWN_LIB}
    assert sent(shop="x", id=5, uuid=None)["properties"]["id"] == 5


OWN_PLACE = {"$geoip_disable": False, "$lib": "web"}
CHAIN = 'button.cta:text="Buy";div'


@pytest.mark.parametrize(
    "columns",
    [
        # Files: S3 and Azure.
        {
            "elements_chain": CHAIN,
            "person_id": "p",
            "person_properties": '{"plan": "pro", "$initial_os": "iOS"}',
            "created_at": "2024-01-01 00:00:01",
            "team_id": 2,
        },
        # BigQuery, PostgreSQL, Redshift: the chain is JSON, once or twice.
        {
            "elements": json.dumps(CHAIN),
            "set": '{"plan": "pro"}',
            "set_once": '{"$initial_os": "iOS"}',
            "site_url": "",
            "team_id": 2,
            "bq_ingested_timestamp": "2024-01-01",
        },
        {
            "elements": json.dumps(json.dumps(CHAIN)),
            "set": {"plan": "pro"},
            "set_once": {"$initial_os": "iOS"},
            "team_id": 2,
        },
        # Snowflake.
        {
            "elements": CHAIN,
            "people_set": {"plan": "pro"},
            "people_set_once": {"$initial_os": "iOS"},
            "team_id": 2,
        },
        # The API.
        {
            "elements_chain": CHAIN,
            "elements": [{"tag_name": "button"}],
            "person": {"properties": {"plan": "pro", "$initial_os": "iOS"}},
            "team_id": 2,
        },
    ],
)
@pytest.mark.parametrize("capitals", [False, True])
def test_each_column_of_posthogs_exports_has_its_place(columns: Json, capitals: object) -> None:
    """As objects or as text, in small letters or, from Snowflake by another tool, in capitals."""
    record = event(ip="192.0.2.1", properties='{"a": 1}', **columns)
    if capitals:
        record = {name.upper(): value for name, value in record.items()}
    result = convert(record)
    assert isinstance(result, Converted), result
    assert result.event["uuid"] == UUID
    properties = result.event["properties"]
    assert properties.pop("posthog_source")["team_id"] == 2
    assert properties == {
        "$geoip_disable": True,
        "a": 1,
        "$ip": "192.0.2.1",
        "$elements_chain": CHAIN,
        "$set": {"plan": "pro"},
        "$set_once": {"$initial_os": "iOS"},
        **OWN_LIB,
    }


def test_what_an_event_set_goes_before_what_its_person_had() -> None:
    """And its own properties before the columns of the same meaning."""
    properties = sent(
        properties={"$set": {"plan": "pro"}, "$ip": "192.0.2.2", "$elements_chain": "a"},
        person_properties={"plan": "free", "city": "Ulm"},
        ip="192.0.2.1",
        elements_chain="b",
    )["properties"]
    assert properties["$set"] == {"plan": "pro", "city": "Ulm"}
    assert (properties["$ip"], properties["$elements_chain"]) == ("192.0.2.2", "a")


def test_an_event_without_a_person_profile_stays_one() -> None:
    """An export says it in a column."""
    assert sent(person_mode="propertyless")["properties"]["$process_person_profile"] is False
    assert "$process_person_profile" not in sent(person_mode="full")["properties"]


@pytest.mark.parametrize(
    ("changes", "user", "link"),
    [
        ({}, None, None),
        ({"properties": {"$user_id": "u1"}}, "u1", None),
        ({"properties": {"$is_identified": True}}, "u1", None),
        ({"properties": {"$is_identified": False}}, None, None),
        ({"event": "$identify", "properties": {"$anon_distinct_id": "d"}}, "u1", Link("u1", "d")),
        ({"event": "$create_alias", "properties": {"alias": 7.0}}, None, Link("u1", "7")),
        ({"event": "$identify", "properties": {"$anon_distinct_id": "null"}}, None, None),
        ({"event": "$identify"}, None, None),
    ],
)
def test_an_event_shows_its_user_and_whom_it_joins(
    changes: Json, user: str | None, link: Link | None
) -> None:
    """An id alone may be a device's."""
    result = convert(event(**changes))
    assert isinstance(result, Converted)
    assert (result.user, result.link, result.joins) == (user, link, link is not None)


def test_person_properties_beside_the_properties_join_those_inside() -> None:
    """As PostHog joins them itself."""
    event_sent = sent(**{"$set": {"b": 2}, "properties": {"$set": {"a": 1, "b": 1}}})
    assert event_sent["properties"]["$set"] == {"a": 1, "b": 2}
    assert sent(**{"$set_once": {"c": 3}})["properties"]["$set_once"] == {"c": 3}


def test_an_event_without_a_uuid_gets_the_same_one_in_every_run() -> None:
    """Singer's own columns are new in each run and do not count."""
    first, second = sent(uuid=None), sent(uuid="no uuid", _sdc_batched_at="2024")
    assert first["uuid"] == sent(uuid=None, _sdc_batched_at="2025")["uuid"]
    assert first["uuid"] != second["uuid"]
    assert first["uuid"] != sent(uuid=None, properties={"a": 2})["uuid"]


def test_names_are_renamed_and_skipped_as_the_user_says() -> None:
    """By the settings that Amplitude's names follow, too."""
    options = Options(names=EventNames({"viewed": "seen"}, ["draft_*"]))
    renamed = convert(event(), options)
    assert isinstance(renamed, Converted)
    assert renamed.event["event"] == "seen"
    assert convert(event(event="draft_1"), options) == Skipped("skip_events")


def test_objects_may_be_written_as_text() -> None:
    """As databases hold them, PostHog's own exports to PostgreSQL first of all."""
    event_sent = sent(**{"properties": '{"a": [1]}', "$set": '{"b": 2}', "$set_once": ""})
    ours = {"$geoip_disable": True, **OWN_LIB}
    assert event_sent["properties"] == {"a": [1], "$set": {"b": 2}, **ours}


@pytest.mark.parametrize(
    ("changes", "part", "value"),
    [
        ({"distinct_id": 7}, "distinct_id", "7"),
        # An id may stand in the properties, too (rust/capture v0_request.rs).
        ({"distinct_id": None, "properties": {"distinct_id": "p1"}}, "distinct_id", "p1"),
        ({"distinct_id": "", "properties": {"distinct_id": 8}}, "distinct_id", "8"),
        ({"distinct_id": 7.0}, "distinct_id", "7"),
        # Where there is no other, the id of the API is the uuid.
        ({"uuid": None, "id": UUID.upper()}, "uuid", UUID),
        # Seconds or milliseconds since 1970, as databases hold them.
        ({"timestamp": 1704103200}, "timestamp", "2024-01-01T10:00:00.000000Z"),
        ({"timestamp": 1704103200000}, "timestamp", "2024-01-01T10:00:00.000000Z"),
        # The user decides about it, and the library of the source stays.
        ({"properties": OWN_PLACE}, "properties", OWN_PLACE),
        ({"properties": {"$lib": "web"}}, "properties", {"$lib": "web", "$geoip_disable": True}),
    ],
)
def test_each_part_is_found_where_posthog_finds_it(changes: Json, part: str, value: Any) -> None:
    """In the form in which PostHog keeps it."""
    assert sent(**changes)[part] == value


@pytest.mark.parametrize("name", ["$identify", "$create_alias", "$groupidentify"])
def test_posthogs_own_names_for_people_and_groups_pass(name: str) -> None:
    """Others it would answer with OK and not keep."""
    assert sent(event=name)["event"] == name
