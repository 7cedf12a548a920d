"""Amplitude's session as PostHog's UUIDv7."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from target_posthog.formats.amplitude.sessions import session_uuid

START = 1752748588583  # 2025-07-17T10:36:28.583Z
FIRST_MOMENT = "2025-07-17T10:36:28.583000Z"


def _session(timestamp: str = FIRST_MOMENT, **fields: Any) -> str | None:
    return session_uuid({"session_id": START, "device_id": "d-1"} | fields, timestamp)


def test_a_session_is_a_uuid_of_version_7_that_starts_when_it_starts() -> None:
    """PostHog reads the session's start out of the first 48 bits (RFC 9562 section 5.7)."""
    session = uuid.UUID(_session())
    assert session.version == 7
    assert session.variant == uuid.RFC_4122
    assert session.int >> 80 == START


def test_a_session_keeps_its_id_in_every_version() -> None:
    """A migration runs for weeks: PostHog would show one session as two.

    48 bits of the start, 7, bits 62 to 73 of the digest of both, 0b10, its bits 0 to 61.
    """
    assert _session() == "019817f4-fe27-765d-b305-dfdb1ae54de7"


def test_all_events_of_a_session_share_its_id() -> None:
    """It is made of the start and the device, of nothing else."""
    later = _session("2025-07-17T11:00:00.000000Z", user_id="u-1", event_id=2)
    assert later == _session()


@pytest.mark.parametrize("change", [{"device_id": "d-2"}, {"session_id": START - 1}], ids=str)
def test_another_device_or_start_is_another_session(change: dict[str, Any]) -> None:
    """Two people who start in the same millisecond do not share a session."""
    assert _session(**change) not in (_session(), None)


@pytest.mark.parametrize(
    ("timestamp", "counted"),
    [
        ("2025-07-17T10:36:28.582999Z", False),
        (FIRST_MOMENT, True),
        ("2025-07-18T10:36:28.582999Z", True),
        ("2025-07-18T10:36:28.583000Z", False),
    ],
)
def test_an_event_counts_from_the_start_to_just_before_24_hours(
    timestamp: str,
    counted: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """PostHog ignores a session id that does not fit its events."""
    assert (_session(timestamp) is not None) is counted


@pytest.mark.parametrize(
    "start", [-1, 0, None, "", str(START), float(START), True, 1 << 48, 1 << 70, [START]], ids=repr
)
def test_what_is_no_start_is_no_session(start: Any) -> None:
    """-1 is Amplitude's own word for it; a UUIDv7 holds 48 bits of time."""
    assert session_uuid({"session_id": start, "device_id": "d-1"}, FIRST_MOMENT) is None


@pytest.mark.parametrize("device", [None, "", "  ", 7])
def test_without_a_device_there_is_no_session(device: Any) -> None:
    """Sessions that start in the same millisecond could not be told apart."""
    assert _session(device_id=device) is None


def test_a_device_with_half_a_character_does_not_stop_the_run() -> None:
    """A lone surrogate has no UTF-8; old exports hold emoji that were cut in two."""
    assert _session(device_id="d-\ud83d") is not None
