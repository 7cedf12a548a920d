"""Mistakes in stream maps and flattening are the user's: exit code 2, with place and reason."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.support.singer import Json, record, schema
from tests.support.target_in_process import preview

ROOT = Path(__file__).parents[2]
ORDERS = schema(
    "orders",
    key="id",
    id={},
    user_id={"type": "string"},
    created_at={"type": "string"},
    total={"type": ["null", "string"]},
    place={"type": "object", "properties": {"city": {"type": "string"}}},
)
SECRET = "4111-1111"
PLACE = {"city": "Ulm"}
ORDER = {"id": 1, "user_id": "ann", "created_at": "2024-01-01", "total": SECRET, "place": PLACE}


def orders(**definition: Any) -> Json:
    """Return settings with a stream map of the orders."""
    return {"stream_maps": {"orders": definition}}


def flattened(**more: Any) -> Json:
    """Return settings that flatten."""
    return {"flattening_enabled": True, "flattening_max_depth": 2, **more}


MISTAKES: list[tuple[Json, str]] = [
    (orders(x="upper(total)"), "`stream_maps`, orders, x: there is no function"),
    (orders(x="flaot(total)"), "Did you mean `float`?"),
    (orders(x="1 +"), "`stream_maps`, orders, x is not a valid expression"),
    (orders(x="1; 2"), "`stream_maps`, orders, x is not a valid expression"),
    (orders(x=5), "`stream_maps`, orders, x must be an expression in quotes"),
    (orders(x=["total"]), "`stream_maps`, orders, x must be an expression in quotes"),
    (orders(__filter__="int(total) > 1"), "stream orders, __filter__: a value cannot"),
    (orders(__filter__="=="), "orders, `__filter__` is not a valid"),
    (orders(x="float(total)"), "stream orders, x: a value cannot"),
    (orders(x="totl"), "stream orders, x: a record has no field `totl`"),
    (orders(x="total.nope()"), "stream orders, x: a value has no `nope`"),
    (orders(x="(lambda: 1)()"), "stream orders, x: the expression uses"),
    (orders(x="{'a'}"), "stream orders, x: it gives a set, which JSON does not have"),
    (orders(x="float('nan')"), "stream orders, x: it gives a float, which JSON does not"),
    (orders(id=None), "stream orders: Removing key property 'id' is not permitted"),
    (
        orders(__key_properties__=["total"], total=None),
        "orders: `__key_properties__` names total, which the same map removes",
    ),
    (orders(__key_properties__=["x"]), "Property 'x' was not detected in schema"),
    (orders(__key_properties__="id"), "`__key_properties__` must be a list of names"),
    (orders(__else__="drop"), "orders, `__else__` can only be __NULL__"),
    ({"stream_maps": {"__else__": "drop"}}, "__else__ can only be __NULL__"),
    (orders(__fliter__="1"), "Did you mean `__filter__`?"),
    ({"stream_maps": {"orders": "drop"}}, "orders must be an object of properties"),
    (orders(__alias__="a", __source__="b"), "cannot have both"),
    (orders(__alias__="my orders"), "stream orders: `__alias__` is not a valid"),
    (orders(__alias__="5"), "__alias__: it gives no name of a stream"),
    (
        orders(x="total") | {"stream_map_config": "a"},
        "`stream_map_config` is not a valid JSON object",
    ),
    (orders(x="config['a']"), "orders, x: a key that it looks up is not there"),
    ({"stream_map_config": {"a": 1}}, "`stream_map_config` cannot act without"),
    ({"flattening_enabled": True}, "needs `flattening_max_depth`"),
    (flattened(flattening_max_depth=-1), "`flattening_max_depth` must be at least 1"),
    (flattened(flattening_max_depth="deep"), "`flattening_max_depth` is not a valid"),
    ({"flattening_max_depth": 2}, "cannot act without `flattening_enabled`"),
]


@pytest.mark.parametrize(("settings", "told"), MISTAKES, ids=[told for _, told in MISTAKES])
def test_a_mistake_is_told_with_its_place_and_reason(
    tmp_path: Path, settings: Json, told: str
) -> None:
    """Without the record's content; nothing after it goes out."""
    ended = preview([ORDERS, record(ORDER, "orders")], tmp_path, **settings)
    assert ended.exit_code == 2
    assert told in ended.stderr
    assert SECRET not in ended.stderr
    assert ended.events == []


