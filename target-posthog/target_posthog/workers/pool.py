"""Worker processes: blocks of lines go in, and come back converted, in any order."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import select
import sys
import threading
from collections import deque
from contextlib import suppress
from mmap import mmap
from typing import TYPE_CHECKING, Any, Protocol

from target_posthog import errors
from target_posthog.common.signals import HeldBack
from target_posthog.errors import RunAgain
from target_posthog.workers.conversion import BlockConversion
from target_posthog.workers.messages import Broke, ConvertedBlock, Failed, Task, decoded
from target_posthog.workers.shared_slots import MEMORY_BYTES, SLOTS, Slots
from target_posthog.workers.worker import serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from target_posthog.capture.protocols import Wire
    from target_posthog.settings import Settings
    from target_posthog.workers.messages import Answer, BlockStream

logger = logging.getLogger("target-posthog")

#: How many blocks in a row go to one worker: what it has worked out for the rows of one device
#: serves the next of them.
_RUN = 12


class WorkerBroke(Exception):
    """A worker met a bug; the log says where."""


class Workers(Protocol):
    """Convert blocks: processes, or this process itself."""

    @property
    def has_room(self) -> bool:
        """Whether a block would be taken up soon."""

    def give(self, number: int, stream: BlockStream, raw: bytes, latest_time: str) -> None:
        """Give a block of lines to convert.

        Args:
            number: what it is known by when it comes back.
            stream: whose records the lines are.
            raw: the lines.
            latest_time: see `posthog.events.prepare`.
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
    """Converts each block at once, here; for a preview.

    Args:
        settings: the target's.
        wire: the protocol.
    """

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
    """Converts blocks in processes of their own.

    Args:
        settings: the target's.
        wire: the protocol.
    """

    def __init__(self, settings: Settings, wire: Wire) -> None:
        can_fork = Pool.can_fork()
        self._workers: list[_Worker] = []
        # Else a signal could reach a copy before it is a worker.
        with HeldBack():
            for _ in range(workers_of(settings)):
                inherited = [one.pipe for one in self._workers]
                self._workers.append(_Worker(settings, wire, inherited, can_fork=can_fork))
        self._last: _Worker | None = None
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
            worker = self._last = min(self._workers, key=lambda one: len(one.numbers))
            self._run = 0
        self._run += 1
        worker.give(number, stream, raw, latest_time)

    def done(self) -> Iterator[tuple[int, ConvertedBlock]]:
        """Yield the blocks that came back by now, with their numbers."""
        while ready := select.select(list(self._by_pipe), [], [], 0)[0]:
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


class _Worker:
    """One worker, as the target sees it.

    Attributes:
        pipe: to it.
        numbers: of the blocks that it has, in order, each with its slot.
    """

    def __init__(
        self,
        settings: Settings,
        wire: Wire,
        inherited: Sequence[Connection],
        *,
        can_fork: bool,
    ) -> None:
        self._is_copy = can_fork
        context: Any = multiprocessing.get_context("fork" if can_fork else "spawn")
        # A copy has what is mapped here; another process gets it by its descriptor.
        memory = mmap(-1, MEMORY_BYTES) if can_fork else context.RawArray("B", MEMORY_BYTES)
        self.pipe, theirs = context.Pipe()
        self.numbers: deque[tuple[int, int]] = deque()
        self._free = list(range(SLOTS))
        self._slots = Slots(memory)
        self._streams: dict[int, tuple[int, BlockStream]] = {}
        closes = [*inherited, self.pipe] if can_fork else []
        self._process: BaseProcess = context.Process(
            target=serve,
            args=(theirs, memory, closes, settings, wire),
            name="target-posthog-worker",
            daemon=True,
        )
        self._process.start()
        theirs.close()

    @property
    def has_room(self) -> bool:
        return bool(self._free)

    def give(self, number: int, stream: BlockStream, raw: bytes, latest_time: str) -> None:
        slot = self._free.pop()
        self._slots.put_lines(slot, raw)
        known, _ = self._streams.get(id(stream), (None, None))
        if known is None:
            known = len(self._streams)
            # It is kept, so that no other gets its id.
            self._streams[id(stream)] = known, stream
            task = Task(slot, len(raw), known, latest_time, stream)
        else:
            task = Task(slot, len(raw), known, latest_time)
        self.numbers.append((number, slot))
        # Through the memory as well: a worker that writes a long answer does not read, and a schema
        # may be larger than what the pipe holds.
        message = self._slots.put_beside(slot, pickle.dumps(task))
        with suppress(OSError):  # it is gone, which its pipe will tell
            self.pipe.send_bytes(bytes([slot]) + message)

    def take(self) -> tuple[int, ConvertedBlock]:
        """Return the block that came back, which `descriptors` told."""
        try:
            message = self.pipe.recv_bytes()
        except (EOFError, OSError):
            raise self._ended() from None
        number, slot = self.numbers.popleft()
        block = _block_of(decoded(self._slots.beside(slot, message)))
        if not self._is_copy:
            for item in block.items:
                # Its hashes of texts are others; see `kept`.
                item.fingerprint = 0
        self._free.append(slot)
        return number, block

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self._process.join()
        self.pipe.close()

    def _ended(self) -> RunAgain:
        self._process.join(1.0)
        code = self._process.exitcode
        cause = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return RunAgain(
            f"A worker process ended before its work was done ({cause}).",
            "Run again; if the memory is short, set `workers` to less.",
        )


def _block_of(answer: Answer) -> ConvertedBlock:
    """Return a converted block.

    Raises:
        TargetPosthogError: the worker cannot go on.
        WorkerBroke: it met a bug.
    """
    if isinstance(answer, Failed):
        raise getattr(errors, answer.kind)(answer.happened, answer.remedy)
    if isinstance(answer, Broke):
        logger.error("A worker met a %s:\n%s", answer.kind, answer.place)
        raise WorkerBroke(answer.kind)
    return answer


def workers_of(settings: Settings) -> int:
    """Return how many workers a pool has: by default one for each processor."""
    return settings.workers or processors()


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
