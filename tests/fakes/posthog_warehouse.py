"""PostHog's table of events in a real ClickHouse, in this process (PyPI's `chdb`).

Engine, partition and order are those of `posthog/models/event/sql.py`: ClickHouse itself decides
which repeats are one event, and that they are two until parts are merged.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.fakes.posthog_rules import StoredEvent

_EVENTS = """
CREATE TABLE events (
    uuid UUID, event String, properties String CODEC(ZSTD(3)),
    timestamp DateTime64(6, 'UTC'), team_id Int64, distinct_id String,
    created_at DateTime64(6, 'UTC'), _timestamp DateTime64(6, 'UTC')
) ENGINE = ReplacingMergeTree(_timestamp)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))
"""
_PEOPLE = """
CREATE TABLE people (distinct_id String, person_id String) ENGINE = Join(ANY, LEFT, distinct_id)
"""
#: `posthog/models/person/sql.py`: the newest version of an id's row counts.
_IDS = """
CREATE TABLE person_distinct_id2 (
    team_id Int64, distinct_id String, person_id String, is_deleted Int8, version Int64
) ENGINE = ReplacingMergeTree(version) ORDER BY (team_id, distinct_id)
"""
_TABLES = {"events": _EVENTS, "people": _PEOPLE, "person_distinct_id2": _IDS}
_SETTINGS = "SETTINGS optimize_on_insert = 0, date_time_input_format = 'best_effort'"


#: ClickHouse opens three files for every thread that asks it, and closes none of them.
_ONE_THREAD = ThreadPoolExecutor(1, "clickhouse")


@cache
def _clickhouse() -> Any:
    """Return the ClickHouse of this process, which keeps its tables in memory."""
    from chdb import session  # noqa: PLC0415 - a second of start-up

    # chdb is not typed.
    return vars(session)["Session"]()


class Warehouse:
    """The tables of one project.

    There is one ClickHouse in a process: a second warehouse takes the place of the first.

    Args:
        team_id: the project.
    """

    def __init__(self, team_id: int) -> None:
        self._team_id = team_id
        self._arrivals = count(1)
        self._run("CREATE DATABASE IF NOT EXISTS posthog ENGINE = Atomic")
        self._run("USE posthog")
        self.empty()

    def empty(self) -> None:
        """Make the tables anew."""
        for name, table in _TABLES.items():
            self._run(f"DROP TABLE IF EXISTS {name}")
            self._run(table)
        self._run("SYSTEM STOP MERGES events")

    def store(self, events: Iterable[StoredEvent]) -> None:
        """Insert events in their order of arrival, repeats and all; nothing is merged yet."""
        rows = [
            {
                **{name: event[name] for name in ("uuid", "event", "distinct_id", "timestamp")},
                "properties": json.dumps(event["properties"]),
                "team_id": self._team_id,
                "created_at": event["timestamp"],
                "_timestamp": next(self._arrivals),
            }
            for event in events
        ]
        self._insert("events", rows)

    def name_people(self, people: Mapping[str, object]) -> None:
        """Say which person each id belongs to by now."""
        self._run("TRUNCATE TABLE people")
        self._run("TRUNCATE TABLE person_distinct_id2")
        rows = [
            {"distinct_id": one, "person_id": str(uuid5(NAMESPACE_URL, str(person)))}
            for one, person in people.items()
        ]
        self._insert("people", rows)
        # Until their links arrived, all ids were people of their own.
        alone = {one: str(uuid5(NAMESPACE_URL, one)) for one in people}
        joined = {row["distinct_id"]: row["person_id"] for row in rows}
        of_ids = [
            {
                "team_id": self._team_id,
                "distinct_id": one,
                "person_id": person,
                "is_deleted": 0,
                "version": version,
            }
            for version, persons in enumerate((alone, joined))
            for one, person in persons.items()
        ]
        self._insert("person_distinct_id2", of_ids)

    def merge(self) -> None:
        """Let ClickHouse merge all parts, which PostHog's does some time later."""
        self._run("SYSTEM START MERGES events")
        self._run("OPTIMIZE TABLE events FINAL")
        self._run("SYSTEM STOP MERGES events")

    def query(self, sql: str) -> dict[str, Any]:
        """Return `meta` and `data` of a query, as ClickHouse's format JSONCompact has them.

        Raises:
            RuntimeError: ClickHouse refuses it.
        """
        settings = "SETTINGS output_format_json_quote_64bit_integers = 0"
        found: dict[str, Any] = orjson.loads(self._run(f"{sql} {settings}", "JSONCompact"))
        return found

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            text = "\n".join(json.dumps(row) for row in rows)
            self._run(f"INSERT INTO {table} {_SETTINGS} FORMAT JSONEachRow {text}")

    def _run(self, sql: str, form: str = "CSV") -> str:
        return _ONE_THREAD.submit(lambda: str(_clickhouse().query(sql, form))).result()
