"""A worker process: batch files in, requests out; everything that must be kept goes to the target.

The worker has a `Delivery` as the target has, whose ledger, rejects and pace are the target's,
over pipes. It reads the next job while the last requests of the one before are under way. Before
it waits for anything but those, it waits for those: so nobody waits in a circle.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
import traceback
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from target_posthog.batch_files import record_of
from target_posthog.capture_api import Answer, CaptureApi
from target_posthog.converters import Conversions, Converter
from target_posthog.delivery import Delivery, DeliverySettings
from target_posthog.errors import TargetPosthogError
from target_posthog.in_flight import SideBySide
from target_posthog.memory import Recent
from target_posthog.progress import Counts
from target_posthog.protocols import wire_of
from target_posthog.settings import api_key_of
from target_posthog.sightings import News, Sighting
from target_posthog.worker_messages import (
    AllDelivered,
    AllRead,
    Ask,
    Broke,
    Channel,
    Counted,
    Failed,
    NotTold,
    Reject,
    Said,
    StreamOfFiles,
    Told,
    Turn,
    Work,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection

    from target_posthog.batch_files import BatchFile
    from target_posthog.conversion import GroupState, Json, Link, Rejected
    from target_posthog.jobs import Job

#: How long an answer may take before the worker sees to its older requests meanwhile. Seconds.
_SOON = 0.02
#: How often a worker says what it has counted. Seconds.
_REPORT_SECONDS = 0.5
#: How many people are known to be known, at some 200 bytes each.
_REMEMBERED = 50_000


def serve(
    connections: Sequence[Connection],
    inherited: Sequence[Connection],
    held: Sequence[int],
    config: Mapping[str, Any],
    sender: str,
) -> None:
    """Do the target's jobs until it ends; the whole life of a worker.

    Args:
        connections: to the target: its main pipe, and two for the requests of two jobs.
        inherited: what a copy of the target's process has open and must not keep open: the target
            and the other workers would not see each other end.
        held: locks that it has, likewise.
        config: the target's settings.
        sender: name and version of this program.
    """
    for one in inherited:
        one.close()
    for lock in held:
        os.close(lock)
    main, *turns = map(Channel, connections)
    # Ctrl-C reaches all processes of a terminal; the target decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Events are trees and die by themselves; to look for rings among them costs time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    _log_to(main)
    try:
        Worker(main, turns, config, sender).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the target is gone
    except TargetPosthogError as error:
        main.send(Failed(type(error), error.happened, error.remedy))
    except Exception as error:  # noqa: BLE001 - the target says it
        place = "".join(traceback.format_tb(error.__traceback__))
        main.send(Broke(type(error).__name__, place))
    # Threads that wait for PostHog must not keep the process.
    os._exit(0)


class Worker:
    """Reads jobs, one after the other, and delivers two at a time.

    Args:
        main: to the target.
        turns: to the target, for the requests of two jobs.
        config: the target's settings.
        sender: name and version of this program.
    """

    def __init__(
        self, main: Channel, turns: Sequence[Channel], config: Mapping[str, Any], sender: str
    ) -> None:
        self._main = main
        self._conversions = Conversions(config)
        self._converters: dict[tuple[str, tuple[str, ...]], tuple[Json, Converter]] = {}
        links = _AskedLinks(main, before_wait=self._finish_the_last)
        self._lines = [
            _Line(main, channel, config, sender, links, before_wait=self._finish_the_last)
            for channel in turns
        ]
        self._last: _Line | None = None

    def run(self) -> None:
        """Do jobs until the target closes the pipe.

        Raises:
            EOFError: it did.
            TargetPosthogError: a job cannot be done.
        """
        while True:
            if not self._main.has_news(0):
                self._finish_the_last()
            work: Work = self._main.receive()
            line = self._lines[0] if self._last is not self._lines[0] else self._lines[1]
            line.begin(work.job.number)
            self._read(line, work.job)
            line.end()
            self._main.send(AllRead())
            self._finish_the_last()
            self._last = line

    def _finish_the_last(self) -> None:
        """Wait until the job before is delivered."""
        last, self._last = self._last, None
        if last is not None:
            last.finish()

    def _read(self, line: _Line, job: Job[BatchFile, StreamOfFiles]) -> None:
        converter = self._converter_of(job.stream)
        for file in job.files:
            for first, rows in file.blocks():
                line.take(converter, file, first, rows)
                if self._last is not None and self._last.has_finished():
                    self._last = None

    def _converter_of(self, stream: StreamOfFiles) -> Converter:
        key = stream.name, stream.key_properties
        known = self._converters.get(key)
        if known is None or known[0] != stream.schema:
            converter = Converter(
                self._conversions, stream.name, stream.schema, stream.key_properties, self._say
            )
            known = self._converters[key] = stream.schema, converter
        return known[1]

    def _say(self, level: int, text: str) -> None:
        self._main.send(Said("target-posthog", level, text))


class _Line:
    """The delivery of one job."""

    def __init__(
        self,
        main: Channel,
        turns: Channel,
        config: Mapping[str, Any],
        sender: str,
        links: _AskedLinks,
        before_wait: Callable[[], None],
    ) -> None:
        self._main = main
        self._reported = 0.0
        self._turns = _AskedTurns(turns)
        self._is_batch = config["protocol"] == "batch"
        api_key = api_key_of(config)
        wire = wire_of(config["protocol"], api_key, sender)
        sends = CaptureApi.of(config, wire, api_key=api_key, sender=sender, turns=self._turns)
        self._delivery = Delivery(
            # The target sees how many rejects all workers have together.
            DeliverySettings.of(config, max_reject_ratio=1.0),
            wire=wire,
            in_flight=_AfterTheLast(sends, before_wait),
            links=links,
            rejects=_SentRejects(main),
            utc_now=lambda: datetime.now(timezone.utc),
        )

    def begin(self, job: int) -> None:
        """Take up a job."""
        self._turns.job = job

    def take(self, converter: Converter, file: BatchFile, first: int, rows: list[bytes]) -> None:
        """Take a block of lines.

        Args:
            converter: of their stream.
            file: where they stand.
            first: the number of the first of them.
            rows: the lines, without their ends.
        """
        delivery = self._delivery
        # It writes events as `/batch/` takes them.
        quick = converter.usual_rows if self._is_batch else None
        for number, row in enumerate(rows, first):
            usual = None if quick is None else quick.event_of(row)
            if usual is not None and delivery.take_usual(usual):
                continue
            record = record_of(row)
            if isinstance(record, dict):
                known = row if converter.is_amplitude(record) else converter.known(record)
                delivery.take(known, converter.convert(record))
            elif record is not None:
                delivery.take_unreadable(*file.unreadable(number, row, record))
        if time.monotonic() - self._reported > _REPORT_SECONDS:
            self._report()

    def end(self) -> None:
        """Begin the last requests."""
        self._delivery.begin()
        self._report()

    def has_finished(self) -> bool:
        """Tell whether everything is delivered; if so, say so."""
        if not self._delivery.settle():
            return False
        self.finish()
        return True

    def finish(self) -> None:
        """Wait until everything is delivered, and say so."""
        self._delivery.flush()
        self._report()
        self._main.send(AllDelivered(self._turns.job))

    def _report(self) -> None:
        counts, self._delivery.counts = self._delivery.counts, Counts()
        self._main.send(Counted(counts))
        self._reported = time.monotonic()


class _AskedLinks:
    """`links.Links` in the target; what was asked before is not asked again.

    Args:
        main: to the target.
        before_wait: called before the answer is waited for.
    """

    def __init__(self, main: Channel, before_wait: Callable[[], None]) -> None:
        self._main = main
        self._before_wait = before_wait
        self._known: Recent[tuple[str | None, str | None], bool] = Recent(_REMEMBERED)
        self._is_asked = False

    def ask(self, sightings: Sequence[Sighting]) -> None:
        """Ask the target for what this worker has not asked yet."""
        new = [seen for seen in sightings if seen.groups or self._known.get(_who(seen)) is None]
        self._is_asked = bool(new)
        if new:
            self._known.put({_who(seen): True for seen in new})
            self._main.send(Ask(new))

    def answer(self, *, wait: bool) -> News | None:
        """Return what the target said to it."""
        if not self._is_asked:
            return News()
        if not self._main.has_news(_SOON if wait else 0):
            if not wait:
                return None
            self._before_wait()
        self._is_asked = False
        answer: News = self._main.receive()
        return answer

    def accept(self, links: Sequence[Link], groups: Sequence[GroupState]) -> None:
        """Have it remembered that PostHog took links and group states."""
        self._main.send(Told(links, groups))

    def refuse(self, links: Sequence[Link]) -> None:
        """Have it remembered that PostHog refused links."""
        self._main.send(NotTold(links))


class _SentRejects:
    """`rejects.Rejects` in the target."""

    path = Path()

    def __init__(self, main: Channel) -> None:
        self._main = main

    def write(self, rejected: Rejected, stage: str, record: Json | str) -> None:
        """Have a record written down."""
        self._main.send(Reject(rejected, stage, record))

    def save(self) -> None:
        """Do nothing: the target saves before it writes a state."""


class _AskedTurns:
    """`pace.Pace` in the target, which also knows which job may send."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.job = 0

    def wait(self, events: int, *, stopped: Callable[[], bool] = lambda: False) -> None:
        """Return when so many events may go."""
        if not stopped():
            self._channel.ask(Turn(self.job, events))


class _AfterTheLast(SideBySide):
    """Requests side by side; before one is waited for, those of the job before are finished."""

    def __init__(self, sender: CaptureApi, before_wait: Callable[[], None]) -> None:
        super().__init__(sender)
        self._before_wait = before_wait

    @override
    def next_done(self, timeout: float | None = None) -> tuple[int, Answer | Exception] | None:
        if timeout != 0:
            self._before_wait()
        return super().next_done(timeout)


class _SaidByPipe(logging.Handler):
    """Sends what is logged to the target, which writes the one log."""

    def __init__(self, main: Channel) -> None:
        super().__init__()
        self._main = main

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._main.send(Said(record.name, record.levelno, record.getMessage()))


def _log_to(main: Channel) -> None:
    root = logging.getLogger()
    root.handlers = [_SaidByPipe(main)]
    for name in list(root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True


def _who(seen: Sighting) -> tuple[str | None, str | None]:
    return seen.user, None if seen.link is None else seen.link.device_id
