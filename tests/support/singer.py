"""Singer messages of made-up Amplitude rows, for the tests of the target."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

START = datetime(2024, 1, 1)  # noqa: DTZ001 - Amplitude writes times without a zone


def uuid_of(number: int) -> str:
    """Return the uuid of a made-up row."""
    return str(uuid.UUID(int=number, version=4))


def row(number: int, **changes: Any) -> Json:
    """Return an Amplitude row of a user without a device; a change to None leaves a field out.

    It is uploaded when it happens.
    """
    moment = f"{START + timedelta(seconds=number):%Y-%m-%d %H:%M:%S.%f}"
    made: Json = {
        "uuid": uuid_of(number),
        "event_type": "viewed",
        "amplitude_id": 1000 + number,
        "user_id": f"user-{number}",
        "event_time": moment,
        "server_upload_time": changes.get("event_time", moment),
        "event_properties": {"number": number},
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def rows(numbers: Iterable[int], **changes: Any) -> list[Json]:
    """Return several rows."""
    return [row(number, **changes) for number in numbers]


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


def counts_in(log: str) -> dict[str, int]:
    """Return the counts of the block at the end of a run's log.

    Raises:
        AssertionError: they do not add up; a record had no fate, or two.
    """
    found = re.findall(
        r"\|   (exported|accepted|superseded|skipped|rejected|links|groups|shared) +([\d,]+)", log
    )
    counts = {name: int(number.replace(",", "")) for name, number in found}
    fates = ("accepted", "superseded", "skipped", "rejected")
    assert counts["exported"] == sum(counts[fate] for fate in fates), log
    return counts
