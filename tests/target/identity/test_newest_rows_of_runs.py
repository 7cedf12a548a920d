"""Everybody ends with the newest row, by the real processes over real HTTP, whatever happens."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sys
from contextlib import suppress
from random import Random
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.batch_messages import RUN_FOLDER, batch, lines_of
from tests.support.lives import Lives, assert_well_told
from tests.support.singer import counts_in, record, schema, state
from tests.support.target import run_apart, started

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Running
    from tests.support.singer import Json
    from tests.support.target import Target

HEAD = schema(event_type={"type": "string"}, amplitude_id={"type": "integer"})
#: How many kills there are before a run may come to its end, and before which of its requests each
#: comes: an hour of 400 rows takes 20 or more, so that no run ends before its kill.
_KILLS, _KILLED_BEFORE = 3, 40
#: So many bytes, as sent, hold several rows: a 413 of a request of one event rejects that event.
_SEVERAL_ROWS = 3000


def as_files(lives: Lives, folder: Path, done: int = 0) -> list[Json]:
    """Write files of the hours after so many; return a tap's messages, a state after each hour."""
    own = folder / "batches" / RUN_FOLDER
    own.mkdir(parents=True, exist_ok=True)
    messages: list[Json] = [HEAD]
    for hour, files in enumerate(lives.hours[done:], done):
        paths = []
        for number, file in enumerate(files):
            paths.append(own / f"{hour}-{number}.json.gz")
            paths[-1].write_bytes(gzip.compress(lines_of(file), 1))
        messages += [batch(paths), state({"at": hour + 1})]
    return messages


def as_records(lives: Lives, _: Path, done: int = 0) -> list[Json]:
    """Return the same as RECORD messages."""
    messages: list[Json] = [HEAD]
    for hour, files in enumerate(lives.hours[done:], done):
        messages += [record(one) for file in files for one in file]
        messages.append(state({"at": hour + 1}))
    return messages


def answer_late(capture: PosthogCapture, choice: Random, *, troubles: bool) -> None:
    """Have requests stored late and in another order than they came in, some not at all."""
    # So that several go side by side.
    capture.fail(Fault.SLOW, times=6, seconds=0.1)
    faults = [Fault.LOSE_ANSWER, Fault.CUT_BEFORE_STORE, 503, 429, 413]
    for _ in range(2000):
        fault = choice.choice(faults) if troubles and choice.random() < 0.1 else Fault.LATE
        if fault is Fault.LATE:
            capture.fail(Fault.LATE, seconds=choice.choice([0.01, 0.03, 0.08, 0.15]))
        elif isinstance(fault, Fault):
            capture.fail(fault)
        else:
            smallest = _SEVERAL_ROWS if fault == 413 else 0
            capture.fail(Fault.STATUS, status=fault, above_bytes=smallest)


@pytest.mark.parametrize(
    ("way", "more", "answers"),
    [
        (as_files, {"workers": 1}, "late or never"),
        (as_files, {"workers": 2, "identity_events": "identify"}, "late or never"),
        (as_files, {"workers": 4, "protocol": "v1"}, "late or never"),
        (as_files, {"workers": 2}, "at once"),
        (as_records, {}, "late or never"),
    ],
    ids=["1 worker", "2 workers, identify", "4 workers, v1", "2 workers, at once", "records"],
)
def test_everybody_ends_with_the_newest_row(
    target: Target, way: Callable[[Lives, Path], list[Json]], more: Json, answers: str
) -> None:
    """Each device with its first user, and every event, however requests end."""
    lives = Lives.of(1, hours=3, rows=1200)
    if answers != "at once":
        answer_late(target.capture, Random(2), troubles=True)
    target.config.update(max_batch_events=80, max_retry_seconds=100)
    run = run_apart(target, way(lives, target.folder), **more).checked()

    world = assert_well_told(target.capture.events, lives)
    assert target.capture.most_under_way > 1 or answers == "at once"
    assert run.messages[-1] == {"at": 3}
    assert counts_in(run.stderr)["accepted"] == len(lives.rows)
    # Else the test would not need the rule.
    properties = [event["properties"] for event in world.events]
    assert sum("user_properties" in one for one in properties) > 300
    assert sum("group_properties" in one for one in properties) > 30
    assert any("alias" in one and "$set" in one for one in properties) or "identity_events" in more


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize(
    ("victim", "way"),
    [("target", as_files), ("worker", as_files), ("target", as_records)],
    ids=["target, files", "worker, files", "target, records"],
)
def test_so_they_do_when_the_run_is_killed_and_repeated(
    target: Target, victim: str, way: Callable[[Lives, Path, int], list[Json]]
) -> None:
    """At random moments, with requests under way in several lanes, from the state that is left."""
    choice = Random(f"{victim} {way.__name__}")
    # What was told before a kill is known for sure only by the next row.
    lives = Lives.of(3, hours=4, rows=400, bare_share=0)
    answer_late(target.capture, choice, troubles=True)
    capture = target.capture
    target.config.update(workers=2, max_batch_events=20, max_retry_seconds=100)
    done = kills = 0
    while done < len(lives.hours):
        goal = len(capture.requests) + choice.randrange(1, _KILLED_BEFORE)
        with started(target) as running:
            writing = Thread(target=write_all, args=(running, way(lives, target.folder, done)))
            writing.start()
            if kills < _KILLS:
                running.wait_for(lambda: len(capture.requests) >= goal)  # noqa: B023 - called here
                pids = [running.process.pid] if victim == "target" else running.children
                os.kill(choice.choice(pids), signal.SIGKILL)
            running.process.wait(100)
            writing.join()
            assert "Traceback" not in running.stderr
            states = running.stdout.rpartition("\n")[0].splitlines()
        kills += running.process.returncode != 0
        if states:
            done = json.loads(states[-1])["at"]
            told = uuids_of(Lives(lives.hours[:done]).rows)
            assert told <= uuids_of(capture.events), "the state is ahead"
    assert kills == _KILLS
    assert_well_told(capture.events, lives)


def write_all(target: Running, messages: Sequence[Json]) -> None:
    """Write messages and end the input, or as much as goes before the target ends."""
    with suppress(OSError):
        target.write(messages)
        assert target.process.stdin is not None
        target.process.stdin.close()


def uuids_of(events: Sequence[Json]) -> set[str]:
    """Return the uuids of rows or events."""
    return {one["uuid"] for one in events}
