"""The target's side of its workers: who does what, who may go on, and what is safe.

The ledger, the rejects, the pace and the counts are here, once; workers ask for them. Hours keep
their order: a job may ask whose a device is once all records before it were read, and may send
once everything before it is delivered.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

from target_posthog.batch_files import hold
from target_posthog.errors import RunAgain
from target_posthog.jobs import Jobs
from target_posthog.signals import HeldBack
from target_posthog.worker import serve
from target_posthog.worker_messages import (
    AllDelivered,
    AllRead,
    Ask,
    Broke,
    Counted,
    Failed,
    Met,
    NotTold,
    Reject,
    Said,
    StreamOfFiles,
    Told,
    Turn,
    Work,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from target_posthog.batch_files import BatchFile
    from target_posthog.conversion import Json
    from target_posthog.delivery import Delivery
    from target_posthog.errors import TargetPosthogError
    from target_posthog.jobs import Job
    from target_posthog.links import Links
    from target_posthog.pace import SharedTurns
    from target_posthog.rejects import Rejects

logger = logging.getLogger("target-posthog")

#: The same words from several workers, or again and again, are said once in this time.
_SAID_AGAIN_SECONDS = 10.0
#: How long the target may wait for its input while workers are at work. Seconds.
_LONGEST_WAIT = 1.0


class WorkerBroke(Exception):
    """A worker met a bug; the log says where."""


@dataclass(eq=False)
class _Worker:
    """One worker, as the target sees it.

    Attributes:
        process: itself.
        main: its main pipe.
        turns: the pipes by which its requests ask for their turn.
        reads: the job that it reads.
        open: its jobs that are not delivered, by number.
        asks: what it waits to be told.
        waiting: which of its requests wait for their turn, by pipe.
    """

    process: BaseProcess
    main: Connection
    turns: Sequence[Connection]
    reads: Job[BatchFile, StreamOfFiles] | None = None
    open: dict[int, Job[BatchFile, StreamOfFiles]] = field(default_factory=dict)
    asks: Ask | None = None
    waiting: dict[Connection, Turn] = field(default_factory=dict)

    @property
    def connections(self) -> Sequence[Connection]:
        return (self.main, *self.turns)


class Pool:
    """Batch files in, delivered by workers; states out when everything before them is safe.

    Args:
        config: the target's settings.
        sender: name and version of this program.
        delivery: the target's own; its counts are those of the run.
        links: whom PostHog must be told of.
        rejects: the rejects file.
        pace: the agreed speed.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        sender: str,
        *,
        delivery: Delivery,
        links: Links,
        rejects: Rejects,
        pace: SharedTurns,
    ) -> None:
        self._config = dict(config)
        self._sender = sender
        self._delivery = delivery
        self._links = links
        self._rejects = rejects
        self._pace = pace
        self._jobs: Jobs[BatchFile, StreamOfFiles, Json] = Jobs()
        self._workers: list[_Worker] = []
        self._held: dict[Path, int] = {}
        self._said: dict[str, float] = {}
        #: The entries of settings that rows met something for; see `entries_met`.
        self.met: set[tuple[str, str]] = set()
        #: The first unit that cannot be read, and why.
        self._unreadable: tuple[int, TargetPosthogError] | None = None
        self._next_turn = 0.0

    def add(self, stream: StreamOfFiles, files: Sequence[BatchFile]) -> None:
        """Take the files of a BATCH message.

        Raises:
            TargetPosthogError: one of them is not there.
        """
        for folder in {folder for file in files if (folder := file.run_folder)} - self._held.keys():
            lock = hold(folder)
            if lock is not None:
                self._held[folder] = lock
        sizes = [(file, file.size()) for file in files]
        for together in [[one] for one in sizes] if stream.in_order else [sizes]:
            self._jobs.add(stream, together)

    def note(self, state: Json) -> None:
        """Take a state that came behind the files so far."""
        self._jobs.note(state)

    def safe_state(self) -> Json | None:
        """Take the last state before which everything is delivered and on the disk, or None."""
        return self._jobs.safe_state()

    @property
    def is_idle(self) -> bool:
        """Whether everything is delivered."""
        return self._jobs.all_done

    def attend(self) -> tuple[list[int], float | None]:
        """Do what can be done now, without waiting.

        Returns:
            The descriptors that have news for this next, and the seconds after which to call it
            again in any case; None when there is nothing to do.

        Raises:
            TargetPosthogError: a worker cannot go on.
        """
        self._take_what_came(0)
        self._give_work()
        while self._answer() or self._take_what_came(0):
            self._give_work()
        if self._unreadable is not None and self._jobs.all_done_before(self._unreadable[0]):
            raise self._unreadable[1]
        if self.is_idle:
            return [], None
        wait = min(max(self._next_turn - time.monotonic(), 0.0) or _LONGEST_WAIT, _LONGEST_WAIT)
        return [one.fileno() for one in self._connections()], wait

    def close(self) -> None:
        """End the workers; what they have under way is not waited for."""
        self._end(self._workers)
        self._workers.clear()
        for lock in self._held.values():
            os.close(lock)
        self._held.clear()

    @staticmethod
    def _end(workers: Sequence[_Worker]) -> None:
        for worker in workers:
            worker.process.kill()
            for one in worker.connections:
                one.close()
        for worker in workers:
            worker.process.join()

    def _give_work(self) -> None:
        """Give the next jobs to workers that read none; start workers as long as there are jobs."""
        most = self._config.get("workers") or processors()
        # What waits comes behind a file that cannot be read.
        while self._jobs.waiting and self._unreadable is None:
            idle = next((one for one in self._workers if one.reads is None), None)
            if idle is None:
                if len(self._workers) >= most:
                    return
                idle = self._start()
            job = self._jobs.next()
            if job is None:
                return
            idle.reads = idle.open[job.number] = job
            self._send(idle, idle.main, Work(job))

    def _start(self) -> _Worker:
        # A copy of this process starts in no time. A process with threads must not be copied.
        can_fork = sys.platform == "linux" and threading.active_count() == 1
        context: Any = multiprocessing.get_context("fork" if can_fork else "spawn")
        ours, theirs = zip(*(context.Pipe() for _ in range(3)), strict=True)
        inherited = [*ours, *self._connections()] if can_fork else []
        held = list(self._held.values()) if can_fork else []
        process = context.Process(
            target=serve,
            args=(theirs, inherited, held, self._config, self._sender),
            name="target-posthog-worker",
            daemon=True,
        )
        # Else a signal could reach the copy before it is a worker.
        with HeldBack():
            process.start()
        for one in theirs:
            one.close()
        worker = _Worker(process, ours[0], ours[1:])
        self._workers.append(worker)
        return worker

    def _connections(self) -> Iterator[Connection]:
        for worker in self._workers:
            yield from worker.connections

    def _take_what_came(self, seconds: float) -> bool:
        """Take what workers sent; tell whether there was anything."""
        of = {one: worker for worker in self._workers for one in worker.connections}
        ready = connection.wait(list(of), seconds) if of else []
        for one in ready:
            assert isinstance(one, connection.Connection)  # noqa: S101 - as given
            worker = of[one]
            if one.closed:  # of a worker that was let go just now
                continue
            try:
                message = one.recv()
            except (EOFError, OSError):
                self._note_end(worker)
                continue
            if isinstance(message, Turn):
                worker.waiting[one] = message
            else:
                self._take(worker, message)
        return bool(ready)

    def _take(self, worker: _Worker, message: Any) -> None:
        if isinstance(message, Counted):
            self._delivery.counts.add(message.counts)
            self._delivery.count_accepted(0, message.accepted)
            self._delivery.stop_at_too_many_rejects()
        elif isinstance(message, Ask):
            worker.asks = message
        elif isinstance(message, Told):
            self._links.accept(message.links, message.groups)
        elif isinstance(message, NotTold):
            self._links.refuse(message.links)
        elif isinstance(message, Reject):
            self._rejects.write(message.rejected, message.stage, message.record)
        elif isinstance(message, AllRead):
            assert worker.reads is not None  # noqa: S101 - it has one until it says this
            self._jobs.read(worker.reads)
            worker.reads = None
        elif isinstance(message, AllDelivered):
            self._done(worker.open.pop(message.number))
        else:
            self._take_words(worker, message)

    def _leave(self, worker: _Worker, failed: Failed, bad_file: int) -> None:
        """Let a worker go that cannot read a file; what came before the file goes on."""
        job = worker.reads
        assert job is not None  # noqa: S101 - it read one
        unit = job.units[bad_file]
        if self._unreadable is None or unit < self._unreadable[0]:
            self._unreadable = unit, failed.kind(failed.happened, failed.remedy)
        self._rejects.save()
        self._jobs.done_before(job, unit)
        for file in (file for file, of in zip(job.files, job.units, strict=True) if of < unit):
            file.remove()
        self._workers.remove(worker)
        self._end([worker])

    def _take_words(self, worker: _Worker, message: Met | Said | Failed | Broke) -> None:
        if isinstance(message, Met):
            self.met.update(message.entries)
            return
        if isinstance(message, Failed) and message.bad_file is not None:
            self._leave(worker, message, message.bad_file)
            return
        if isinstance(message, Failed):
            raise message.kind(message.happened, message.remedy)
        if isinstance(message, Broke):
            logger.error("A worker met a %s:\n%s", message.kind, message.place)
            raise WorkerBroke(message.kind)
        now = time.monotonic()
        if now >= self._said.get(message.text, 0.0):
            self._said[message.text] = now + _SAID_AGAIN_SECONDS
            logging.getLogger(message.logger).log(message.level, "%s", message.text)

    def _done(self, job: Job[BatchFile, StreamOfFiles]) -> None:
        """Remove the files of a job: all that was in them is accepted, or in the rejects."""
        self._rejects.save()
        self._jobs.done(job)
        for file in job.files:
            file.remove()

    def _answer(self) -> bool:
        """Let workers go on that may by now; tell whether there was any."""
        answered = False
        self._next_turn = 0.0
        for worker in list(self._workers):
            if worker.asks is not None and worker.reads and self._jobs.may_ask(worker.reads):
                news = self._links.news(worker.asks.sightings)
                worker.asks = None
                self._send(worker, worker.main, news)
                answered = True
            for pipe, turn in list(worker.waiting.items()):
                if self._may_go(worker.open[turn.job], turn.events):
                    del worker.waiting[pipe]
                    self._send(worker, pipe, True)  # noqa: FBT003 - any answer is a yes
                    answered = True
        return answered

    def _may_go(self, job: Job[BatchFile, StreamOfFiles], events: int) -> bool:
        if not self._jobs.may_send(job):
            return False
        seconds = self._pace.ask(events)
        if seconds:
            self._next_turn = time.monotonic() + seconds
        return not seconds

    def _send(self, worker: _Worker, pipe: Connection, message: object) -> None:
        try:
            pipe.send(message)
        except OSError:
            self._note_end(worker)

    def _note_end(self, worker: _Worker) -> None:
        """Take what a worker said before its end; that it leaves is no surprise.

        Raises:
            TargetPosthogError: what it said is the cause of its end, or it said nothing of it.
        """
        worker.process.join(1.0)
        with suppress(EOFError, OSError):
            while worker in self._workers and worker.main.poll():
                self._take(worker, worker.main.recv())
        if worker not in self._workers:
            return
        code = worker.process.exitcode
        cause = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        raise RunAgain(
            f"A worker process ended before its work was done ({cause}).",
            "Run again; if the memory is short, set `workers` to less.",
        )


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
