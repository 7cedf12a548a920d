"""A session's id and its day, for any start that Amplitude may have written."""

from __future__ import annotations

import uuid

from hypothesis import example, given
from hypothesis import strategies as st

from target_posthog.formats.amplitude.sessions import session_at
from target_posthog.posthog.times import rfc3339_of

_DAY = 24 * 60 * 60 * 1000
_LAST = 253_402_300_799_999  # the last millisecond of year 9999

_DEVICES = st.text(min_size=1).filter(lambda device: device.strip())


@given(st.integers(1, _LAST), _DEVICES)
@example(_LAST, "d-1")
@example(_LAST - _DAY + 1, "d-1")
@example(1_735_689_599_999, "d-1")  # the last of 2024
def test_a_session_holds_its_first_moment_and_the_day_from_it(start: int, device: str) -> None:
    """PostHog counts events from the start to just before 24 hours after it."""
    first, after = rfc3339_of(start), rfc3339_of(start + _DAY)
    session = session_at(start, device)
    assert session is not None
    assert first is not None
    assert session.first == first
    assert session.id_at(first) == session.uuid
    if after is None:
        assert session.id_at("9999-12-31T23:59:59.999999Z") == session.uuid
    else:
        assert session.end == after


@given(st.integers(1, _LAST), _DEVICES)
def test_the_id_of_a_session_is_a_uuid_that_begins_with_its_start(start: int, device: str) -> None:
    """PostHog reads the start out of the first 48 bits of a UUIDv7 (RFC 9562 section 5.7)."""
    session = session_at(start, device)
    assert session is not None
    identifier = uuid.UUID(session.uuid)
    assert str(identifier) == session.uuid
    assert (identifier.version, identifier.variant) == (7, uuid.RFC_4122)
    assert identifier.int >> 80 == start


@given(st.integers(_LAST + 1))
def test_after_the_last_year_there_is_no_session(start: int) -> None:
    """No event is there, and no time of the form that PostHog reads."""
    assert session_at(start, "d-1") is None
