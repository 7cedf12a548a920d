"""Batch files and their workers: whatever ends when, nothing is left out and no order is broken."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.jobs import SMALL_BYTES, Job, Jobs

SIZES = st.sampled_from([0, 1_000, SMALL_BYTES // 3, SMALL_BYTES, 5 * SMALL_BYTES])
#: Hours, each with its files' sizes; and which worker is asked or ends next.
HOURS = st.lists(st.lists(SIZES, max_size=4), max_size=8)
STEPS = st.lists(st.integers(0, 7), min_size=40, max_size=80)


def _run(hours: list[list[int]], steps: list[int], workers: int) -> list[tuple[str, Any]]:
    """Drive the jobs as the pool does; return what happened, in order."""
    jobs: Jobs[tuple[int, int], str, int] = Jobs()
    log: list[tuple[str, Any]] = []
    busy: list[Job[tuple[int, int], str]] = []
    unread = list(enumerate(hours))
    for step in [*steps, *[0] * 200]:
        if step % 2 and unread:
            hour, sizes = unread.pop(0)
            jobs.add("events", [((hour, n), size) for n, size in enumerate(sizes)])
            jobs.note(hour)
        elif step % 3 == 0 and len(busy) < workers and (job := jobs.next()) is not None:
            busy.append(job)
            log.append(("begun", job.files))
        elif senders := [job for job in busy if jobs.may_send(job)]:
            job = senders[step % len(senders)]
            busy.remove(job)
            jobs.done(job)
            log.append(("sent", job.files))
        elif unread:
            hour, sizes = unread.pop(0)
            jobs.add("events", [((hour, n), size) for n, size in enumerate(sizes)])
            jobs.note(hour)
        if (state := jobs.safe_state()) is not None:
            log.append(("state", state))
    assert jobs.all_done
    assert not busy
    return log


@given(HOURS, STEPS, st.integers(1, 4))
def test_every_file_is_sent_once_and_hours_in_their_order(
    hours: list[list[int]], steps: list[int], workers: int
) -> None:
    """No two hours overlap on the wire, and no worker is stuck."""
    sent = [file for what, files in _run(hours, steps, workers) if what == "sent" for file in files]
    assert sorted(sent) == [(h, n) for h, sizes in enumerate(hours) for n in range(len(sizes))]
    assert [hour for hour, _ in sent] == sorted(hour for hour, _ in sent)


@given(HOURS, STEPS, st.integers(1, 4))
def test_a_state_is_safe_only_after_every_file_before_it(
    hours: list[list[int]], steps: list[int], workers: int
) -> None:
    """And the last state comes out in the end."""
    open_files = {(h, n) for h, sizes in enumerate(hours) for n in range(len(sizes))}
    states: list[int] = []
    for what, value in _run(hours, steps, workers):
        if what == "sent":
            open_files -= set(value)
        elif what == "state":
            states.append(value)
            assert not [file for file in open_files if file[0] <= value]
    assert states == sorted(states)
    assert states[-1:] == ([len(hours) - 1] if hours else [])


def test_small_hours_go_together_and_large_ones_file_by_file() -> None:
    """One request for many quiet hours; several workers for one busy hour."""
    jobs: Jobs[str, str, None] = Jobs()
    jobs.add("events", [("a", 1_000)])
    jobs.add("events", [("b", 1_000), ("c", 1_000)])
    jobs.add("events", [("d", SMALL_BYTES), ("e", SMALL_BYTES)])
    jobs.add("orders", [("f", 1_000)])
    jobs.add("events", [("g", 1_000)])
    made = []
    while (job := jobs.next()) is not None:
        made.append(list(job.files))
    assert made == [["a", "b", "c"], ["d"], ["e"], ["f"], ["g"]]
