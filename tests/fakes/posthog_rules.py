"""Rules both protocols of PostHog capture share: keys, ids, names and the size of one event."""

from __future__ import annotations

import os
import re
import time
import uuid as uuids
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

StoredEvent = dict[str, Any]

# rust/common/types/src/event.rs cuts ids; nodejs `sanitizeEventName` cuts names.
MAX_DISTINCT_ID_CHARS = 200
MAX_EVENT_NAME_UNITS = 200
MAX_TOKEN_BYTES = 64

_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID = re.compile(
    r"(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|[0-9a-f]{32}",
    re.IGNORECASE,
)


class RefusedError(Exception):
    """The whole request is refused.

    Attributes:
        status: HTTP status.
        text: Body of the answer.
        headers: Of the answer.
    """

    content_type = "text/plain; charset=utf-8"

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text
        self.headers = headers or {}


def check_token(token: str) -> str:
    """Check the shape of a key as `validate_token` (`rust/capture/src/token.rs`) does.

    Raises:
        RefusedError: 401. Whether a project has this key is not looked up.
    """
    trimmed = token.strip()
    faults = {
        "empty": not trimmed,
        "too_long": len(trimmed.encode()) > MAX_TOKEN_BYTES,
        "not_ascii": not trimmed.isascii(),
        "personal_api_key": trimmed.startswith("phx_"),
        "null_byte": "\0" in trimmed,
    }
    for reason, holds in faults.items():
        if holds:
            raise RefusedError(401, f"API key is not valid: {reason}")
    return trimmed


def parse_uuid(text: str) -> str | None:
    """Read a UUID in the forms Rust's `Uuid::parse_str` takes; canonical, or None."""
    if _CANONICAL_UUID.fullmatch(text):
        return text
    return str(uuids.UUID(text)) if _UUID.fullmatch(text) else None


def uuid_v7() -> str:
    """Make the id of an event that came without one."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (time.time_ns() // 1_000_000) << 80 | random
    return str(uuids.UUID(int=value & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62))


def cut_event_name(name: str) -> str:
    """Cut a name at 200 UTF-16 units, as JavaScript's `substr` in `sanitizeEventName` does."""
    if len(name) * 2 <= MAX_EVENT_NAME_UNITS:
        return name
    return name.encode("utf-16-le")[: MAX_EVENT_NAME_UNITS * 2].decode("utf-16-le", "ignore")


def message_fits(
    data: Mapping[str, Any], distinct_id: str, token: str, max_event_bytes: int
) -> bool:
    """Say whether the Kafka message of an event passes the producer's limit.

    `CapturedEvent` in `rust/common/types/src/event.rs` holds the event's JSON as a string inside
    JSON (its field `data`), so each quote and backslash of the event costs one byte more.

    Args:
        data: The event as it was sent.
        distinct_id: As stored; it stands a second time in the message and once in its key.
        token: The project's key; in the message and in its key.
        max_event_bytes: `KAFKA_PRODUCER_MESSAGE_MAX_BYTES`, 1,000,000 by default.
    """
    inner = orjson.dumps(data)
    # At worst every byte is escaped: most events are far below that and need no exact count.
    if 2 * len(inner) + 2 * len(distinct_id.encode()) + 2048 <= max_event_bytes:
        return True
    escaped = len(inner) + inner.count(b'"') + inner.count(b"\\")
    around = {
        "uuid": str(uuids.UUID(int=0)),
        "distinct_id": distinct_id,
        "ip": "127.0.0.1",
        "data": "",
        "now": "2024-01-01T00:00:00.000000Z",
        "token": token,
        "event": data["event"],
        "timestamp": "2024-01-01T00:00:00.000000Z",
        "historical_migration": True,
    }
    key = f"{token}:{distinct_id}"
    return escaped + len(orjson.dumps(around)) + len(key.encode()) <= max_event_bytes
