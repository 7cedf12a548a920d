"""The setting `streams` is read whole, or everything that is wrong with it is told at once."""

from __future__ import annotations

from typing import Any

import pytest

from target_posthog.formats.mapping_reader import read_mappings
from target_posthog.formats.mappings import PARTS, StreamMapping

ANY_SOURCE = "must be a field's name, a list of names, or {value: a constant}."


def mapping(**parts: Any) -> StreamMapping:
    """Return a mapping without mistakes."""
    mappings, problems = read_mappings({"orders": parts})
    assert problems == []
    found = mappings.entry_of("orders")
    assert found is not None
    return found[1]


def test_an_own_name_goes_before_globs_and_globs_in_their_order() -> None:
    """A stream that nothing fits has no mapping."""
    streams = {
        "public-*": {"event": {"value": "a"}},
        "public-orders": {"event": {"value": "b"}},
        "*": {"event": {"value": "c"}},
    }
    mappings, problems = read_mappings(streams)
    assert problems == []
    names = {
        name: one[1].event.first({})
        for name in ("public-orders", "public-users", "other")
        if (one := mappings.entry_of(name)) and one[1].event
    }
    assert names == {"public-orders": "b", "public-users": "a", "other": "c"}
    assert read_mappings({"a": {}})[0].entry_of("b") is None


def test_a_list_takes_names_with_dots() -> None:
    """Meltano would take them apart as keys."""
    mappings, problems = read_mappings([{"stream": "shop.orders", "distinct_id": "buyer"}])
    assert problems == []
    assert mappings.entry_of("shop.orders") == ("shop.orders", mapping(distinct_id="buyer"))


def test_null_is_the_usual_way() -> None:
    """As in every other setting."""
    assert mapping(event=None, properties=None) == StreamMapping()


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"person": "x"}, f"person: there is no such part; there are {', '.join(PARTS)}."),
        ({"distinct_id": 5}, f"distinct_id {ANY_SOURCE}"),
        ({"distinct_id": []}, f"distinct_id {ANY_SOURCE}"),
        ({"timestamp": ["a", 5]}, f"timestamp {ANY_SOURCE}"),
        ({"event": {"values": 1}}, f"event {ANY_SOURCE}"),
        ({"uuid": {"value": "x"}}, "uuid must be a field: it differs from record to record."),
        ({"uuid": {"field": "x"}}, "uuid must be a field's name, a list of names, or {fields: a"),
        ({"event": {"value": " "}}, "event: the constant is not a name of an event."),
        ({"event": {"value": 5}}, "event: the constant is not a name of an event."),
        ({"event": {"value": "$create_alias"}}, "event: the constant is not a name of an event."),
        ({"event": {"value": "x" * 201}}, "event: the constant is not a name of an event."),
        (
            {"distinct_id": ["user", {"value": "unknown"}]},
            "distinct_id: the constant is not an id that a person can have.",
        ),
        ({"timestamp": {"value": "now"}}, "timestamp: the constant is not a time that can be"),
        ({"alias": ["a", {"value": "x"}]}, "alias must be a field: it differs from record"),
        ({"properties": [5]}, "properties must be {property: field}, or a list of fields, globs"),
        ({"properties": ["a", "b.a"]}, "properties has two values for the property a."),
        ({"set": {"a": 5}}, f"set, a {ANY_SOURCE}"),
        ({"groups": "x"}, "groups must be {group type: field} or {group type: {key, properties}}."),
        ({"groups": {"a": {"key": "k", "name": "n"}}}, "groups, a may have a key and properties"),
        ({"groups": {"a": {"properties": ["n"]}}}, f"groups, a {ANY_SOURCE}"),
        ({"groups": {" ": "x"}}, "groups has a group type without a name."),
        ({"groups": dict.fromkeys("abcdef", "x")}, "groups has more group types than the 5"),
    ],
)
def test_a_mistake_is_told_with_its_place(parts: Any, problem: str) -> None:
    """And nothing else."""
    _, (told,) = read_mappings({"orders": parts})
    assert f"`streams`, orders, {problem}" in told


