"""Other people's targets take the whole stream `events` as docs/other-targets.md says."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.support.buckets import s3_bucket
from tests.support.documents import ROOT, document
from tests.support.export_files import file_name, packed, write_files
from tests.support.processes import read_messages
from tests.support.rows import START, typical_row
from tests.support.third_party import Json, Snippet, ThirdParty, extracted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEMO = ROOT / "tests" / "fixtures" / "demo_export.zip"
DEMO_ROWS = 1507

INTEGERS = {"app", "event_id", "amplitude_id", "session_id", "$schema"}
TIMES = {
    *("event_time", "client_event_time", "client_upload_time", "server_received_time"),
    *("server_upload_time", "processed_time", "user_creation_time"),
}
OBJECTS = {
    *("event_properties", "user_properties", "global_user_properties", "groups"),
    *("group_properties", "data", "plan"),
}
NUMBERS = {"location_lat", "location_lng", "sample_rate"}
FLAGS = {"paying", "is_attribution_event"}
FIELDS = set(typical_row(START, 0))
#: A field that the tap does not know, with an object in it; and that of the demo export.
UNKNOWN = "field_of_tomorrow"
UNKNOWN_OBJECTS = {UNKNOWN, "column_of_tomorrow"}

FULL = typical_row(START, 0) | {
    "$insert_id": "Property Drop Purchased:2",
    "amplitude_id": 2**53 + 1,
    "session_id": -1,
    "event_id": 2**63 - 1,
    "paying": True,
    "is_attribution_event": False,
    "sample_rate": 0.25,
    "plan": {"branch": "main", "version": "7"},
    "city": 'Zürich \u2028"x"\\, 😀\n\t',
    "event_time": "2024-01-01 00:00:00.123456",
    "user_properties": {"Łukasz": ["🐉", 1.5, None], "a.b": {"": {"deep": [[]]}}},
    "event_properties": {"big": 2**70, "n": 2**53 + 1, "text": "null", "false": False},
    **{
        name: f"{name} é"
        for name, value in typical_row(START, 0).items()
        if value is None and name not in {"sample_rate", "user_id"}
    },
}
EMPTY = dict.fromkeys(FIELDS) | {
    "uuid": "a4d3f1f0-0000-4000-8000-000000000000",
    "server_upload_time": "2024-01-01 00:20:00",
}


def content(**changed: Any) -> list[Json]:
    """One hour: a row with everything, one with nothing, and one with an unknown field."""
    tomorrow = typical_row(START, 1) | {UNKNOWN: {"a": [1, {"b": None}]}}
    return [FULL | changed, EMPTY, tomorrow, typical_row(START, 2)]


def archive(folder: Path, **changed: Any) -> str:
    """Write the hour as exported files; return the folder."""
    return str(write_files(folder, {file_name(0): packed(content(**changed))}))


def archive_with_demo(folder: Path) -> str:
    """Write the hour beside the demo export, whose odd values a target holds against the schema."""
    write_files(folder, {"demo.zip": DEMO.read_bytes()})
    return archive(folder)


def of_the_hour(rows: list[Json]) -> list[Json]:
    """The rows of `content` among those of the demo export, each of which is there once."""
    assert len({row["uuid"] for row in rows}) == len(rows) == DEMO_ROWS + 4
    wanted = {row["uuid"] for row in content()}
    return [row for row in rows if row["uuid"] in wanted]


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ThirdParty:
    """The target that a test names, installed once."""
    return ThirdParty(
        tmp_path_factory.mktemp("target") / "venv",
        Snippet("docs/other-targets.md", "loaders", request.param),
    )


def named(name: str) -> pytest.MarkDecorator:
    """Let a test have the target of this name."""
    return pytest.mark.parametrize("target", [name], indirect=True, ids=[name])


def load(target: ThirdParty, settings: Json, source: str, folder: Path, **tap: Any) -> list[Json]:
    """Move a whole source; return the messages that moved."""
    config = {**target.snippet.our_settings, "archive_path": source, **tap}
    output = extracted(config, target.snippet.our_schema, folder)
    state = target.load(output, settings, folder)
    messages = read_messages(output)
    states = [message["value"] for message in messages if message["type"] == "STATE"]
    assert state == states[-1]
    return messages


@named("target-jsonl")
def test_json_lines_hold_every_row_as_it_came(target: ThirdParty, tmp_path: Path) -> None:
    """All fields, known or not, in their types; the target validates each against the schema."""
    load(target, target.snippet.settings, archive_with_demo(tmp_path / "in"), tmp_path)

    written = (tmp_path / target.snippet.settings["destination_path"] / "events.jsonl").read_text()
    rows = of_the_hour([json.loads(line) for line in written.split("\n")[:-1]])
    first, empty, tomorrow, _ = rows
    assert first == FULL | {
        name: f"{FULL[name].replace(' ', 'T')}Z" for name in TIMES - {"user_creation_time"}
    } | {"user_creation_time": first["user_creation_time"]}
    assert set(empty) == FIELDS
    assert tomorrow[UNKNOWN] == {"a": [1, {"b": None}]}


# What it holds, asked where DuckDB is: by column, its type; and all rows.
_DUCKDB = """
import duckdb, json, sys
base = duckdb.connect(sys.argv[1])
base.execute("SET TimeZone = 'UTC'")
base.execute(sys.argv[2])
columns = base.execute(f"DESCRIBE SELECT * FROM {sys.argv[3]}").fetchall()
rows = base.execute(f"SELECT * FROM {sys.argv[3]} ORDER BY server_upload_time, event_id").fetchall()
print(json.dumps([{column[0]: column[1] for column in columns}, rows], default=str))
"""


def in_duckdb(
    target: ThirdParty, folder: Path, copy: str = "", source: str = "amplitude.events"
) -> tuple[dict[str, str], list[Json]]:
    """Return the columns' types and the rows."""
    path = folder / target.snippet.settings["path"]
    columns, rows = target.ask(_DUCKDB, str(path), copy, source)
    return columns, [dict(zip(columns, row, strict=True)) for row in rows]


