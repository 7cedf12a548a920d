"""Hours in any order, by several runs at once: the real processes over real HTTP."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from random import Random
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from target_posthog.common.quantities import count
from tests.support.lives import Lives, assert_well_told
from tests.support.processes import start
from tests.support.rows import row
from tests.support.singer import counts_in, record, schema, state
from tests.support.target import run_apart
from tests.target.books.test_book_of_runs import messages_of, rows_of
from tests.target.identity.test_newest_rows_of_runs import (
    answer_late,
    as_files,
    as_records,
    write_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.support.processes import Running
    from tests.support.singer import Json
    from tests.support.target import Target

_HOURS = 4
#: How many kills there are in each of the two rounds.
_KILLS = 3


@pytest.mark.parametrize(
    ("way", "more", "order"),
    [
        (as_files, {"workers": 2}, [3, 2, 1, 0]),
        (as_files, {"workers": 2, "identity_events": "identify", "protocol": "v1"}, [1, 3, 0, 2]),
        (as_records, {}, [2, 0, 3, 1]),
    ],
    ids=["files", "files, identify, v1", "records"],
)
def test_hours_in_any_order_end_as_in_order(
    target: Target, way: Callable[[Lives, Path], list[Json]], more: Json, order: Sequence[int]
) -> None:
    """Each person with its newest row, each device with its first user, each event once."""
    lives = Lives.of(5, hours=_HOURS, rows=600)
    target.config.update(max_batch_events=100, **more)
    for number in order[::-1]:
        messages = way(lives.hour(number), target.folder)
        run = run_apart(target, messages, free_order="collect").checked()
        counts = counts_in(run.stderr)
        assert counts["skipped"] == counts["exported"] == len(lives.hour(number).rows)
        assert run.messages == [{"at": 1}]
    assert target.capture.events == []
    for left, number in zip(range(_HOURS)[::-1], order, strict=True):
        messages = way(lives.hour(number), target.folder)
        run = run_apart(target, messages, free_order="apply").checked()
        told = f"send the other {count(left, 'hour')} of" if left else "run again at any time"
        assert told in run.log_lines[-1]
    world = assert_well_told(target.capture.events, lives.in_time)
    # Else the test would not need the pass.
    properties = [event["properties"] for event in world.events]
    assert sum("user_properties" in one for one in properties) > 500
    links = [event for event in target.capture.held().values() if "alias" in event["properties"]]
    links += [event for event in target.capture.held().values() if event["event"] == "$identify"]
    assert len(links) == len(lives.in_time.first_users())


@pytest.mark.skipif(sys.platform != "linux", reason="kills at random moments")
def test_three_runs_at_once_on_one_ledger_may_be_killed_at_any_moment(
    target: Target, postgresql_url: str
) -> None:
    """As three machines would: each takes the next hour, and repeats it when it was killed."""
    # What was told before a kill is known for sure only by the next row.
    lives = Lives.of(6, hours=_HOURS, rows=500, bare_share=0)
    own = {"workers": 1, "max_batch_events": 60, "max_retry_seconds": 100}
    target.config.update(ledger_url=postgresql_url, **own)
    Machines(target, "collect", lives, Random(1)).work()
    assert target.capture.events == []
    answer_late(target.capture, Random(2), troubles=True)
    Machines(target, "apply", lives, Random(3)).work()
    assert_well_told(target.capture.events, lives.in_time)


def test_a_device_is_that_of_the_oldest_row_wherever_it_stands_in_its_file(target: Target) -> None:
    """Workers tell of a pair once a block otherwise, by the row that comes first."""
    minutes = [("u1", 5), ("u2", 4), ("u1", 3)]
    rows = [
        row(number, user_id=user, device_id="d", event_time=f"2024-01-01 00:0{minute}:00.000000")
        for number, (user, minute) in enumerate(minutes)
    ]
    lives = Lives([[rows]])
    for mode in ("collect", "apply"):
        run_apart(target, as_files(lives, target.folder), free_order=mode, workers=2).checked()
    links = [one for one in target.capture.events if one["event"] == "$create_alias"]
    assert [(one["distinct_id"], one["timestamp"]) for one in links] == [
        ("u1", "2024-01-01T00:03:00.000000Z")
    ]


def test_an_hour_without_its_state_is_not_whole(target: Target) -> None:
    """The tap did not come to its end: what applies the pass waits for the rest of the hour."""
    lives = Lives.of(7, hours=2, rows=40)
    messages = as_records(lives, target.folder)
    without_a_state = messages[: messages.index(state({"at": 1}))]
    target.run(without_a_state, free_order="collect").checked()
    run = target.run(messages, free_order="apply")
    assert run.exit_code == 2
    assert "1 hours were begun and not finished, the first is 2024-01-01T00" in run.stderr
    for mode in ("collect", "apply"):
        target.run(messages, free_order=mode).checked()
    assert_well_told(target.capture.events, lives.in_time)


def test_an_hour_that_was_not_collected_is_refused_with_what_came_before_delivered(
    target: Target,
) -> None:
    """The state stands behind the hours of the pass."""
    lives = Lives.of(7, hours=2, rows=40)
    first, both = as_records(lives.hour(0), target.folder), as_records(lives, target.folder)
    for mode in ("collect", "apply"):
        target.run(first, free_order=mode).checked()
    sent = len(target.capture.events)
    run = target.run([first[0], *both[len(first) :]], free_order="apply")
    assert run.exit_code == 2
    assert "The people pass has not read the hour 2024-01-01T01." in run.stderr
    assert len(target.capture.events) == sent
    assert run.messages == []


@pytest.mark.parametrize("way", ["records", "files"])
def test_the_state_of_the_runs_that_collected_is_refused(target: Target, way: str) -> None:
    """It says that all is read, and nothing is sent; one of a run that applies is good."""
    hours = {5: rows_of(5), 6: [], 7: rows_of(7)}
    begin, *messages = with_begin(messages_of(way, target.folder, hours))
    (*_, collected) = run_apart(target, [begin, *messages], free_order="collect").checked().messages
    target.config["free_order"] = "apply"
    for more in ([], messages):
        run = run_apart(target, [state(collected), *more])
        assert run.exit_code == 2
        assert "says that 2 hours are read, the first is 2024-01-01T05," in run.stderr
        assert "a state id of their own" in run.stderr
        summary = json.loads((target.folder / "target-posthog-summary.json").read_text())
        assert summary["exit_class"] == "fix"
        assert run.messages == target.capture.events == []
    (*_, applied) = run_apart(target, [begin, *messages]).checked().messages
    assert applied == collected
    run_apart(target, [state(applied), messages[0], state(applied)]).checked()


def with_begin(messages: list[Json]) -> list[Json]:
    """Return messages whose states say where their range begins."""
    told = json.loads(json.dumps(messages))
    for message in told:
        if message["type"] == "STATE":
            message["value"]["bookmarks"]["events"]["export_from"] = "2024-01-01T05:00:00Z"
    return list(told)


def test_records_that_tell_of_people_in_no_order_are_refused(target: Target) -> None:
    """Those of another tap that tell of nobody are read as ever."""
    target.config.update(free_order="collect", source_format="fields")
    order = {"id": 1, "name": "paid", "when": "2024-01-01T00:00:00Z", "who": "u1", "tier": "a"}
    mapping = {"event": "name", "timestamp": "when", "distinct_id": "who"}
    told = [schema("orders", key="id"), record(order, "orders"), state({"at": 1})]
    sets = {"orders": mapping | {"set": {"tier": "tier"}}}
    run = target.run(told, streams=sets)
    assert run.exit_code == 2
    assert "`free_order` is for Amplitude's rows" in run.stderr
    # With other settings: the pass has no hour yet that was read with the first.
    plain = target.run(told, streams={"orders": mapping}).checked()
    assert counts_in(plain.stderr)["skipped"] == 1
    assert target.capture.events == []


def test_what_a_run_that_collects_rejects_is_not_replayed(target: Target) -> None:
    """The run that applies rejects it, too; a replay with the settings of the first is refused."""
    for mode in ("collect", "apply"):
        run = target.send([row(1, user_id="u" * 201)], free_order=mode).checked()
        assert counts_in(run.stderr)["rejected"] == 1
    (trial,) = (target.folder / "rejects").glob("*-preview-*.jsonl")
    left = trial.read_bytes()
    refused = target.command("replay", free_order="collect")
    assert refused.exit_code == 2
    assert "a replay only sends" in refused.stderr
    again = target.command("replay", free_order="apply").checked()
    assert counts_in(again.stderr)["exported"] == 1
    assert trial.read_bytes() == left
    assert target.capture.events == []


def write_without_end(target: Running, messages: Sequence[Json]) -> None:
    """Write messages to a run that is to be killed: however fast it is, it cannot end before."""
    with suppress(OSError):
        target.write(messages)


class Machines:
    """Three machines that run the target for one hour after the other.

    Args:
        target: with the settings of each run.
        mode: whether they collect or apply.
        lives: the hours.
        choice: which run is killed, and when.

    Attributes:
        done: the hours whose run ended well, in that order.
        kills: how many runs were killed.
        failures: the logs of runs that ended otherwise.
    """

    def __init__(self, target: Target, mode: str, lives: Lives, choice: Random) -> None:
        self.done: list[int] = []
        self.kills = 0
        self.failures: list[str] = []
        self._config = target.config | {"free_order": mode}
        self._lives = lives
        self._folder = target.folder / mode
        self._hours: SimpleQueue[int] = SimpleQueue()
        for number in choice.sample(range(_HOURS), _HOURS):
            self._hours.put(number)
        victims = choice.sample(range(_HOURS), _KILLS)
        self._kill_after = {number: choice.uniform(0.1, 1.5) for number in victims}

    def work(self) -> None:
        """Run every hour to its end; fail when one ends otherwise, or a kill is missing."""
        with ThreadPoolExecutor(3) as threads:
            deque(threads.map(self._work, "abc"), maxlen=0)
        assert self.failures == []
        assert sorted(self.done) == list(range(_HOURS))
        assert self.kills == _KILLS

    def _work(self, name: str) -> None:
        own = self._folder / name
        own.mkdir(parents=True)
        while len(self.done) < _HOURS and not self.failures:
            try:
                number = self._hours.get(timeout=0.05)
            except Empty:
                continue
            self._run(number, own)

    def _run(self, number: int, folder: Path) -> None:
        with start("target-posthog", self._config, folder) as target:
            messages = as_records(self._lives.hour(number), folder)
            seconds = self._kill_after.pop(number, None)
            write = write_all if seconds is None else write_without_end
            writing = Thread(target=write, args=(target, messages))
            writing.start()
            if seconds is not None:
                time.sleep(seconds)
                os.kill(target.process.pid, signal.SIGKILL)
            target.process.wait(100)
            writing.join()
            code, log = target.process.returncode, target.stderr
        if code == 0:
            self.done.append(number)
        elif code == -signal.SIGKILL:
            self.kills += 1
            self._hours.put(number)
        else:
            self.failures.append(log)
