"""Many RECORD lines are converted by workers, and come in the tap's order all the same.

Real processes. Up to the thousandth record the target converts them itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.histories import held_events, identities, keys_of, people
from tests.support.rows import row, rows
from tests.support.singer import counts_in, record, records, schema, state
from tests.support.target import run_apart, started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.singer import Json
    from tests.support.target import Target

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="others start no workers so soon")

TEXT = {"type": "string"}
ORDERS = schema("orders", key="id", id={"type": "integer"}, user_id=TEXT, time=TEXT)
REFUNDS = {**ORDERS, "stream": "refunds"}
#: What nests too deep for a record, and what no JSON is.
DEEP = f'{{"deep":{"[" * 600}{"]" * 600},"id":%d}}'
NOT_JSON = '{"total":NaN,"user_id":"u","time":"2024-01-01","id":%d}'


def order(number: int, **more: Any) -> Json:
    """Return a record of another tap."""
    return {"id": number, "user_id": f"u-{number % 30}", "time": "2024-01-01", **more}


def orders(*bounds: int) -> list[Json]:
    """Return the messages of a range of them."""
    return records(map(order, range(*bounds)), "orders")


def line_of(text: str, stream: str = "orders") -> str:
    """Return a RECORD line around a record's JSON."""
    return f'{{"type": "RECORD", "stream": "{stream}", "record": {text}}}'


def ids_in(capture: PosthogCapture) -> list[int]:
    """Return the records whose events came, in order."""
    own = [
        event["properties"] for event in capture.events if event["event"] in {"orders", "refunds"}
    ]
    return [properties["id"] for properties in own]


def message_of(number: int, stream: str) -> Json | str:
    """Return a RECORD, some of which are not usual."""
    odd: dict[int, Json | str] = {
        5: line_of(DEEP % number, stream),
        6: line_of(NOT_JSON % number, stream),
        7: record(order(number, time="soon"), stream),
        8: record(order(number, time="2999-01-01"), stream),
    }
    made = record(order(number), stream)
    if number // 1_500 % 2:
        made["time_extracted"] = f"{number}"
    return odd.get(number % 397, made)


def mixed(seed: int, count: int) -> Iterator[Json | str]:
    """Yield messages of two streams in turn, unusual ones and states among them.

    The lines around records are those of taps that say when they read one, and of others.
    """
    choice = random.Random(seed)
    stream, left = "orders", 0
    for number in range(count):
        if not left:
            stream, left = choice.choice(["orders", "refunds"]), choice.choice([1, 40, 300, 2000])
        left -= 1
        if number % 1_100 == 1_099:
            yield state({"at": number})
        yield message_of(number, stream)
    yield state({"at": count})


@pytest.mark.parametrize("workers", [1, 4])
def test_records_come_in_the_taps_order_however_many_workers_convert_them(
    target: Target, workers: int
) -> None:
    """Also around lines that are not usual; each keeps its place, its fate and its number."""
    count = 9_000
    messages = [ORDERS, REFUNDS, *mixed(workers, count)]
    with started(target, workers=workers) as running:
        running.write(messages)
        running.wait_for(lambda: target.capture.requests)
        assert len(running.children) == (0 if workers == 1 else workers)
        ended = running.finish().checked()

    bad = [number for number in range(count) if number % 397 in {5, 7, 8}]
    assert ids_in(target.capture) == [number for number in range(count) if number not in bad]
    counts = counts_in(ended.stderr)
    assert (counts["accepted"], counts["rejected"]) == (count - len(bad), len(bad))
    states = [one["at"] for one in ended.messages]
    assert states == sorted(states)
    assert states[-1] == count
    deep = [one for one in target.rejects if one["code"] == "bad_line"]
    assert [json.loads(one["record"])["id"] for one in deep] == list(range(5, count, 397))
    places = [n for n, one in enumerate(messages, 1) if isinstance(one, str) and "deep" in one]
    for place, one in zip(places, deep, strict=True):
        assert f"line {place:,}:" in one["reason"]
    others = [one for one in target.rejects if one not in deep]
    fates = [(one["code"], one["record"]["id"], *one["key_properties"]) for one in others]
    assert sorted(fates, key=lambda one: one[1]) == [
        ("bad_time" if number % 397 == 7 else "future_time", number, "id")
        for number in bad
        if number % 397 != 5
    ]
    assert ended.stderr.count(": by default event is") == 2


def test_amplitude_rows_are_the_same_events_however_many_workers_convert_them(
    target: Target,
) -> None:
    """With their links, and with columns that the SDK takes out."""
    choice = random.Random(3)
    sent = [row(n, device_id=f"d-{n % 70}", user_id=f"u-{n % 50}") for n in range(5_000)]
    for number in choice.sample(range(5_000), 100):
        sent[number][choice.choice(["new_field", "_sdc_batched_at"])] = "x"
    messages = [schema(event_type={}, amplitude_id={}), *records(sent), state({"at": 1})]
    came = []
    for workers in (1, 3):
        run_apart(target, messages, workers=workers).checked()
        came.append(target.texts)
        target.begin_anew()
    assert len(came[0]) > 5_050
    assert not any("_sdc_batched_at" in event for event in came[0])
    assert came[0] == came[1]


def test_few_records_start_no_worker(target: Target) -> None:
    """Their work is done before a process has begun."""
    with started(target, workers=2) as running:
        running.write([ORDERS, *orders(900), state({"at": 1})])
        running.wait_for(lambda: running.stdout)
        assert running.children == []
        assert running.finish().exit_code == 0
    assert ids_in(target.capture) == list(range(900))


