"""`skip_properties`, `property_names`, `user_properties` and `person_profiles` in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.model import Conversion, Converted, Rejected
from tests.target.formats.test_converter import converter_of

if TYPE_CHECKING:
    from tests.support.singer import Json

FORMATS = ("amplitude", "fields", "posthog")
DAY = "2024-01-01T00:00:00Z"
#: The same in each format: an event's property, a person's, and one of a group.
RECORDS: dict[str, Json] = {
    "amplitude": {
        "event_type": "bought",
        "amplitude_id": 1,
        "user_id": "ann",
        "event_time": DAY,
        "event_properties": {"price": 5, "email": "e"},
        "user_properties": {"plan": "pro", "email": "e"},
        "groups": {"org": ["acme"]},
        "group_properties": {"org": {"acme": {"size": 3, "email": "e"}}},
    },
    "fields": {"id": 1, "user_id": "ann", "time": DAY, "price": 5, "email": "e", "plan": "pro"}
    | {"org": "acme", "size": 3},
    "posthog": {
        "event": "bought",
        "distinct_id": "ann",
        "timestamp": DAY,
        "properties": {"price": 5, "email": "e", "$set": {"plan": "pro", "email": "e"}},
    },
}
STREAMS: Json = {
    "orders": {
        "event": {"value": "bought"},
        "properties": ["price", "email"],
        "set": ["plan", "email"],
        "groups": {"org": {"key": "org", "properties": ["size", "email"]}},
    }
}


def convert(source_format: str, record: Json, **settings: Any) -> Conversion:
    """Convert a record of a stream `orders`."""
    streams = {"streams": STREAMS} if source_format == "fields" else {}
    return converter_of(source_format=source_format, **{**streams, **settings}).convert(record)


def converted(source_format: str, record: Json | None = None, **settings: Any) -> Converted:
    """Convert a record that becomes an event."""
    result = convert(source_format, record or RECORDS[source_format], **settings)
    assert isinstance(result, Converted), result
    return result


def properties(source_format: str, record: Json | None = None, **settings: Any) -> Json:
    """Return the properties of its event."""
    found: Json = converted(source_format, record, **settings).event["properties"]
    return found


@pytest.mark.parametrize("source_format", FORMATS)
@pytest.mark.parametrize("skip", ["email", "em*", "*"])
def test_a_skipped_property_is_in_no_place(source_format: str, skip: str) -> None:
    """Of event, person and group; name, person and time stay."""
    result = converted(source_format, skip_properties=[skip])
    assert "email" not in repr(result)
    assert (result.event["event"], result.event["distinct_id"]) == ("bought", "ann")
    assert ("price" in result.event["properties"]) == (skip != "*")
    assert ("$set" in result.event["properties"]) == (skip != "*")


@pytest.mark.parametrize("source_format", FORMATS)
def test_a_renamed_property_has_its_new_name_in_each_place(source_format: str) -> None:
    """A rename gives way where its new name is taken."""
    names = [{"from": "email", "to": "mail"}, {"from": "price", "to": "mail"}]
    result = converted(source_format, property_names=names)
    found = result.event["properties"]
    assert (found["mail"], found["price"], found["$set"]["mail"]) == ("e", 5, "e")
    assert "email" not in repr(result)


@pytest.mark.parametrize("source_format", FORMATS)
def test_user_properties_reach_the_person_as_the_user_says(source_format: str) -> None:
    """Only what is not there yet, or nothing; then they stay on the event."""
    once = properties(source_format, user_properties="set_once")
    assert (once.get("$set"), once["$set_once"]["plan"]) == (None, "pro")
    ignored = properties(source_format, user_properties="ignore")
    assert not {"$set", "$set_once"} & ignored.keys()
    assert ignored["user_properties"] == {"plan": "pro", "email": "e"}


def test_what_is_taken_away_from_a_person_is_a_change_too() -> None:
    """Into a live project history takes nothing away; ignored, it stays on the event."""
    record = {**RECORDS["posthog"], "properties": {"$unset": ["plan"], "user_properties": "mine"}}
    assert properties("posthog", record)["$unset"] == ["plan"]
    assert "$unset" not in properties("posthog", record, user_properties="set_once")
    ignored = properties("posthog", record, user_properties="ignore")
    assert ignored["user_properties"] == "mine"
    assert ignored["$user_properties"] == {"$unset": ["plan"]}


@pytest.mark.parametrize("source_format", FORMATS)
def test_without_person_profiles_no_event_makes_a_person(source_format: str) -> None:
    """PostHog reads it on each event; groups and links need a person."""
    result = converted(source_format, person_profiles="never")
    assert result.event["properties"]["$process_person_profile"] is False
    assert (result.link, result.groups) == (None, ())
    assert "$process_person_profile" not in properties(source_format)


@pytest.mark.parametrize(
    ("changes", "is_personal"),
    [
        ({}, True),
        ({"$device_id": "ann"}, False),
        ({"$device_id": "phone"}, True),
        ({"$is_identified": False}, False),
        ({"$is_identified": True, "$device_id": "ann"}, True),
    ],
)
def test_identified_only_knows_the_anonymous_events_of_posthog(
    changes: Json, is_personal: object
) -> None:
    """By what PostHog's own SDKs write."""
    record = {**RECORDS["posthog"], "properties": changes}
    found = properties("posthog", record, person_profiles="identified_only")
    assert ("$process_person_profile" not in found) is is_personal


@pytest.mark.parametrize("name", ["$identify", "$create_alias", "$groupidentify"])
def test_a_merge_of_no_person_is_rejected(name: str) -> None:
    """PostHog would drop it in silence; with persons both its ids stay, whatever is skipped."""
    record = {
        **RECORDS["posthog"],
        "event": name,
        "properties": {"alias": "a", "distinct_id": "ann", "$anon_distinct_id": "b"},
    }
    result = convert("posthog", record, person_profiles="never")
    assert isinstance(result, Rejected)
    assert result.code == "reserved_event_name"
    kept = properties("posthog", record, skip_properties=["*"])
    assert kept["$anon_distinct_id"] == "b"
    assert ("alias" in kept) == (name == "$create_alias")


@pytest.mark.parametrize(
    "customer",
    [
        {"email": "e", "name": "n"},
        '{"email": "e", "name": "n"}',
        ' {"email": "e", "name": "n"}',
        [{"email": "e", "name": "n"}, {"name": "m"}],
    ],
    ids=["object", "text", "text after a blank", "list"],
)
def test_a_path_leaves_out_a_part_of_an_object(customer: Any) -> None:
    """Also in JSON text and in lists, and when the object gets another name."""
    record = {"user_id": "ann", "time": DAY, "customer": customer, "text": "{no JSON"}
    names = [{"from": "customer", "to": "client"}]
    found = properties(
        "fields", record, streams={}, skip_properties=["customer.email"], property_names=names
    )
    assert "email" not in repr(found)
    assert "name" in repr(found["client"])
    assert found["text"] == "{no JSON"
