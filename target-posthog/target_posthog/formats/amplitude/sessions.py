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

from target_posthog.posthog.times import rfc3339_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
#: Keeps the zeros in front of minutes, seconds and milliseconds.
_FILLED = 10_000_000
_TO_MINUTES = len("2024-01-31T12:")
_AFTER_ALL_TIMES = "~"
#: A UUIDv7's version 7 and variant 0b10, and where chance stands between and behind them.
_FORM, _MIDDLE, _END = 0x7 << 76 | 0b10 << 62, 0xFFF << 64, (1 << 62) - 1


def session_uuid(row: Mapping[str, Any], timestamp: str) -> str | None:
    """Return the UUIDv7 of the row's session, made only from its start and its device.

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
    hour = _hour(start // _HOUR) if device.strip() else None
    if hour is None:
        return None
    minute, rest = divmod(start % _HOUR, _MINUTE)
    digits = str(_FILLED + minute * 100_000 + rest)
    clock = f"{digits[1:3]}:{digits[3:5]}.{digits[5:]}000Z"
    return Session(_uuid(start, device), hour[0] + clock, hour[1] + clock)


@lru_cache(maxsize=1024)
def _hour(number: int) -> tuple[str, str] | None:
    """Return an hour since 1970 up to its minutes, and that of the day after it; RFC 3339.

    Sessions of an hour come together, and to write a date takes longer than all else here.
    """
    first = rfc3339_of(number * _HOUR)
    if first is None:  # after year 9999, where no event is; before a UUIDv7's 48 bits are full
        return None
    end = rfc3339_of(number * _HOUR + _DAY) or _AFTER_ALL_TIMES
    return first[:_TO_MINUTES], end[:_TO_MINUTES]


def _uuid(start: int, device: str) -> str:
    """Return the UUIDv7 of a session: 48 bits of time, version, 12 bits, variant, 62 bits.

    RFC 9562 §5.7.
    """
    seed = f"{start}:{device}".encode("utf-8", "surrogatepass")
    chance = int.from_bytes(hashlib.sha256(seed).digest()[:10], "big")
    digits = f"{start << 80 | _FORM | chance << 2 & _MIDDLE | chance & _END:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
