"""The target's side of its workers: real processes, however they end and whatever they return."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import threading
import time
from functools import partial
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.errors import FixConfiguration, RunAgain, TargetPosthogError
from target_posthog.workers import worker
from target_posthog.workers.conversion import BlockConversion
from target_posthog.workers.handle import WorkerBroke
from target_posthog.workers.messages import BlockStream
from target_posthog.workers.pool import InlineWorkers, Pool
from target_posthog.workers.shared_slots import SLOTS
from tests.support.deliveries import LATEST, WIRE
from tests.support.descriptors import beyond_select
from tests.support.rows import row
from tests.support.singer import schema
from tests.support.target_settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from target_posthog.model import Json
    from target_posthog.workers.messages import ConvertedBlock, Task
    from target_posthog.workers.pool import Workers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no workers"),
]

EVENTS = BlockStream("events", schema()["schema"], ("uuid",))
SECONDS = 60.0
#: More than a pipe of Linux holds (64 KiB), whichever way it goes.
LARGE = 900_000
#: So many of such a line are more when they are rejected than the 4 MiB that a worker shares.
BAD, MANY = b'{"uuid":0}\n', 40_000


def block(*numbers: int, filling: int = 0) -> bytes:
    """Return rows as a block of lines."""
    content = {"text": "x" * filling}
    made = (row(number, event_properties=content) for number in numbers)
    return b"".join(json.dumps(one).encode() + b"\n" for one in made)


@pytest.fixture
def pool_of() -> Iterator[Callable[..., Pool]]:
    """Make pools, and end them with the test."""
    pools: list[Pool] = []

    def make(workers: int, **settings: Any) -> Pool:
        pools.append(Pool(settings_of(workers=workers, **settings), WIRE))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def results_of(workers: Workers, blocks: Mapping[int, bytes]) -> dict[int, ConvertedBlock]:
    """Give blocks as there is room, and return what came of each."""
    results: dict[int, ConvertedBlock] = {}
    left = list(blocks.items())
    end = time.monotonic() + SECONDS
    while left or len(results) < len(blocks):
        assert time.monotonic() < end, f"{sorted(results)} of {len(blocks)}"
        while left and workers.has_room:
            workers.give(left[0][0], EVENTS, left.pop(0)[1], LATEST)
        if descriptors := list(workers.descriptors()):
            connection.wait(descriptors, 1)
        for number, result in workers.done():
            assert number not in results
            for item in result.items:
                # Of another process, where processes cannot be copied; see `kept`.
                item.fingerprint = 0
            results[number] = result
    return results


def end_of(pool: Pool) -> Exception:
    """Wait until the pool cannot go on."""

    def go_on() -> None:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            connection.wait(list(pool.descriptors()), 1)
            list(pool.done())

    with pytest.raises((TargetPosthogError, WorkerBroke)) as caught:
        go_on()
    return caught.value


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_each_block_comes_back_once_and_as_itself(
    pool_of: Callable[..., Pool], workers: int
) -> None:
    """Also when a late block is done before an early one."""
    choice = random.Random(workers)
    sizes = [choice.choice([1, 2, 50, 400]) for _ in range(60)]
    blocks = {
        number: block(*range(1000 * number, 1000 * number + size))
        for number, size in enumerate(sizes)
    }
    results = results_of(pool_of(workers), blocks)
    alone = results_of(InlineWorkers(settings_of(), WIRE), blocks)
    assert results == alone
    for number, size in enumerate(sizes):
        assert results[number].lines == size
        assert [item.uuid for item in results[number].items] == [
            row(one)["uuid"] for one in range(1000 * number, 1000 * number + size)
        ]
        assert [item.index for item in results[number].items] == list(range(size))


def test_workers_are_heard_by_a_process_with_thousands_of_open_files(
    pool_of: Callable[..., Pool],
) -> None:
    """`select` waits for no descriptor beyond 1,024."""
    with beyond_select():
        results = results_of(pool_of(2), {1: block(1), 2: block(2)})
    assert [results[number].items[0].uuid for number in (1, 2)] == [
        row(number)["uuid"] for number in (1, 2)
    ]


def test_large_blocks_go_there_and_back_at_the_same_time(pool_of: Callable[..., Pool]) -> None:
    """A worker that writes and a target that writes would wait for each other for ever."""
    rows = {
        number: block(*range(10 * number, 10 * number + 5), filling=LARGE // 5)
        for number in range(4)
    }
    # What comes of these is larger than they are, and than the memory for it.
    rejects = dict.fromkeys(range(4, 7), BAD * MANY)
    pool = pool_of(2)
    results: dict[int, ConvertedBlock] = {}
    left = list({**rows, **rejects}.items())
    end = time.monotonic() + SECONDS
    while len(results) < 7:
        assert time.monotonic() < end
        # Without looking at what comes back, as long as any worker takes more.
        while left and pool.has_room:
            pool.give(left[0][0], EVENTS, left.pop(0)[1], LATEST)
        connection.wait(list(pool.descriptors()), 1)
        results.update(pool.done())
    assert {len(results[number].items) for number in rows} == {5}
    assert {len(results[number].left_out) for number in rejects} == {MANY}


def test_a_large_schema_is_told_while_a_worker_writes_a_long_answer(
    pool_of: Callable[..., Pool],
) -> None:
    """It does not read before the target does, which must not wait for it."""
    fields = {f"field_{number}": {"description": f"{number}" * 50} for number in range(10_000)}
    other = BlockStream("orders", {"properties": fields}, ())
    pool = pool_of(1)
    pool.give(1, EVENTS, BAD * MANY, LATEST)
    connection.wait(list(pool.descriptors()), SECONDS)
    giving = threading.Thread(
        target=pool.give, args=(2, other, b'{"event_type":"a"}\n', LATEST), daemon=True
    )
    giving.start()
    giving.join(SECONDS / 2)
    assert not giving.is_alive()
    results: dict[int, ConvertedBlock] = {}
    while len(results) < 2:
        connection.wait(list(pool.descriptors()), SECONDS)
        results.update(pool.done())
    assert [len(results[number].left_out) for number in (1, 2)] == [MANY, 1]


def test_a_worker_has_few_blocks_at_a_time(pool_of: Callable[..., Pool]) -> None:
    """What it has is not to be had by another that is idle, and is held in memory."""
    pool = pool_of(2)
    given = 0
    while pool.has_room:
        pool.give(given, EVENTS, block(given, filling=LARGE), LATEST)
        given += 1
        assert given < 200
    assert given == 2 * SLOTS


def test_a_worker_that_is_killed_is_told_by_how_it_ended(pool_of: Callable[..., Pool]) -> None:
    """Such as by the system; a block that it has would be waited for in vain."""
    pool = pool_of(2)
    # The pool's own, whose first is the busier.
    pool.give(1, EVENTS, block(*range(2000)), LATEST)
    process = pool._workers[0]._process
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    failure = end_of(pool)
    assert isinstance(failure, RunAgain)
    assert failure.happened == "A worker process ended before its work was done (signal 9)."


class _CannotGoOn(BlockConversion):
    """Converts as somebody whose mapping cannot act."""

    def converted(self, task: Task, raw: bytes) -> ConvertedBlock:  # noqa: ARG002 - see above
        raise FixConfiguration("The mapping does not fit.", "Correct it.")


class _HasNoMemory(BlockConversion):
    """Converts as somebody to whom the system gives nothing any more."""

    def converted(self, task: Task, raw: bytes) -> ConvertedBlock:  # noqa: ARG002 - see above
        raise MemoryError


class _IsBuggy(BlockConversion):
    """Converts with a bug that knows what the record holds."""

    def converted(self, task: Task, raw: bytes) -> ConvertedBlock:  # noqa: ARG002 - see above
        raise KeyError(raw.decode())


def serves(conversion: type[BlockConversion], *arguments: Any) -> None:
    """Live as a worker that converts in a manner of its own."""
    setattr(worker, "BlockConversion", conversion)  # noqa: B010 - it is not its own
    worker.serve(*arguments)


def end_of_worker(
    monkeypatch: pytest.MonkeyPatch, pool_of: Callable[..., Pool], conversion: type[BlockConversion]
) -> Exception:
    """Give a block to a worker that converts in a manner of its own, and wait for what comes."""
    monkeypatch.setattr("target_posthog.workers.handle.serve", partial(serves, conversion))
    pool = pool_of(1)
    pool.give(1, EVENTS, block(1), LATEST)
    return end_of(pool)


def test_why_a_worker_cannot_go_on_is_told_in_its_words(
    pool_of: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the class that the exit code comes from."""
    failure = end_of_worker(monkeypatch, pool_of, _CannotGoOn)
    assert isinstance(failure, FixConfiguration)
    assert (failure.happened, failure.remedy) == ("The mapping does not fit.", "Correct it.")


