"""What is said of the state, word for word."""

from __future__ import annotations

from datetime import datetime, timezone

from tap_amplitude.state.notes import Note, end_is_ahead

READY = datetime(2024, 1, 1, 5, tzinfo=timezone.utc)


def test_an_end_that_cannot_be_read_yet_is_said() -> None:
    """From the hour after the last that is ready."""
    assert end_is_ahead(None, READY) is None
    assert end_is_ahead(READY, READY) is None
    assert end_is_ahead(READY.replace(hour=6), READY) == Note(
        "`end_date` is 2024-01-01T06:00:00Z, but hours from 2024-01-01T05:00:00Z on cannot be read "
        "yet: this run ends there, and a later one goes on."
    )
