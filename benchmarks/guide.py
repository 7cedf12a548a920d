"""(b) The way of PostHog's migration guide, with PostHog's own SDK.

python -m benchmarks.guide EXPORT HOST

The two calls are the guide's (posthog.com/docs/migrate/migrate-from-amplitude). What it leaves to
the reader is done the simple way: the files are read with the standard library, who was aliased is
kept in a set, and the client is flushed before its queue is full, because it drops what comes then.
"""

from __future__ import annotations

import gzip
import json
import sys
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import posthog

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Half of the client's queue; an event may bring an alias with it.
_FLUSH_AT = 5_000
_OWN = ("event_type", "event_time", "event_properties", "user_properties", "user_id", "device_id")


def rows(export: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of an export."""
    with ZipFile(export) as files:
        for name in files.namelist():
            with files.open(name) as packed, gzip.open(packed, "rt", encoding="utf-8") as lines:
                yield from map(json.loads, lines)


def send(client: posthog.Posthog, row: dict[str, Any]) -> None:
    """Capture a row as the guide says."""
    fields = {name: value for name, value in row.items() if name not in _OWN}
    client.capture(
        row["event_type"],
        distinct_id=row["user_id"] or row["device_id"],
        timestamp=row["event_time"],
        properties={
            **row["event_properties"],
            **fields,
            "$set": {**row["user_properties"]},
            "$geoip_disable": True,
        },
    )


def main() -> None:
    """Send a whole export."""
    export, host = sys.argv[1:]
    client = posthog.Posthog("phc_benchmark", host=host, historical_migration=True)
    aliased: set[str] = set()
    for number, row in enumerate(rows(export), start=1):
        send(client, row)
        user = row["user_id"]
        if user and user not in aliased:
            aliased.add(user)
            client.alias(previous_id=row["device_id"], distinct_id=user)
        if number % _FLUSH_AT == 0:
            client.flush(None)
    client.shutdown()


if __name__ == "__main__":
    main()