@pytest.mark.skipif(importlib.util.find_spec("faker") is not None, reason="faker is installed")
def test_faker_without_its_package_is_told(tmp_path: Path) -> None:
    """With what installs it."""
    ended = preview([ORDERS], tmp_path, **orders(x="fake.name()"))
    assert ended.exit_code == 2
    assert "singer-sdk[faker]" in ended.stderr


@pytest.mark.parametrize("where", ["schema", "record"])
def test_flattening_that_makes_two_fields_one_loses_neither(tmp_path: Path, where: str) -> None:
    """The SDK would keep one of the two in silence, when the schema does not name them."""
    message, content = ORDERS, {**ORDER, "place__city": "Bonn"}
    if where == "schema":
        message = {**ORDERS, "schema": {"properties": {"id": {}, "place__city": {}}}}
        message["schema"]["properties"] |= ORDERS["schema"]["properties"]
    ended = preview([message, record(content, "orders")], tmp_path / "a", **flattened())
    assert ended.exit_code == 2
    assert "place__city" in ended.stderr
    other = flattened(flattening_separator="_")
    ended = preview([message, record(content, "orders")], tmp_path / "b", **other)
    (event,) = ended.events
    assert event["properties"].items() >= {"place_city": "Ulm", "place__city": "Bonn"}.items()


@pytest.mark.parametrize("keys", [["id"], ["user_id"]])
def test_two_unlike_streams_do_not_come_out_under_one_name(tmp_path: Path, keys: list[str]) -> None:
    """Shards of one table may; else one would get the key and the mapping of the other."""
    other = {**ORDERS, "stream": "shop", "key_properties": keys}
    messages = [ORDERS, other, record(ORDER, "orders"), record({**ORDER, "id": 2}, "shop")]
    ended = preview(messages, tmp_path, stream_maps={"shop": {"__alias__": "orders"}})
    is_alike = keys == ["id"]
    assert ended.exit_code == (0 if is_alike else 2)
    assert [event["event"] for event in ended.events] == ["orders", "orders"] * is_alike
    assert is_alike or "the stream orders comes out as `orders`, too" in ended.stderr


def test_dates_and_tuples_of_expressions_become_json(tmp_path: Path) -> None:
    """The SDK's documents offer such expressions."""
    settings = orders(day="datetime.date.fromisoformat(created_at)", pair="(id, [id])")
    (event,) = preview([ORDERS, record(ORDER, "orders")], tmp_path, **settings).events
    assert event["properties"]["day"] == "2024-01-01"
    assert event["properties"]["pair"] == [1, [1]]


ODD_SCHEMAS: list[Json] = [
    {"type": "object"},
    {"properties": None},
    {"properties": {"place": True, "total": False, "x": {"type": None}}},
    {"properties": {"place": {"$ref": "#/definitions/place"}}, "definitions": {"place": {}}},
    {"properties": {"place": {"anyOf": [{}, {"type": "null"}]}, "total": {"enum": ["a"]}}},
    {"properties": {"place": {"oneOf": [{"$ref": "#/x"}]}, "id": {"type": ["integer"]}}},
    {"id": "#orders", "properties": {"id": {"type": "number", "exclusiveMinimum": True}}},
    {"type": "nothing", "properties": {"id": {"type": "what"}}, "additionalProperties": {}},
    {"patternProperties": {"(": {}}, "additionalProperties": False, "required": True},
    {"properties": {"place": {"type": "object", "properties": None}}, "allOf": 5},
]


@pytest.mark.parametrize("settings", [{}, flattened(), orders(total="str(total)")], ids=str)
@pytest.mark.parametrize("odd", ODD_SCHEMAS, ids=str)
def test_no_schema_stops_a_run_that_does_not_need_it(
    tmp_path: Path, settings: Json, odd: Json
) -> None:
    """Of older drafts, of nothing, or wrong: records are not held to it."""
    message = {"type": "SCHEMA", "stream": "orders", "schema": odd}
    (event,) = preview([message, record(ORDER, "orders")], tmp_path, **settings).events
    assert (event["distinct_id"], event["properties"]["id"]) == ("ann", 1)
