"""Rows with all 55 fields, as the documentation describes them: no oddities."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any


def typical_row(hour: datetime, number: int) -> dict[str, Any]:
    """Make a row of a web visit in an export hour; the same arguments make the same row."""
    uploaded = hour + timedelta(minutes=number % 60, milliseconds=266)
    happened = uploaded - timedelta(seconds=5)
    start = int(happened.timestamp() * 1000)
    return {
        "$insert_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"insert {hour} {number}")),
        "$insert_key": None,
        "$schema": 13,
        "adid": None,
        "amplitude_attribution_ids": None,
        "amplitude_event_type": None,
        "amplitude_id": 538001826014 + number,
        "app": 409857,
        "city": "Utrecht",
        "client_event_time": _stamp(happened),
        "client_upload_time": _stamp(happened + timedelta(seconds=4)),
        "country": "Netherlands",
        "data": {"path": "/2/httpapi", "group_ids": {}, "group_first_event": {}},
        "data_type": "event",
        "device_brand": None,
        "device_carrier": None,
        "device_family": "Mac",
        "device_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"device {number % 7}")),
        "device_manufacturer": None,
        "device_model": None,
        "device_type": "Mac",
        "dma": None,
        "event_id": number,
        "event_properties": {"page": "/pricing", "items": [{"sku": "a", "price": 9.5}]},
        "event_time": _stamp(happened),
        "event_type": "page viewed",
        "global_user_properties": {},
        "group_properties": {},
        "groups": {"team": ["red"]},
        "idfa": None,
        "ip_address": "192.0.2.64",
        "is_attribution_event": False,
        "language": "Dutch",
        "library": "amplitude-ts/2.16.1",
        "location_lat": 52.09,
        "location_lng": 5.12,
        "os_name": "Chrome",
        "os_version": "121",
        "partner_id": None,
        "paying": number % 4 == 0,
        "plan": {},
        "platform": "Web",
        "processed_time": _stamp(uploaded + timedelta(seconds=2)),
        "region": "Utrecht",
        "sample_rate": 0.5 if number % 2 else None,
        "server_received_time": _stamp(uploaded - timedelta(milliseconds=4)),
        "server_upload_time": _stamp(uploaded),
        "session_id": start,
        "source_id": None,
        "start_version": None,
        "user_creation_time": _stamp(happened),
        "user_id": f"person-{number % 5}" if number % 3 else None,
        "user_properties": {"plan": "free", "initial_utm_source": "EMPTY"},
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"row {hour} {number}")),
        "version_name": None,
    }


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"
