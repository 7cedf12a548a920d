"""Amplitude's session → PostHog's `$session_id`.

PostHog counts a session only when its id is a UUIDv7 whose time is not after the session's first
event and less than 24 h before its last, and when no two users share it (posthog.com,
docs/data/sessions). Amplitude's `session_id` is the start in milliseconds, -1 without a session.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.amplitude.times import rfc3339_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = 24 * 60 * 60 * 1000
_MAX_UUID7_TIME = 1 << 48
_AFTER_ALL_TIMES = "~"


def session_uuid(row: Mapping[str, Any], timestamp: str) -> str | None:
    """Return the UUIDv7 of the row's session, made only from its start and its device.

    Args:
        row: the Amplitude row.
        timestamp: the event's time, RFC 3339.

    Returns:
        None without a session or device, or when the event lies outside [start, start + 24 h).
    """
    session = session_at(row.get("session_id"), row.get("device_id"))
    return None if session is None else session.id_at(timestamp)


def session_at(start: object, device: object) -> Session | None:
    """Return the session of a start and a device, or None when there is none for PostHog."""
    # `type`, because True and 1.0 are equal to 1 and would find its session.
    if type(start) is not int or start <= 0 or not isinstance(device, str):
        return None
    return _session(start, device)


class Session(msgspec.Struct, frozen=True, gc=False):
    """A session's id, its first moment, and the first one after its day; RFC 3339."""

    uuid: str
    first: str
    end: str

    def id_at(self, timestamp: str) -> str | None:
        """Return the id for an event of this time, or None when it lies outside the session."""
        # Times of one form are in order as texts.
        return self.uuid if self.first <= timestamp < self.end else None


@lru_cache(maxsize=8192)
def _session(start: int, device: str) -> Session | None:
    if start >= _MAX_UUID7_TIME or not device.strip():
        return None
    first = rfc3339_of(start)
    if first is None:  # after year 9999, where no event is
        return None
    seed = f"{start}:{device}".encode("utf-8", "surrogatepass")
    random_part = int.from_bytes(hashlib.sha256(seed).digest()[:10], "big")
    # RFC 9562 §5.7: 48 bits of time, version 7, 12 bits, variant 0b10, 62 bits.
    high = start << 16 | 0x7000 | random_part >> 62 & 0x0FFF
    low = 0b10 << 62 | random_part & (1 << 62) - 1
    digits = f"{high << 64 | low:032x}"
    identifier = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return Session(identifier, first, rfc3339_of(start + _DAY) or _AFTER_ALL_TIMES)
