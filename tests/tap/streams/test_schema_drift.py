"""Fields that the schema lacks: it names them before the first record that has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_amplitude.streams.schema_drift import SchemaDrift
from tests.support.export_files import file_name, packed
from tests.support.export_settings import files_settings
from tests.support.rows import START, Json, hour_row
from tests.support.selecting import catalog_with
from tests.support.tap_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Finished


def run(folder: Path, *rows: Json, catalog: Json | None = None, **config: Any) -> Finished:
    """Run the tap over rows of one hour."""
    return run_here(files_settings(folder, {file_name(0): packed(rows)}, **config), catalog=catalog)


def schemas(done: Finished) -> list[tuple[int, dict[str, Any]]]:
    """Return each SCHEMA's place among the messages, and its properties."""
    return [
        (place, message["schema"]["properties"])
        for place, message in enumerate(done.messages)
        if message["type"] == "SCHEMA"
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "boolean"),
        (1, "integer"),
        (2**70, "integer"),
        (1.5, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_a_new_field_has_the_type_of_its_value(value: object, kind: str) -> None:
    """Or null, as any field."""
    assert SchemaDrift({"a"}).observe({"a": 1, "new": value})["new"]["type"] == [kind, "null"]


def test_a_field_is_news_once_and_again_with_another_type() -> None:
    """Then it has both; a null is no news, before and after."""
    fields = SchemaDrift({"a"})
    found = [
        fields.observe({"new": value}).get("new", {}).get("type") for value in (None, 1, 2, None)
    ]
    assert found == [None, ["integer", "null"], None, None]
    assert fields.observe({"new": "x"})["new"]["type"] == ["integer", "string", "null"]
    assert not fields.observe({"new": 3, "a": "known, whatever it holds"})


def test_the_schema_is_written_again_right_before_the_first_record(tmp_path: Path) -> None:
    """With all its other fields and its keys as they were."""
    done = run(
        tmp_path, hour_row(START, 0), hour_row(START, 1, new=None), hour_row(START, 2, new={"a": 1})
    )

    (first, before), (again, after) = schemas(done)
    assert (first, again) == (0, 3)
    assert after == before | {"new": {"type": ["object", "null"], "additionalProperties": True}}
    assert done.messages[0]["key_properties"] == done.messages[3]["key_properties"]
    assert done.messages[4]["record"]["new"] == {"a": 1}
    assert not done.lines("WARNING")


def test_a_deselected_field_stays_deselected(tmp_path: Path) -> None:
    """Neither the new SCHEMA nor the record has it, nor a new field that is deselected."""
    catalog = catalog_with(["events"], without=["city"])
    catalog["streams"][0]["metadata"].append(
        {"breadcrumb": ["properties", "secret"], "metadata": {"selected": False}}
    )
    fields = {"city": "Bern", "secret": 1, "new": 2}
    done = run(tmp_path, hour_row(START, 0, **fields), catalog=catalog)

    assert not {"city", "secret"} & set(schemas(done)[-1][1])
    assert schemas(done)[-1][1]["new"]["type"] == ["integer", "null"]
    assert not {"city", "secret"} & set(done.records[0])
    assert done.records[0]["new"] == 2


def test_a_field_that_the_catalog_declares_is_not_new(tmp_path: Path) -> None:
    """Its declared type stays."""
    catalog = catalog_with(["events"])
    catalog["streams"][0]["schema"]["properties"]["new"] = {"type": ["number", "null"]}
    done = run(tmp_path, hour_row(START, 0, new=1), catalog=catalog)

    ((_, properties),) = schemas(done)
    assert properties["new"] == {"type": ["number", "null"]}


def test_stream_maps_and_flattening_go_on(tmp_path: Path) -> None:
    """Over the new field, too."""
    done = run(
        tmp_path,
        hour_row(START, 0, new={"a": 1}),
        flattening_enabled=True,
        flattening_max_depth=1,
        stream_maps={"events": {"user_id": "md5(user_id)"}},
    )

    assert schemas(done)[-1][1]["new"] == {"type": ["string", "null"]}
    assert json.loads(done.records[0]["new"]) == {"a": 1}
    assert len(done.records[0]["user_id"]) == 32


def test_a_stream_map_can_leave_a_new_field_out(tmp_path: Path) -> None:
    """As `__NULL__` of `__else__` does with known ones."""
    maps = {"events": {"uuid": "uuid", "__else__": "__NULL__"}}
    done = run(tmp_path, hour_row(START, 0, new=1), stream_maps=maps)

    assert [set(properties) for _, properties in schemas(done)][-1] == {"uuid"}
    assert [set(record) for record in done.records] == [{"uuid"}]
