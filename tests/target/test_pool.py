"""The target's side of its workers, when one of them ends."""

from __future__ import annotations

import multiprocessing
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.batch_files import BatchFile
from target_posthog.errors import FixConfiguration, RunAgain, TargetPosthogError
from target_posthog.pool import Pool
from target_posthog.sightings import News
from target_posthog.worker_messages import Ask, Failed, Said, StreamOfFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are copies only on Linux")

CAUSE = Failed(FixConfiguration, "PostHog refused the key.", "Give another.")


@pytest.fixture
def pool_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Any, Any], Pool]]:
    """Make a pool whose only worker has such a life, and a job."""
    pools: list[Pool] = []

    def make(life: Callable[[Connection], None], links: Any = None) -> Pool:
        def serve(connections: Sequence[Connection], *_: Any) -> None:
            connections[0].recv()
            life(connections[0])
            os._exit(0)

        monkeypatch.setattr("target_posthog.pool.serve", serve)
        unused: Any = None
        pool = Pool(
            {"workers": 1}, "tests/1", delivery=unused, links=links, rejects=unused, pace=unused
        )
        pools.append(pool)
        file = tmp_path / "events.jsonl"
        file.touch()
        pool.add(StreamOfFiles("events", {}, ("uuid",)), [BatchFile(str(file), is_gzip=False)])
        return pool

    yield make
    for pool in pools:
        pool.close()


def go_on(pool: Pool) -> None:
    """Go on, at most for a while."""
    for _ in range(1000):
        multiprocessing.connection.wait(pool.attend()[0], 1)


def end_of(pool: Pool) -> TargetPosthogError:
    """Go on until the pool cannot."""
    with pytest.raises(TargetPosthogError) as caught:
        go_on(pool)
    return caught.value


def wait_for_workers() -> None:
    """Wait until all have ended."""
    for child in multiprocessing.active_children():
        child.join(10)


def test_the_cause_is_told_that_a_worker_named_before_it_ended(pool_with: Any) -> None:
    """Also when other messages stand before it and its other pipes are closed already."""

    def life(main: Connection) -> None:
        for _ in range(5):
            main.send(Said("target-posthog", 10, "something"))
        main.send(CAUSE)

    pool = pool_with(life)
    pool.attend()
    wait_for_workers()
    failure = end_of(pool)
    assert (type(failure), failure.happened) == (CAUSE.kind, CAUSE.happened)


def test_the_cause_is_told_when_a_worker_ends_before_it_has_its_answer(pool_with: Any) -> None:
    """The target notices by the answer that it cannot send."""
    asked = multiprocessing.get_context("fork").Event()

    def life(main: Connection) -> None:
        main.send(Ask(()))
        asked.wait(10)
        main.send(CAUSE)

    def news(_: object) -> News:
        asked.set()
        wait_for_workers()
        return News()

    failure = end_of(pool_with(life, SimpleNamespace(news=news)))
    assert (type(failure), failure.happened) == (CAUSE.kind, CAUSE.happened)


def test_a_worker_that_says_nothing_before_its_end_is_told_by_how_it_ended(pool_with: Any) -> None:
    """Such as one that the system killed."""
    failure = end_of(pool_with(lambda _: os.kill(os.getpid(), 9)))
    assert isinstance(failure, RunAgain)
    assert failure.happened == "A worker process ended before its work was done (signal 9)."