def kinds(columns: dict[str, str]) -> dict[str, set[str]]:
    """Return the fields by the type of their column."""
    found: dict[str, set[str]] = {}
    for name, kind in columns.items():
        found.setdefault(kind, set()).add(name)
    return found


@named("target-duckdb")
def test_duckdb_holds_right_types_and_each_row_once(target: ThirdParty, tmp_path: Path) -> None:
    """An hour that is read again replaces its rows; an unknown object is JSON.

    By the document's statement, Parquet files keep every value: 64 bits and microseconds.
    """
    load(target, target.snippet.settings, archive_with_demo(tmp_path / "in"), tmp_path)
    load(target, target.snippet.settings, archive(tmp_path / "again", city="Basel"), tmp_path)

    columns, all_rows = in_duckdb(target, tmp_path)
    assert kinds(columns) == {
        "BIGINT": INTEGERS,
        "TIMESTAMP": TIMES,
        "JSON": OBJECTS | UNKNOWN_OBJECTS,
        "DOUBLE": NUMBERS,
        "VARCHAR": FIELDS - INTEGERS - TIMES - OBJECTS - NUMBERS,
    }
    rows = of_the_hour(all_rows)
    assert [row["uuid"] for row in rows] == [FULL["uuid"], *(r["uuid"] for r in by_time(1, 2, 3))]
    first, tomorrow = rows[0], rows[1]
    assert first["city"] == "Basel"
    for name in INTEGERS | NUMBERS:
        assert first[name] == FULL[name]
    for name in OBJECTS:
        assert json.loads(first[name]) == FULL[name]
    assert first["event_time"] == "2024-01-01 00:00:00.123456"
    assert json.loads(tomorrow[UNKNOWN]) == {"a": [1, {"b": None}]}
    assert {name for name, value in rows[-1].items() if value is not None} == {
        "uuid",
        "server_upload_time",
    }

    blocks = document("docs/other-targets.md").blocks
    (copy,) = [block.text for block in blocks if block.language == "sql"]
    copy = copy.replace("events.parquet", f"{tmp_path}/events.parquet")
    columns, copied = in_duckdb(target, tmp_path, copy, f"'{tmp_path}/events.parquet'")
    assert kinds(columns)["BIGINT"] == INTEGERS
    assert kinds(columns)["TIMESTAMP"] == TIMES
    assert copied == all_rows


def by_time(*numbers: int) -> list[Json]:
    """Return rows of `content` in the order of their upload."""
    wanted = [content()[number] for number in numbers]
    return sorted(wanted, key=lambda row: str(row["server_upload_time"]))


@pytest.fixture
def database(postgresql_server: sa.URL) -> Iterator[sa.Connection]:
    """A PostgreSQL without the schema that the target makes."""
    engine = sa.create_engine(postgresql_server)
    with engine.connect() as connection:
        yield connection
        empty(connection)
    engine.dispose()


def empty(connection: sa.Connection) -> None:
    """Drop the schema that the target makes."""
    connection.rollback()
    connection.execute(sa.text("DROP SCHEMA IF EXISTS amplitude CASCADE"))
    connection.commit()


def for_postgresql(target: ThirdParty, url: sa.URL) -> Json:
    """The documented settings, with the address of the test's own server."""
    left_out = ("host", "port", "user", "password", "database")
    kept = {name: v for name, v in target.snippet.settings.items() if name not in left_out}
    # It has only a socket in the file system, which this target takes in a URL alone.
    return {
        **kept,
        "sqlalchemy_url": url.set(host="localhost").render_as_string(hide_password=False),
    }


