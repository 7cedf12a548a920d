"""A worker process: batch files in, requests out; everything that must be kept goes to the target.

The worker has a `Delivery` as the target has, whose ledger, rejects and pace are the target's,
over pipes. It reads the next job while the last requests of the one before are under way. Before
it waits for anything but those, it waits for those: so nobody waits in a circle.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import override

from target_posthog.asked import AskedLinks, AskedTurns, SentRejects, log_to
from target_posthog.capture_api import CaptureApi
from target_posthog.codec import loads
from target_posthog.conversion import StreamLine
from target_posthog.converters import Conversions, Converter
from target_posthog.delivery import Delivery
from target_posthog.delivery_needs import MAX_LANES, DeliverySettings
from target_posthog.errors import BrokenInput, RunAgain, TargetPosthogError, exhausted_system
from target_posthog.in_flight import SideBySide
from target_posthog.kept import NotedKept
from target_posthog.lanes import Patience
from target_posthog.lenient_json import RECURSION_LIMIT, usual_object
from target_posthog.object_cutter import LONG_LINE_BYTES, Found, NotUtf8, ObjectCutter
from target_posthog.progress import Counts
from target_posthog.protocols import wire_of
from target_posthog.settings import api_key_of
from target_posthog.signals import begin_worker
from target_posthog.worker_messages import (
    AllDelivered,
    AllRead,
    Broke,
    Channel,
    Counted,
    Failed,
    Met,
    Said,
    StreamOfFiles,
    Work,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection

    from target_posthog.answers import Answer
    from target_posthog.batch_files import BatchFile
    from target_posthog.batches import Item
    from target_posthog.conversion import Json
    from target_posthog.jobs import Job

#: How often a worker says what it has counted. Seconds.
_REPORT_SECONDS = 0.5


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
    begin_worker()
    for one in inherited:
        one.close()
    for lock in held:
        os.close(lock)
    main, *turns = map(Channel, connections)
    # Events are trees and die by themselves; to look for rings among them costs time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    sys.setrecursionlimit(RECURSION_LIMIT)
    log_to(main)
    bad_file = _BadFile()
    try:
        Worker(main, turns, config, sender, bad_file).run()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the target is gone
    except TargetPosthogError as error:
        main.send(Failed(type(error), error.happened, error.remedy, bad_file.number))
    except Exception as error:  # noqa: BLE001 - the target says it
        exhausted = exhausted_system(error)
        if exhausted is not None:
            main.send(Failed(RunAgain, exhausted.happened, exhausted.remedy))
            os._exit(0)
        place = "".join(traceback.format_tb(error.__traceback__))
        main.send(Broke(type(error).__name__, place))
    # Threads that wait for PostHog must not keep the process.
    os._exit(0)


@dataclass
class _BadFile:
    """Which file of a job cannot be read."""

    number: int | None = None


@dataclass(frozen=True)
class _Reading:
    """A file that is read.

    Attributes:
        file: itself.
        converter: of its stream.
        cutter: takes its unusual lines apart.
    """

    file: BatchFile
    converter: Converter
    cutter: ObjectCutter


class Worker:
    """Reads jobs, one after the other, and delivers two at a time.

    Args:
        main: to the target.
        turns: to the target, for the requests of two jobs.
        config: the target's settings.
        sender: name and version of this program.
        bad_file: where to note a file that cannot be read.
    """

    def __init__(
        self,
        main: Channel,
        turns: Sequence[Channel],
        config: Mapping[str, Any],
        sender: str,
        bad_file: _BadFile,
    ) -> None:
        self._main = main
        self._conversions = Conversions(config)
        self._met: frozenset[tuple[str, str]] = frozenset()
        self._converters: dict[tuple[str, tuple[str, ...]], tuple[Json, Converter]] = {}
        links = AskedLinks(main, before_wait=self._finish_the_last)
        patience = Patience(MAX_LANES)
        self._lines = [
            _Line(main, channel, config, sender, links, patience, self._finish_the_last)
            for channel in turns
        ]
        self._last: _Line | None = None
        self._bad_file = bad_file

    def run(self) -> None:
        """Do jobs until the target ends.

        Raises:
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
            self._tell_met()
            self._main.send(AllRead())
            self._finish_the_last()
            self._last = line

    def _tell_met(self) -> None:
        met = self._conversions.entries.met()
        if met != self._met:
            self._met = met
            self._main.send(Met(met))

    def _finish_the_last(self) -> None:
        """Wait until the job before is delivered."""
        last, self._last = self._last, None
        if last is not None:
            last.finish()

    def _read(self, line: _Line, job: Job[BatchFile, StreamOfFiles]) -> None:
        converter = self._converter_of(job.stream)
        files = iter(job.files)
        try:
            for file in files:
                self._read_file(line, _Reading(file, converter, ObjectCutter()))
        except BrokenInput:
            # What came before the file can be delivered, and then the state may say so.
            self._finish_the_last()
            line.flush()
            self._bad_file.number = len(job.files) - len(list(files)) - 1
            raise

    def _read_file(self, line: _Line, reading: _Reading) -> None:
        try:
            for first, rows in reading.file.blocks():
                line.take(reading, first, rows)
                if self._last is not None and self._last.has_finished():
                    self._last = None
            line.take_found(reading, reading.cutter.end())
        except NotUtf8 as error:
            raise reading.file.not_utf8(error) from error

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
        links: AskedLinks,
        patience: Patience,
        before_wait: Callable[[], None],
    ) -> None:
        self._main = main
        self._reported = 0.0
        self._turns = AskedTurns(turns)
        self._is_batch = config["protocol"] == "batch"
        api_key = api_key_of(config)
        wire = wire_of(config["protocol"], api_key, sender)
        sends = CaptureApi.of(config, wire, api_key=api_key, sender=sender, turns=self._turns)
        self._kept = NotedKept()
        self._delivery = Delivery(
            # The target sees how many rejects all workers have together.
            DeliverySettings.of(config, max_reject_ratio=1.0),
            wire=wire,
            in_flight=_AfterTheLast(sends, before_wait),
            links=links,
            rejects=SentRejects(main),
            utc_now=lambda: datetime.now(timezone.utc),
            patience=patience,
            kept=self._kept,
        )

    def begin(self, job: int) -> None:
        """Take up a job."""
        self._turns.job = job

    def take(self, reading: _Reading, first: int, rows: list[bytes]) -> None:
        """Take a block of lines.

        Args:
            reading: the file where they stand.
            first: the number of the first of them.
            rows: the lines; the last may be a part of a long one.
        """
        # It writes events as `/batch/` takes them.
        quick = reading.converter.usual_rows if self._is_batch else None
        items = [None] * len(rows) if quick is None else quick.events_of(rows)
        if rows and len(rows[-1]) > LONG_LINE_BYTES:
            items[-1] = None  # what follows may belong to it
        if reading.cutter.is_open or not all(items):
            self._take_mixed(reading, first, rows, items)
        else:
            self._take_usual(reading.converter, cast("list[Item]", items))
        if time.monotonic() - self._reported > _REPORT_SECONDS:
            self._report()

    def _take_mixed(
        self, reading: _Reading, first: int, rows: list[bytes], items: Sequence[Item | None]
    ) -> None:
        """Take lines one by one; usual ones together, as long as they follow each other."""
        usual: list[Item] = []
        number = first
        for row, item in zip(rows, items, strict=True):
            if item is not None and not reading.cutter.is_open:
                usual.append(item)
                number += 1
                continue
            self._take_usual(reading.converter, usual)
            usual = []
            number += self._take_line(reading, number, row)
        self._take_usual(reading.converter, usual)

    def _take_usual(self, converter: Converter, items: Sequence[Item]) -> None:
        """Take the events of usual rows; when one cannot be taken as it is, each by itself."""
        if not items or self._delivery.take_usual(items):
            return
        for item in items:
            if not self._delivery.take_usual([item]):
                line = item.record.line if isinstance(item.record, StreamLine) else item.record
                assert isinstance(line, bytes)  # noqa: S101 - the line itself
                self._take_record(converter, line, loads(line))

    def _take_line(self, reading: _Reading, number: int, row: bytes) -> int:
        """Take a line that is not usual; return how many lines end in it."""
        is_whole = not reading.cutter.is_open and len(row) <= LONG_LINE_BYTES
        record = usual_object(row) if is_whole else None
        if record is None:
            self.take_found(reading, reading.cutter.feed(number, row))
            return row.count(b"\n")
        self._take_record(reading.converter, row, record)
        return 1

    def take_found(self, reading: _Reading, found: Sequence[Found]) -> None:
        """Take what was cut out of unusual lines.

        Raises:
            BrokenInput: one is no record, and its tap wants to stop there.
        """
        for one in found:
            if one.record is None:
                self._delivery.take_unreadable(*reading.file.rejected(one))
            else:
                self._take_record(reading.converter, one.text, one.record)

    def _take_record(self, converter: Converter, row: bytes, record: Json) -> None:
        known = row if converter.is_amplitude(record) else converter.known(record)
        self._delivery.take(known, converter.convert(record))

    def end(self) -> None:
        """Begin the last requests."""
        self._delivery.begin()
        self._report()

    def flush(self) -> None:
        """Wait until everything that was taken is delivered, and say what it was."""
        self._delivery.flush()
        self._report()

    def has_finished(self) -> bool:
        """Tell whether everything is delivered; if so, say so."""
        if not self._delivery.settle():
            return False
        self.finish()
        return True

    def finish(self) -> None:
        """Wait until everything is delivered, and say so."""
        self.flush()
        self._main.send(AllDelivered(self._turns.job))

    def _report(self) -> None:
        counts, self._delivery.counts = self._delivery.counts, Counts()
        self._main.send(Counted(counts, self._kept.take()))
        self._reported = time.monotonic()


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
