"""Days of the Dashboard API: each one once, none too early."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from tap_amplitude.api.project import POINTS, POINTS_SECONDS, PointsBudget
from tap_amplitude.streams.daily import (
    DAYS_AT_ONCE,
    complete_at,
    first_day_again,
    last_complete_day,
    last_day_before,
    spans,
)

MOMENTS = st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2035, 1, 1))  # noqa: DTZ001 - hypothesis adds the zone


@given(
    st.dates(min_value=date(2015, 1, 1), max_value=date(2030, 1, 1)),
    st.integers(min_value=-5, max_value=2000),
)
def test_spans_hold_each_day_once_in_order(first: date, count: int) -> None:
    """No gap, no overlap, no span longer than one request may be; nothing for an empty range."""
    found = list(spans(first, first + timedelta(days=count - 1)))

    assert [day for span in found for day in span] == [
        first + timedelta(days=number) for number in range(count)
    ]
    assert all(0 < len(span) <= DAYS_AT_ONCE for span in found)


@given(MOMENTS, st.integers(min_value=-12, max_value=14))
def test_a_complete_day_is_over_in_every_time_zone(moment: datetime, offset: int) -> None:
    """Its last moment is at least three hours ago, wherever the project is."""
    now = moment.replace(tzinfo=timezone.utc)
    day = last_complete_day(now)
    assert complete_at(day) <= now < complete_at(day + timedelta(days=1))
    midnight = datetime(day.year, day.month, day.day, tzinfo=timezone(timedelta(hours=offset)))

    assert midnight + timedelta(days=1) + timedelta(hours=3) <= now
    assert now - midnight < timedelta(days=3, hours=6)


@given(MOMENTS)
def test_a_day_that_the_end_cuts_is_left_out(moment: datetime) -> None:
    """`end_date` is exclusive."""
    end = moment.replace(tzinfo=timezone.utc)
    after = last_day_before(end) + timedelta(days=1)

    assert datetime(after.year, after.month, after.day, tzinfo=timezone.utc) <= end


@given(
    st.lists(
        st.tuples(
            st.integers(min_value=1, max_value=POINTS),
            st.integers(min_value=0, max_value=2 * POINTS_SECONDS),
        ),
        max_size=40,
    )
)
def test_no_five_minutes_cost_more_than_amplitude_allows(requests: list[tuple[int, int]]) -> None:
    """Whatever the requests and the pauses between them; and no wait is longer than needed."""
    budget, now = PointsBudget(), 0.0
    sent: list[tuple[float, int]] = []

    def spent_before(moment: float) -> int:
        return sum(cost for at, cost in sent if at > moment - POINTS_SECONDS)

    for points, pause in requests:
        now += pause
        wait = budget.seconds_until(points, now)
        assert 0 <= wait <= POINTS_SECONDS
        if wait:
            assert spent_before(now + wait - 1) + points > POINTS
        now += wait
        budget.spend(points, now)
        sent.append((now, points))
        assert spent_before(now) <= POINTS


@given(st.dates(min_value=date(2015, 1, 1)), st.integers(min_value=0, max_value=8760))
def test_looking_back_covers_the_hours(following: date, hours: int) -> None:
    """At least as many hours, and less than a day more."""
    again = (following - first_day_again(following, hours)) / timedelta(hours=1)

    assert hours <= again < hours + 24