def in_postgresql(connection: sa.Connection) -> tuple[dict[str, str], list[Json]]:
    """Return the types of the tap's columns, and the rows."""
    connection.rollback()
    columns = connection.execute(
        sa.text(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'amplitude' AND table_name = 'events'"
        )
    ).all()
    rows = connection.execute(
        sa.text("SELECT * FROM amplitude.events ORDER BY server_upload_time, event_id")
    ).mappings()
    types = {str(name): str(kind) for name, kind in columns if not name.startswith("_sdc_")}
    return types, [dict(row) for row in rows]


@named("target-postgres")
def test_postgresql_holds_right_types_and_each_row_once(
    target: ThirdParty, tmp_path: Path, postgresql_server: sa.URL, database: sa.Connection
) -> None:
    """An hour that is read again replaces its rows; an unknown object is jsonb, a flat one text."""
    settings = for_postgresql(target, postgresql_server)
    load(target, settings, archive_with_demo(tmp_path / "in"), tmp_path)
    load(target, settings, archive(tmp_path / "again", city="Ba\0sel"), tmp_path)

    columns, all_rows = in_postgresql(database)
    assert {"true", "0", "1"} <= {row["paying"] for row in all_rows}
    rows = of_the_hour(all_rows)
    assert kinds(columns) == {
        "bigint": INTEGERS,
        "timestamp without time zone": TIMES,
        "jsonb": OBJECTS | UNKNOWN_OBJECTS,
        "numeric": NUMBERS,
        "text": FIELDS - INTEGERS - TIMES - OBJECTS - NUMBERS,
    }
    assert [row["uuid"] for row in rows] == [FULL["uuid"], *(r["uuid"] for r in by_time(1, 2, 3))]
    first, tomorrow = rows[0], rows[1]
    assert first["city"] == "Ba\ufffdsel"
    for name in INTEGERS | OBJECTS:
        assert first[name] == FULL[name]
    assert {name: float(first[name]) for name in NUMBERS} == {n: FULL[n] for n in NUMBERS}
    assert first["event_time"] == datetime(2024, 1, 1, microsecond=123456)  # noqa: DTZ001 - the column has no zone
    assert tomorrow[UNKNOWN] == {"a": [1, {"b": None}]}

    # A NUL character, which jsonb does not have, can be loaded as text: the document says how.
    empty(database)
    source = archive(tmp_path / "nul", event_properties={"a": "b\0c"})
    flat = {"flattening_enabled": True, "flattening_max_depth": 1}
    load(target, settings, source, tmp_path, **flat)
    columns, rows = in_postgresql(database)
    assert set(kinds(columns)["text"]) >= OBJECTS | {UNKNOWN}
    assert json.loads(rows[0]["event_properties"]) == {"a": "b\0c"}


_PARQUET = """
import json, pyarrow.parquet, sys
tables = [pyarrow.parquet.read_table(path) for path in sys.argv[1:]]
types = {field.name: str(field.type) for table in tables for field in table.schema}
rows = [row for table in tables for row in table.to_pylist()]
print(json.dumps([types, rows], default=str))
"""


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the target ends with Python 3.12")
@named("target-s3")
def test_parquet_files_hold_right_types(target: ThirdParty, tmp_path: Path) -> None:
    """Integers, times, numbers, and objects as JSON; an unknown field has a column of its own."""
    bucket = s3_bucket()
    settings = target.snippet.settings
    place = settings["cloud_provider"]["aws"]
    place |= {
        "aws_access_key_id": bucket.environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": bucket.environment["AWS_SECRET_ACCESS_KEY"],
        "aws_endpoint_override": bucket.server,
    }
    bucket.s3.create_bucket(Bucket=place["aws_bucket"])
    load(target, settings, archive_with_demo(tmp_path / "in"), tmp_path)

    paths = []
    for number, written in enumerate(
        bucket.s3.list_objects(Bucket=place["aws_bucket"])["Contents"]
    ):
        assert written["Key"].startswith("amplitude/events/")
        paths.append(str(tmp_path / f"{number}.parquet"))
        bucket.s3.download_file(place["aws_bucket"], written["Key"], paths[-1])
    types, rows = target.ask(_PARQUET, *paths)
    assert kinds(types) == {
        "int64": INTEGERS,
        "timestamp[ms, tz=utc]": TIMES,
        "double": NUMBERS,
        "string": FIELDS - INTEGERS - TIMES - NUMBERS | UNKNOWN_OBJECTS,
    }
    (first,) = [row for row in of_the_hour(rows) if row["uuid"] == FULL["uuid"]]
    assert {name: first[name] for name in INTEGERS} == {name: FULL[name] for name in INTEGERS}
    assert {name: json.loads(first[name]) for name in OBJECTS} == {n: FULL[n] for n in OBJECTS}
    assert datetime.fromisoformat(first["event_time"]) == datetime(2024, 1, 1, tzinfo=timezone.utc)
