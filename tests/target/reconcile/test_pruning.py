"""Which parts of its table PostHog's ClickHouse opens for a question, and which it leaves shut."""

from __future__ import annotations

import re
from typing import Any

import pytest

from target_posthog.books.reconciled import Scope
from target_posthog.reconcile.questions import Page, daily_counts, hourly_counts
from tests.fakes.posthog_hogql import Printer
from tests.fakes.posthog_warehouse import Warehouse
from tests.support.rows import uuid_of

PAGE = Page("2023-04-01", "2023-05-01")


def stored(month: int) -> Any:
    """Return an event of a month, as the ingestion stores it."""
    at = f"2023-{month:02}-15T00:00:00.000000Z"
    properties = {"analytics_source": "amplitude", "server_upload_time": at}
    found = {"uuid": uuid_of(month), "event": "viewed", "distinct_id": "ann", "timestamp": at}
    return {**found, "properties": properties}


@pytest.mark.parametrize("timezone", ["UTC", "America/Los_Angeles"])
def test_only_the_months_of_a_page_are_opened(timezone: str) -> None:
    """In a project of any time zone; by `toUnixTimestamp` all of them would be."""
    printer = Printer(7, timezone, {"server_upload_time"})
    warehouse = Warehouse(7)
    warehouse.store(stored(month) for month in range(1, 13))
    for query in (
        hourly_counts(PAGE, Scope(), "server_upload_time"),
        daily_counts(PAGE, Scope(), "server_upload_time"),
    ):
        sql = printer.print(query)
        assert opened(warehouse, sql) == 1
        assert len(warehouse.query(sql)["data"]) <= 1
    everything = "SELECT count() FROM events WHERE toUnixTimestamp(timestamp) >= 1680307200"
    assert opened(warehouse, printer.print(everything)) == 12


def opened(warehouse: Warehouse, sql: str) -> int:
    """Return how many parts ClickHouse reads."""
    lines = [row[0] for row in warehouse.query(f"EXPLAIN indexes = 1 {sql}")["data"]]
    (parts,) = [found for line in lines if (found := re.search(r"Parts: (\d+) \|", line))]
    return int(parts[1])