def test_a_silent_tap_has_what_came_delivered_and_its_states_written(target: Target) -> None:
    """Nothing waits for the next line, neither for a full block nor for a worker."""
    with started(target, workers=2) as running:
        running.write([ORDERS, *orders(1_100), state({"at": 1})])
        running.wait_for(lambda: running.stdout == '{"at": 1}\n', seconds=20)
        done = 1_100
        for at, more in ((2, 300), (3, 5), (4, 900)):
            running.write(orders(done, done + more))
            done += more
            running.write([state({"at": at})])
            written = f'{{"at": {at}}}\n'
            running.wait_for(lambda: running.stdout.endswith(written), seconds=20)  # noqa: B023
            assert ids_in(target.capture) == list(range(done))
        assert len(running.children) == 2
        assert running.finish().exit_code == 0


def test_what_is_read_ahead_is_bounded(target: Target) -> None:
    """While PostHog takes nothing, the tap has to wait."""
    target.capture.fail(Fault.SLOW, times=1, seconds=4)
    filling = "x" * 2_000
    sent = [order(number, filling=filling) for number in range(60_000)]
    with started(target, workers=2) as running:
        pid = running.process.pid
        running.write([ORDERS, *records(sent, "orders")])
        peak = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]
        running.write([state({"at": 1})])
        assert running.finish().exit_code == 0
    assert int(peak) < 300_000
    assert sorted(ids_in(target.capture)) == list(range(60_000))


@pytest.mark.parametrize("killed", ["target", "worker"])
@pytest.mark.parametrize("after", [1, 4])
def test_a_killed_run_and_its_repeat_hold_exactly_the_source(
    target: Target, killed: str, after: int
) -> None:
    """From the last state on."""
    sent = people(12_000)
    target.config.update(workers=2, max_batch_events=1_500)
    target.capture.fail(Fault.SLOW, times=100, seconds=0.05)

    def messages(begin: int) -> Iterator[Json]:
        if begin:
            yield state({"at": begin})
        yield schema(event_type={}, amplitude_id={})
        for number in range(begin, len(sent), 1_000):
            yield from records(sent[number : number + 1_000])
            yield state({"at": number + 1_000})

    with started(target) as running:
        running.write(messages(0))
        running.wait_for(
            lambda: len(target.capture.requests) >= after and len(running.children) == 2
        )
        workers = running.children
        os.kill(running.process.pid if killed == "target" else workers[0], signal.SIGKILL)
        if killed == "worker":
            # One that has nothing to do is missed by the next records.
            running.write(records(rows(range(50_000, 53_000))))
        ended = running.finish()
    assert ended.exit_code == (1 if killed == "worker" else -signal.SIGKILL)
    if killed == "worker":
        assert "A worker process ended before its work was done (signal 9)." in ended.stderr
    done = ended.messages[-1]["at"] if ended.messages else 0
    run = run_apart(target, messages(done)).checked()
    assert run.messages[-1] == {"at": 12_000}
    assert held_events(target.capture) == keys_of(sent)
    assert len(identities(target.capture)) == 10


#: A line that the run stops at, how it is said, and whether a worker finds it.
STOPS = {
    "without its key": (line_of('{"user_id": "u"}'), "without its key properties (id)"),
    "no record": (line_of("7"), "Line 3,002 of the input is not a valid RECORD message"),
    "blank": (line_of(" "), "Line 3,002 of the input is not a Singer message"),
    "no message": ("nothing", "Line 3,002 of the input is not a Singer message"),
    "no schema": (line_of("{}", "x"), "a record of the stream x before its schema"),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_line_that_the_run_stops_at_stops_it_behind_what_came_before(
    target: Target, stop: tuple[str, str], workers: int
) -> None:
    """That is delivered, and in the state; nothing behind it is."""
    before: list[Json] = orders(2_500)
    messages = [ORDERS, *before, state({"at": 2_500})]
    messages += orders(2_500, 2_999)
    line, said = stop
    after = [*orders(3_000, 4_000), state({"at": 4_000})]
    ended = run_apart(target, [*messages, line, *after], workers=workers)
    assert ended.exit_code == 1
    assert said.replace(",", "") in ended.stderr
    assert ended.messages == [{"at": 2_500}]
    assert ids_in(target.capture) == list(range(2_999))


def test_records_before_a_new_schema_are_those_of_the_old_one(target: Target) -> None:
    """Here the new one has no key: its events have other uuids, and no record lacks one."""
    parts = [list(map(order, range(start, start + 2_000))) for start in (0, 2_000)]
    for one in parts[1]:
        del one["user_id"]
        one["user"] = "v"
    new = schema("orders", key=None, id={}, user_id=TEXT, user=TEXT, time=TEXT)
    messages: list[Json] = [ORDERS, *records(parts[0], "orders")]
    messages += [new, *records([order(7, user_id="w")], "orders"), *records(parts[1], "orders")]
    messages.append(state({"at": 1}))
    sent = []
    for workers in (1, 2):
        streams = {"orders": {"set": ["user"]}}
        ended = run_apart(target, messages, workers=workers, streams=streams).checked()
        assert counts_in(ended.stderr)["exported"] == 4_001
        sent.append(target.texts)
        target.begin_anew()
    assert len(sent[0]) > 2_000
    assert sent[0] == sent[1]
