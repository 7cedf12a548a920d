"""The samples of a run's speed, with a given clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.progress.counts import Counts
from target_posthog.progress.speed import Speed, per_second


def test_each_sample_tells_the_speed_since_the_one_before() -> None:
    """A chart draws them as they are."""
    speed = Speed(started=100.0)
    speed.take(101.0, Counts(exported=500, accepted=400), "2024-01-01T00")
    speed.take(103.0, Counts(exported=1_000, accepted=1_000), "2024-01-01T01")
    assert [
        (one["seconds"], one["hour"], one["accepted"], one["events_per_second"])
        for one in speed.as_json()
    ] == [(1.0, "2024-01-01T00", 400, 500.0), (3.0, "2024-01-01T01", 1_000, 250.0)]


@given(st.lists(st.floats(0.01, 60), min_size=1, max_size=2_000))
def test_there_are_never_more_samples_than_a_chart_shows(pauses: list[float]) -> None:
    """However long a run takes: the last one is there, and they add up to all that came."""
    now, speed, counts = 0.0, Speed(started=0.0), Counts()
    for pause in pauses:
        now += pause
        counts.exported += 7
        if now >= speed.next:
            speed.take(now, counts, "")
    speed.take(now, counts, "")
    samples = speed.as_json()
    assert 1 <= len(samples) <= 240
    assert samples[-1]["exported"] == counts.exported
    seconds = [one["seconds"] for one in samples]
    assert seconds == sorted(set(seconds))


def test_the_last_sample_is_not_taken_twice() -> None:
    """The end of a run can come right behind one."""
    speed = Speed(started=0.0)
    for exported in (5, 6):
        speed.take(1.0, Counts(exported=exported), "")
    (only,) = speed.as_json()
    assert only["exported"] == 6


def test_no_time_is_no_speed() -> None:
    """Nothing is divided by it."""
    assert per_second(5, 0.0) == 0.0
