"""The stand-in places events in time as PostHog's `timestamp.rs` does."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.posthog_times import canonical, parse_date, parse_rfc3339, place_event

UTC = timezone.utc
NOW = datetime(2024, 6, 1, 8, 30, tzinfo=UTC)
MOMENT = datetime(2023, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2023-01-01T12:00:00Z", MOMENT),
        ("2023-01-01T14:00:00+02:00", MOMENT),
        ("2023-01-01T12:00:00", MOMENT),
        ("2023-01-01 12:00:00", MOMENT),
        *((text, None) for text in ("", "yesterday", "2023-02-30", "2023-01-01T25:00:00Z", "12")),
    ],
)
def test_many_forms_of_a_time_are_read(text: str, read: datetime | None) -> None:
    """Without a zone, UTC is meant; other text is no time, and never raises."""
    assert parse_date(text) == read


@pytest.mark.parametrize("text", ["2023-01-01T12:00:00", "2023-01-01", "1672574400", "٢023"])
def test_rfc_3339_needs_its_offset(text: str) -> None:
    """This is the only form v1 takes."""
    assert parse_rfc3339(text) is None


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["", "999"]))
def test_the_canonical_form_keeps_every_microsecond(moment: datetime, more: str) -> None:
    """Written and read again, a time is the same; further digits are cut, never rounded."""
    text = canonical(moment)

    assert parse_rfc3339(text.replace("Z", f"{more}Z")) == moment
    assert len(text) == 27


@pytest.mark.parametrize(
    ("text", "ahead", "placed"),
    [
        # Up to 23 hours ahead is believed, and becomes now beyond.
        (canonical(NOW + timedelta(hours=23)), {}, NOW + timedelta(hours=23)),
        (canonical(NOW + timedelta(hours=23.01)), {}, NOW),
        (canonical(NOW + timedelta(hours=10_000)), {}, NOW),
        # An offset wins over the time sent; a clock that runs ahead moves events back.
        ("2023-01-01T12:00:00Z", {"offset": 1500}, NOW - timedelta(seconds=1.5)),
        (
            "2023-01-01T12:00:00Z",
            {"sent_at": NOW + timedelta(seconds=10)},
            MOMENT - timedelta(seconds=10),
        ),
        # The service's fallback for years it cannot hold; the far future is simply future.
        (
            "0001-01-01T00:00:00Z",
            {"sent_at": NOW + timedelta(days=1)},
            datetime(1970, 1, 1, tzinfo=UTC),
        ),
        ("9999-12-31T23:59:59Z", {"sent_at": NOW - timedelta(days=1)}, NOW),
    ],
)
def test_an_event_is_placed_in_time(text: str, ahead: dict[str, Any], placed: datetime) -> None:
    """By its own time, its offset, and the sender's clock."""
    assert place_event(text, now=NOW, **ahead) == placed
