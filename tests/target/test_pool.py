"""The target's side of its workers, when one of them ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from multiprocessing import connection
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.batch_files import BatchFile
from target_posthog.errors import FixConfiguration, RunAgain, TargetPosthogError
from target_posthog.pool import Pool
from target_posthog.sightings import News
from target_posthog.worker_messages import Ask, Failed, Said, StreamOfFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no workers")

CAUSE = Failed(FixConfiguration, "PostHog refused the key.", "Give another.")
LONG_SECONDS = 60


def talks_and_fails(connections: Sequence[Connection], *_: Any) -> None:
    """Live as a worker that says several things and then why it ends."""
    main = connections[0]
    main.recv()
    for _number in range(5):
        main.send(Said("target-posthog", 10, "something"))
    main.send(CAUSE)
    os._exit(0)


def asks_and_fails(
    connections: Sequence[Connection], _: object, __: object, config: Mapping[str, Any], *___: Any
) -> None:
    """Live as a worker that ends while the target makes up the answer to its question."""
    main = connections[0]
    main.recv()
    main.send(Ask(()))
    end = time.monotonic() + LONG_SECONDS
    while not Path(config["asked"]).exists() and time.monotonic() < end:
        time.sleep(0.01)
    main.send(CAUSE)
    os._exit(0)


def is_killed(connections: Sequence[Connection], *_: Any) -> None:
    """Live as a worker that the system kills."""
    connections[0].recv()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def pool_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Callable[..., None]], Pool]]:
    """Make a pool with a job, whose only worker has such a life."""
    pools: list[Pool] = []

    def news(_: object) -> News:
        (tmp_path / "asked").touch()
        wait_for_workers()
        return News()

    def make(life: Callable[..., None]) -> Pool:
        monkeypatch.setattr("target_posthog.pool.serve", life)
        unused: Any = None
        links: Any = SimpleNamespace(news=news)
        config = {"workers": 1, "asked": str(tmp_path / "asked")}
        pool = Pool(config, "tests/1", delivery=unused, links=links, rejects=unused, pace=unused)
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
    end = time.monotonic() + LONG_SECONDS
    while time.monotonic() < end:
        connection.wait(pool.attend()[0], 1)


def end_of(pool: Pool) -> TargetPosthogError:
    """Go on until the pool cannot."""
    with pytest.raises(TargetPosthogError) as caught:
        go_on(pool)
    return caught.value


def wait_for_workers() -> None:
    """Wait until all have ended."""
    for child in multiprocessing.active_children():
        child.join(LONG_SECONDS)


def test_the_cause_is_told_that_a_worker_named_before_it_ended(pool_of: Any) -> None:
    """Also when other messages stand before it and its other pipes are closed already."""
    pool = pool_of(talks_and_fails)
    pool.attend()
    wait_for_workers()
    failure = end_of(pool)
    assert (type(failure), failure.happened) == (CAUSE.kind, CAUSE.happened)


def test_the_cause_is_told_when_a_worker_ends_before_it_has_its_answer(pool_of: Any) -> None:
    """The target notices by the answer that it cannot send."""
    failure = end_of(pool_of(asks_and_fails))
    assert (type(failure), failure.happened) == (CAUSE.kind, CAUSE.happened)


def test_a_worker_that_says_nothing_before_its_end_is_told_by_how_it_ended(pool_of: Any) -> None:
    """Such as one that the system killed."""
    failure = end_of(pool_of(is_killed))
    assert isinstance(failure, RunAgain)
    assert failure.happened == "A worker process ended before its work was done (signal 9)."
