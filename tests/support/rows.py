"""Amplitude rows, made up: the same arguments make the same rows."""

from __future__ import annotations

import os
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json = dict[str, Any]

HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
#: A row of a list of merged users.
MERGE = {
    "scope": 189524,
    "merge_time": 1704067200000,
    "merge_server_time": 1704067201000,
    "amplitude_id": 538001826014,
    "merged_amplitude_id": 538001826999,
}
#: Of a row of a web visit.
_EMPTY_FIELDS = (
    *("$insert_key", "adid", "amplitude_attribution_ids", "amplitude_event_type", "device_brand"),
    *("device_carrier", "device_manufacturer", "device_model", "dma", "idfa", "partner_id"),
    *("source_id", "start_version", "version_name"),
)


def uuid_of(number: int) -> str:
    """Return the uuid of a made-up row."""
    return str(uuid.UUID(int=number, version=4))


def row(number: int, **changes: Any) -> Json:
    """Return an Amplitude row of a user without a device; a change to None leaves a field out.

    It is uploaded when it happens.
    """
    moment = stamp(START + timedelta(seconds=number))
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


def hour_row(hour: datetime, number: int = 0, **changes: Any) -> Json:
    """Return a row that Amplitude took in within an export hour; see `row`."""
    taken_in = stamp(hour + timedelta(seconds=number % 3600))
    identifier = uuid.uuid5(uuid.NAMESPACE_OID, f"{hour.isoformat()} {number}")
    made = {"app": 123, "uuid": str(identifier), "event_time": taken_in}
    return {**row(number, **made), **changes}


def hour_rows(*hours: int, each: int = 3) -> list[Json]:
    """Return rows of some hours, counted from `START`."""
    return [hour_row(START + hour * HOUR, number) for hour in hours for number in range(each)]


def noisy_rows(hour: datetime, count: int, noise_bytes: int = 200) -> list[Json]:
    """Return rows of an hour that hardly shrink when they are packed: twice the noise each."""
    return [
        hour_row(hour, number, event_properties={"noise": os.urandom(noise_bytes).hex()})
        for number in range(count)
    ]


def ids(of: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the uuids of rows."""
    return [one["uuid"] for one in of]


def typical_row(hour: datetime, number: int) -> Json:
    """Return a row of a web visit with all 55 documented fields and no oddities."""
    uploaded = hour + timedelta(minutes=number % 60, milliseconds=266)
    happened = uploaded - timedelta(seconds=5)
    start = int(happened.timestamp() * 1000)
    made = {
        **dict.fromkeys(_EMPTY_FIELDS),
        "$insert_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"insert {hour} {number}")),
        "$schema": 13,
        "amplitude_id": 538001826014 + number,
        "app": 409857,
        "city": "Utrecht",
        "client_event_time": stamp(happened),
        "client_upload_time": stamp(happened + timedelta(seconds=4)),
        "country": "Netherlands",
        "data": {"path": "/2/httpapi", "group_ids": {}, "group_first_event": {}},
        "data_type": "event",
        "device_family": "Mac",
        "device_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"device {number % 7}")),
        "device_type": "Mac",
        "event_id": number,
        "event_properties": {"page": "/pricing", "items": [{"sku": "a", "price": 9.5}]},
        "event_time": stamp(happened),
        "event_type": "page viewed",
        "global_user_properties": {},
        "group_properties": {},
        "groups": {"team": ["red"]},
        "ip_address": "192.0.2.64",
        "is_attribution_event": False,
        "language": "Dutch",
        "library": "amplitude-ts/2.16.1",
        "location_lat": 52.09,
        "location_lng": 5.12,
        "os_name": "Chrome",
        "os_version": "121",
        "paying": number % 4 == 0,
        "plan": {},
        "platform": "Web",
        "processed_time": stamp(uploaded + timedelta(seconds=2)),
        "region": "Utrecht",
        "sample_rate": 0.5 if number % 2 else None,
        "server_received_time": stamp(uploaded - timedelta(milliseconds=4)),
        "server_upload_time": stamp(uploaded),
        "session_id": start,
        "user_creation_time": stamp(happened),
        "user_id": f"person-{number % 5}" if number % 3 else None,
        "user_properties": {"plan": "free", "initial_utm_source": "EMPTY"},
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"row {hour} {number}")),
    }
    return dict(sorted(made.items()))


def stamp(moment: datetime) -> str:
    """Return a time as Amplitude writes it: UTC, without a zone."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"
