"""One worker process, as the target sees it: blocks go in, and come back converted, in order."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
from collections import deque
from contextlib import suppress
from mmap import mmap
from typing import TYPE_CHECKING, Any

from target_posthog import errors
from target_posthog.errors import RunAgain
from target_posthog.workers.messages import Broke, ConvertedBlock, Failed, Task, decoded
from target_posthog.workers.shared_slots import MEMORY_BYTES, SLOTS, Slots
from target_posthog.workers.worker import serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from target_posthog.capture.protocols import Wire
    from target_posthog.settings import Settings
    from target_posthog.workers.messages import Answer, BlockStream

logger = logging.getLogger("target-posthog")


class WorkerBroke(Exception):
    """A worker met a bug; the log says where."""


class Worker:
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
        """Whether it can be given a block."""
        return bool(self._free)

    def give(self, number: int, stream: BlockStream, raw: bytes, latest_time: str) -> None:
        """Give a block of lines to convert; see `pool.Workers`."""
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
        """Return the block that came back, with its number, once the pipe can be read from.

        Raises:
            TargetPosthogError: the worker cannot go on.
            WorkerBroke: it met a bug.
        """
        try:
            message = self.pipe.recv_bytes()
        except (EOFError, OSError):
            raise self._ended() from None
        number, slot = self.numbers.popleft()
        block = _block_of(decoded(self._slots.beside(slot, message)))
        if not self._is_copy:
            for item in block.items:
                # Its hashes of texts are others; see `kept_events`.
                item.fingerprint = 0
        self._free.append(slot)
        return number, block

    def kill(self) -> None:
        """End the process; what it has is lost."""
        self._process.kill()

    def join(self) -> None:
        """Wait for its end."""
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