def test_a_stream_has_one_entry() -> None:
    """Of two in a list the second would not act."""
    _, told = read_mappings([{"stream": "a", "event": "x"}, {"stream": "a", "distinct_id": "y"}])
    assert told == ["`streams`: there are two entries for a, of which the second would not act."]


def test_all_mistakes_are_told_at_once() -> None:
    """Not one in each try; a value that may be a secret is not shown."""
    _, told = read_mappings([{"stream": "a", "event": 1, "uuid": 2}, "phc_secret", {"uuid": "x"}])
    assert told == [
        f"`streams`, a, event {ANY_SOURCE}",
        f"`streams`, a, uuid {ANY_SOURCE}",
        "`streams`: entry 2 is not an object.",
        "`streams`: entry 3 does not name its stream.",
    ]


CLOSED = {"properties": {"x": {}}, "additionalProperties": False}
SCHEMA = {
    "properties": {
        "id": {"type": "integer"},
        "a.b": {"type": "string"},
        "closed": {"type": ["null", "object"], **CLOSED},
        "open": {"type": ["object", "null"]},
        "more": {"type": "object", "properties": {"x": {}}},
        "either": {"anyOf": [{"type": "null"}, {"type": "object", **CLOSED}]},
        "any": True,
        "never": False,
        "text": {"type": ["null", "string"]},
    },
    "patternProperties": {"^line_": {}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("parts", "lacking"),
    [
        ({"event": {"value": "e"}, "distinct_id": "id", "timestamp": ["gone", "id"]}, []),
        ({"event": "Order placed"}, [("event", "Order placed")]),
        ({"distinct_id": ["x", "y"], "uuid": "z"}, [("distinct_id", "x, y"), ("uuid", "z")]),
        ({"distinct_id": ["x", {"value": 1}]}, []),
        ({"set": ["a.b", "closed.x", "open.z", "more.w"]}, []),
        ({"set": ["line_1", "text.y", "line_2.z", "either.x", "any.v"]}, []),
        (
            {"set": ["closed.y", "id.v", "either.z", "never"]},
            [("set", one) for one in ("closed.y", "id.v", "either.z", "never")],
        ),
        ({"properties": ["gone_*", "open.*"]}, []),
        ({"properties": ["gone.*"]}, [("properties", "gone")]),
        ({"set_once": {"q": "gone"}, "alias": "n"}, [("alias", "n"), ("set_once", "gone")]),
        ({"groups": {"org": {"key": "g", "properties": ["id"]}}}, [("groups.org", "g")]),
    ],
)
def test_what_the_schema_lacks_is_found(parts: Any, lacking: list[tuple[str, str]]) -> None:
    """Only what is closed lacks something; a text may hold JSON."""
    assert mapping(**parts).lacking_in(SCHEMA) == lacking


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_a_closed_schema_has_the_fields_of_its_parts(word: str) -> None:
    """Drafts before 2019-09 close it to them, too, which no tap that writes such a schema means."""
    parts = [{"properties": {"id": {}}}, {word: [{"properties": {"user": {"type": "object"}}}]}]
    schema = {"properties": {"time": {}}, word: parts, "additionalProperties": False}
    found = mapping(distinct_id="user.id", timestamp="time", uuid="id", set=["gone"])
    assert found.lacking_in(schema) == [("set", "gone")]


def test_a_schema_that_says_nothing_lacks_nothing() -> None:
    """Some taps describe no field."""
    says: dict[str, Any]
    for says in ({}, {"additionalProperties": True}, {"additionalProperties": {}}):
        assert mapping(distinct_id="x").lacking_in({"type": "object", **says}) == []
        assert mapping(distinct_id="x").lacking_in({"properties": {"id": {}}, **says}) == []
