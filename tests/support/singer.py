"""Singer messages, for the tests of the target."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Json = dict[str, Any]


def schema(stream: str = "events", *, key: str | None = "uuid", **properties: Any) -> Json:
    """Return a SCHEMA message."""
    keys = [] if key is None else [key]
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties or {"uuid": {"type": "string"}}},
        "key_properties": keys,
    }


def record(content: Any, stream: str = "events") -> Json:
    """Return a RECORD message."""
    return {"type": "RECORD", "stream": stream, "record": content}


def records(contents: Iterable[Any], stream: str = "events") -> list[Json]:
    """Return several RECORD messages."""
    return [record(content, stream) for content in contents]


def state(value: Any) -> Json:
    """Return a STATE message."""
    return {"type": "STATE", "value": value}


def hours_state(hour: int, *, until: int = 23, day: str = "2024-01-01") -> Json:
    """Return a STATE of `tap-amplitude`: every hour of the day before this one is out."""
    next_hour, end = (f"{day}T{one:02}:00:00Z" for one in (hour, until))
    return state({"bookmarks": {"events": {"next_export_hour": next_hour, "export_until": end}}})


def json_lines(folder: Path, pattern: str = "*.jsonl") -> list[Json]:
    """Return every line of some files in a folder, in the order of their names."""
    paths = sorted(folder.glob(pattern))
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def counts_in(log: str) -> dict[str, int]:
    """Return the counts of the block at the end of a run's log.

    Raises:
        AssertionError: they do not add up; a record had no fate, or two.
    """
    found = re.findall(
        r"\|   (exported|accepted|superseded|skipped|rejected|open|links|groups|shared) +([\d,]+)",
        log,
    )
    counts = {name: int(number.replace(",", "")) for name, number in found}
    fates = ("accepted", "superseded", "skipped", "rejected")
    unsettled = counts.pop("open", 0) if "Stopped after" in log else 0
    assert counts["exported"] == sum(counts[fate] for fate in fates) + unsettled, log
    return counts