def test_a_worker_without_memory_says_so(
    pool_of: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no bug."""
    failure = end_of_worker(monkeypatch, pool_of, _HasNoMemory)
    assert isinstance(failure, RunAgain)
    assert "no more processes or memory" in failure.happened


def test_a_bug_in_a_worker_is_told_by_its_place_and_nothing_of_the_record(
    pool_of: Callable[..., Pool],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the exception says may be what the record holds."""
    with caplog.at_level(logging.ERROR, "target-posthog"):
        failure = end_of_worker(monkeypatch, pool_of, _IsBuggy)
    assert isinstance(failure, WorkerBroke)
    assert str(failure) == "KeyError"
    assert "A worker met a KeyError" in caplog.text
    assert "raise KeyError(raw.decode())" in caplog.text
    assert row(1)["uuid"] not in caplog.text


def test_a_stream_that_changes_is_introduced_again(pool_of: Callable[..., Pool]) -> None:
    """To each worker, whatever it knew under the name before."""
    amplitude: Json = {"properties": {"event_type": {}, "amplitude_id": {}}}
    streams = [
        BlockStream("events", amplitude, ()),
        BlockStream("events", {"properties": {"id": {}}}, ("id",)),
    ]
    raw = b'{"id":1,"user_id":"u","timestamp":"2024-01-01T00:00:00Z"}\n'
    pool = pool_of(2)
    fates: dict[int, list[str]] = {}
    for turn in range(8):
        pool.give(turn, streams[turn // 2 % 2], raw, LATEST)
        while turn not in fates:
            connection.wait(list(pool.descriptors()), 1)
            for number, result in pool.done():
                rejected = [one.code for one in result.left_out]
                fates[number] = rejected + [one.name for one in result.items]
    assert [fates[turn] for turn in range(8)] == (
        [["missing_event_type"], ["missing_event_type"], ["events"], ["events"]] * 2
    )


def test_what_messages_cannot_hold_goes_as_it_is(pool_of: Callable[..., Pool]) -> None:
    """Integers beyond 64 bits and deep values of groups, which MessagePack has not."""
    deep: Any = "end"
    for _ in range(450):
        deep = [deep]
    pool = pool_of(1)
    for value in (2**70, -(2**65), deep):
        properties = {"org": {"acme": {"value": value}}}
        group = row(1, groups={"org": ["acme"]}, group_properties=properties)
        raw = json.dumps(group).encode() + b"\n"
        results = results_of(pool, {1: raw})
        assert results == results_of(InlineWorkers(settings_of(), WIRE), {1: raw})
        (item,) = results[1].items
        assert item.groups[0].properties["value"] == value


def test_a_closed_pool_leaves_no_process(pool_of: Callable[..., Pool]) -> None:
    """Also one that has much to do; and it may be closed again."""
    pool = pool_of(2)
    processes = [worker._process for worker in pool._workers]
    for number in range(6):
        pool.give(number, EVENTS, block(*range(500)), LATEST)
    pool.close()
    assert not any(process.is_alive() for process in processes)
    pool.close()


@pytest.mark.parametrize("is_own", [False, True])
def test_a_stream_is_introduced_once(pool_of: Callable[..., Pool], *, is_own: bool) -> None:
    """Else its converter would be made anew for each block, and say again what it has to say."""
    stream = BlockStream("orders", {"properties": {"user_id": {}, "timestamp": {}}}, ())
    own = {"source_format": "fields", "event_names": [{"from": "orders", "to": "Ordered"}]}
    workers: Workers = InlineWorkers(settings_of(**own), WIRE) if is_own else pool_of(1, **own)
    raw = b'{"user_id":"u","timestamp":"2024-01-01T00:00:00Z"}\n'
    told = []
    for number in range(3):
        workers.give(number, stream, raw, LATEST)
        if not is_own:
            connection.wait(list(workers.descriptors()), SECONDS)
        ((_, result),) = workers.done()
        told.append((len(result.said), ("event_names", "orders") in result.met))
    assert told == [(1, True), (0, False), (0, False)]
