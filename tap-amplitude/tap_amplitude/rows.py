"""A JSON object of an export file → a record (pure).

Nothing is left out and nothing is changed but two things: the row's own times get the form that
Singer prescribes, and a row without a `uuid` gets one, because the stream's key must be there.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from tap_amplitude.times import to_rfc3339

#: The times that Amplitude writes for each row. Times inside `event_properties` and
#: `user_properties` are the customer's own values and stay as they are.
TIME_FIELDS = (
    "event_time",
    "client_event_time",
    "client_upload_time",
    "server_received_time",
    "server_upload_time",
    "processed_time",
    "user_creation_time",
)

#: Namespace of the ids of rows that have none, the same as the target's: whichever of the two
#: gives a row its id, it is the same id. Never change it.
UUID_NAMESPACE = uuid.UUID("440d484f-b305-4763-8122-2f7d5801fca7")


@dataclass(frozen=True)
class Row:
    """A record.

    Attributes:
        record: The row as it goes out.
        odd_times: How many of its times could not be read and stayed as they were.
    """

    record: dict[str, Any]
    odd_times: int


def row_of(content: dict[str, Any]) -> Row:
    """Turn a JSON object into a record.

    Args:
        content: The object; it is changed.
    """
    return Row(content, complete(content))


def complete(row: dict[str, Any]) -> int:
    """Give a row's times their form, and the row a `uuid` if it has none.

    Args:
        row: A row as it was read; it is changed.

    Returns:
        How many of its times could not be read.
    """
    odd_times = _normalise_times(row)
    identifier = row.get("uuid")
    if identifier is None or (isinstance(identifier, str) and not identifier.strip()):
        row["uuid"] = row_uuid(row)
    return odd_times


def row_uuid(record: dict[str, Any]) -> str:
    """Give a row without a `uuid` an id that is the same in every export of it.

    Args:
        record: The row, its times in their final form.

    Returns:
        A UUIDv5 of what identifies the row at Amplitude, (`app`, `device_id` or `user_id`,
        `$insert_id`), or of the whole row when it has no `$insert_id`.
    """
    sender, insert_id = record.get("device_id") or record.get("user_id"), record.get("$insert_id")
    identity: list[Any] = [record.get("app"), sender, insert_id]
    if not sender or not insert_id:
        identity = [
            {
                name: value
                for name, value in record.items()
                if name != "uuid" and not name.startswith("_sdc_")
            }
        ]
    canonical = json.dumps(["event", *identity], sort_keys=True, separators=(",", ":"))
    return str(uuid.uuid5(UUID_NAMESPACE, canonical))


def _normalise_times(row: dict[str, Any]) -> int:
    odd = 0
    for name in TIME_FIELDS:
        text = row.get(name)
        if text is None:
            continue
        if isinstance(text, str):
            if written := to_rfc3339(text):
                row[name] = written
                continue
            if not text.strip():
                row[name] = None
                continue
        odd += 1
    return odd
