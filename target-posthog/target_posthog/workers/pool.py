"""Worker processes: blocks of lines go in, and come back converted, in any order."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections import deque
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Protocol

from target_posthog.common.signals import STOP
from target_posthog.workers.conversion import BlockConversion
from target_posthog.workers.handle import Worker
from target_posthog.workers.messages import ConvertedBlock, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.capture.protocols import Wire
    from target_posthog.settings import Settings
    from target_posthog.workers.messages import BlockStream

logger = logging.getLogger("target-posthog")

#: How many blocks in a row go to one worker: what it has worked out for the rows of one device
#: serves the next of them.
_RUN = 12


class Workers(Protocol):
    """Convert blocks: processes, or this process itself."""

    @property
    def has_room(self) -> bool:
        """Whether a block would be taken up soon."""

    def give(self, number: int, stream: BlockStream, raw: bytes, latest_time: str) -> None:
        """Give a block of lines to convert, which comes back by its number.

        For `latest_time` see `posthog.events.prepare`.
        """

    def done(self) -> Iterator[tuple[int, ConvertedBlock]]:
        """Yield the blocks that came back by now, with their numbers.

        Raises:
            TargetPosthogError: a worker cannot go on.
        """

    def descriptors(self) -> Sequence[int]:
        """Return what can be read from once a block came back."""

    def close(self) -> None:
        """End the work; what is under way is not waited for."""


class InlineWorkers:
    """Converts each block at once, here; for a preview."""

    def __init__(self, settings: Settings, wire: Wire) -> None:
        self._conversion = BlockConversion(settings, wire)
        self._streams: list[BlockStream] = []
        self._done: deque[tuple[int, ConvertedBlock]] = deque()

    @property
    def has_room(self) -> bool:
        """Whether the block before was taken."""
        return not self._done

    def give(self, number: int, stream: BlockStream, raw: bytes, latest_time: str) -> None:
        """Convert a block."""
        introduces = None
        if stream not in self._streams:
            self._streams.append(stream)
            introduces = stream
        task = Task(0, len(raw), self._streams.index(stream), latest_time, introduces)
        self._done.append((number, self._conversion.converted(task, raw)))

    def done(self) -> Iterator[tuple[int, ConvertedBlock]]:
        """Yield what was converted."""
        while self._done:
            yield self._done.popleft()

    def descriptors(self) -> Sequence[int]:
        """Return none: a block is converted when `give` returns."""
        return ()

    def close(self) -> None:
        """Do nothing: nothing is under way."""


class Pool:
    """Converts blocks in processes of their own."""

    def __init__(self, settings: Settings, wire: Wire) -> None:
        can_fork = Pool.can_fork()
        self._workers: list[Worker] = []
        # Else a signal could reach a copy before it is a worker.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        try:
            for _ in range(workers_of(settings)):
                inherited = [worker.pipe for worker in self._workers]
                self._workers.append(Worker(settings, wire, inherited, can_fork=can_fork))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._last: Worker | None = None
        self._run = 0
        self._by_pipe = {worker.pipe: worker for worker in self._workers}

    @staticmethod
    def can_fork() -> bool:
        """Tell whether workers can be copies of this process, which start in no time.

        A process with threads must not be copied.
        """
        return sys.platform == "linux" and threading.active_count() == 1

    @property
    def has_room(self) -> bool:
        """Whether a worker has few blocks to do."""
        return any(worker.has_room for worker in self._workers)

    def give(self, number: int, stream: BlockStream, raw: bytes, latest_time: str) -> None:
        """Give a block to the worker of the one before, else to the one that has the fewest."""
        worker = self._last
        if worker is None or self._run == _RUN or not worker.has_room:
            worker = self._last = min(self._workers, key=lambda other: len(other.numbers))
            self._run = 0
        self._run += 1
        worker.give(number, stream, raw, latest_time)

    def done(self) -> Iterator[tuple[int, ConvertedBlock]]:
        """Yield the blocks that came back by now, with their numbers."""
        while ready := wait(self._by_pipe, 0):
            for pipe in ready:
                yield self._by_pipe[pipe].take()

    def descriptors(self) -> Sequence[int]:
        """Return the pipes."""
        return [worker.pipe.fileno() for worker in self._workers]

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.join()
        self._workers.clear()
        self._by_pipe.clear()


def workers_of(settings: Settings) -> int:
    """Return how many workers a pool has.

    By default one for each processor but one, which this process keeps busy with what it delivers.
    With one more, processes take turns on a processor, and workers work out the same devices: an
    event takes an eighth more CPU (benchmarks/README.md).
    """
    return settings.workers or max(1, processors() - 1)


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
