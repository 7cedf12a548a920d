"""The stand-in places events in time as PostHog's `timestamp.rs` does."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.posthog_times import canonical, parse_date, parse_rfc3339, place_event

UTC = timezone.utc
NOW = datetime(2024, 6, 1, 8, 30, tzinfo=UTC)
MOMENT = datetime(2023, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2023-01-01T12:00:00Z",
        "2023-01-01T14:00:00+02:00",
        "2023-01-01T14:00:00+02",
        "2023-01-01T12:00:00",
        "2023-01-01 12:00:00",
        "Sun, 1 Jan 2023 12:00:00 +0000",
        "1672574400",
        "1672574400000",
    ],
)
def test_many_forms_of_one_time_are_read(text: str) -> None:
    """Without a zone, UTC is meant."""
    assert parse_date(text, NOW) == MOMENT


@pytest.mark.parametrize("text", ["", "yesterday", "2023-02-30", "2023-01-01T25:00:00Z", "12"])
def test_other_text_is_no_time(text: str) -> None:
    """It never raises."""
    assert parse_date(text, NOW) is None


def test_a_date_alone_has_the_time_of_day_of_now() -> None:
    """As the Rust crate dateparser fills it in."""
    assert parse_date("2023-01-01", NOW) == datetime(2023, 1, 1, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2023-01-01T12:00:00", "2023-01-01", "1672574400", "٢023"])
def test_rfc_3339_needs_its_offset(text: str) -> None:
    """This is the only form v1 takes."""
    assert parse_rfc3339(text) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_canonical_form_keeps_every_microsecond(moment: datetime) -> None:
    """Written and read again, a time is the same."""
    text = canonical(moment)

    assert parse_rfc3339(text) == moment
    assert len(text) == 27


def test_digits_beyond_microseconds_are_cut() -> None:
    """They are not rounded into another day."""
    assert parse_rfc3339("2023-01-01T23:59:59.999999999Z") == datetime(
        2023, 1, 1, 23, 59, 59, 999999, tzinfo=UTC
    )


@pytest.mark.parametrize(("hours", "kept"), [(23, True), (23.01, False), (10_000, False)])
def test_a_time_over_23_hours_ahead_becomes_now(hours: float, kept: bool) -> None:  # noqa: FBT001
    """Up to there it is believed."""
    ahead = NOW + timedelta(hours=hours)

    assert place_event(canonical(ahead), now=NOW) == (ahead if kept else NOW)


def test_an_offset_wins_over_the_time_sent() -> None:
    """Milliseconds before now."""
    assert place_event("2023-01-01T12:00:00Z", now=NOW, offset=1500) == NOW - timedelta(seconds=1.5)


def test_a_clock_that_runs_ahead_moves_events_back() -> None:
    """By as much as `sent_at` is ahead of the server."""
    sent_at = NOW + timedelta(seconds=10)

    assert place_event("2023-01-01T12:00:00Z", now=NOW, sent_at=sent_at) == MOMENT - timedelta(
        seconds=10
    )


@pytest.mark.parametrize(
    ("text", "days_ahead", "placed"),
    [
        ("0001-01-01T00:00:00Z", 1, datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", -1, NOW),
    ],
)
def test_a_shift_out_of_all_years_becomes_1970_or_now(
    text: str, days_ahead: int, placed: datetime
) -> None:
    """The service's fallback for years it cannot hold; the far future is simply future."""
    assert place_event(text, now=NOW, sent_at=NOW + timedelta(days=days_ahead)) == placed
