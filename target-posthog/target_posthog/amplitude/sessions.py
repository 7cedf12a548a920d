"""Amplitude's session → PostHog's `$session_id`.

PostHog counts a session only when its id is a UUIDv7 whose time is not after the session's first
event and less than 24 h before its last, and when no two users share it (posthog.com,
docs/data/sessions). Amplitude's `session_id` is the start in milliseconds, -1 without a session.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any

from target_posthog.amplitude.times import epoch_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = 24 * 60 * 60 * 1000
_MAX_UUID7_TIME = 1 << 48


def session_uuid(row: Mapping[str, Any], timestamp: str) -> str | None:
    """Return the UUIDv7 of the row's session, made only from its start and its device.

    Args:
        row: the Amplitude row.
        timestamp: the event's time, RFC 3339.

    Returns:
        None without a session or device, or when the event lies outside [start, start + 24 h).
    """
    start, device = row.get("session_id"), row.get("device_id")
    if isinstance(start, bool) or not isinstance(start, int) or not 0 < start < _MAX_UUID7_TIME:
        return None
    if not isinstance(device, str) or not device.strip():
        return None
    if not start <= epoch_milliseconds(timestamp) < start + _DAY:
        return None
    seed = f"{start}:{device}".encode("utf-8", "surrogatepass")
    random_part = int.from_bytes(hashlib.sha256(seed).digest()[:10], "big")
    # RFC 9562 §5.7: 48 bits of time, version 7, 12 bits, variant 0b10, 62 bits.
    high = start << 16 | 0x7000 | random_part >> 62 & 0x0FFF
    low = 0b10 << 62 | random_part & (1 << 62) - 1
    return str(uuid.UUID(int=high << 64 | low))
