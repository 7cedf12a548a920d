"""What one delivery can take, however many workers convert for it.

python -m benchmarks.delivery EXPORT.zip URL EVENTS

The first files of an export are converted before the clock starts. Then the target's own reader,
intake and delivery run with workers that give back what was converted, decoded as a worker's
answer is: so conversion is free, as with any number of workers, and all else is done. A process of
its own, whose result is one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from benchmarks.sink import Sink
from target_posthog.formats.converter import Converter
from target_posthog.input.batch_files import BatchFile
from target_posthog.input.intake import Intake
from target_posthog.target import TargetPosthog
from target_posthog.workers.block_taker import BlockTaker
from target_posthog.workers.conversion import BlockConversion
from target_posthog.workers.messages import BlockStream, ConvertedBlock, Task, decoded, encoded
from target_posthog.workers.ordered_intake import OrderedIntake
from target_posthog.workers.pool import InlineWorkers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_posthog.settings import Settings

_SCHEMA: dict[str, Any] = {"properties": {"event_type": {}, "amplitude_id": {}, "uuid": {}}}
_STREAM = BlockStream("events", _SCHEMA, ("uuid",))
#: How many blocks are on their way to workers that have a processor each.
_ON_THE_WAY = 12


@dataclass(frozen=True)
class Ceiling:
    """What one delivery can take.

    Attributes:
        events: how many it took.
        seconds: how long that was.
        main_cpu_seconds: of its main thread.
        cpu_seconds: of all its threads.
    """

    events: int
    seconds: float
    main_cpu_seconds: float
    cpu_seconds: float

    def described(self) -> str:
        """Return the figures in words."""
        main, every = (1e6 * one / self.events for one in (self.main_cpu_seconds, self.cpu_seconds))
        return (
            f"{self.events / self.seconds:,.0f} events/s (CPU for an event: main thread "
            f"{main:.1f} µs, all threads {every:.1f} µs)"
        )


class _Replayed:
    """Workers that give back at once what was converted before."""

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._done: deque[tuple[int, bytes]] = deque()

    @property
    def has_room(self) -> bool:
        return len(self._done) < _ON_THE_WAY

    def give(self, number: int, stream: BlockStream, raw: bytes, latest_time: str) -> None:  # noqa: ARG002 - as workers have it
        self._done.append((number, self._answers[raw]))

    def done(self) -> Iterator[tuple[int, ConvertedBlock]]:
        while self._done:
            number, answer = self._done.popleft()
            block = decoded(answer)
            assert isinstance(block, ConvertedBlock)  # noqa: S101 - as it was converted
            yield number, block

    def descriptors(self) -> Sequence[int]:
        return ()

    def close(self) -> None:
        """Have nothing to close."""


def measured(export: Path, events: int, scratch: Path) -> Ceiling:
    """Return what a delivery of its own process takes of the first files of an export."""
    with Sink(scratch) as sink:
        command = [
            *(sys.executable, "-m", "benchmarks.delivery"),
            *(str(export), sink.url, str(events)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Ceiling(**json.loads(done.stdout.splitlines()[-1]))


def _run(export: Path, url: str, events: int, folder: Path) -> Ceiling:
    files = _first_files(export, events, folder)
    config = {
        "api_key": "phc_test",
        "host": url,
        "ledger_url": f"sqlite:///{folder}/ledger.db",
        "rejects_path": str(folder / "rejects"),
    }
    target = TargetPosthog(config=config)
    wire, delivery = target.runtime.wire, target.delivery
    converter = Converter(target.conversions, _STREAM.name, _SCHEMA, ("uuid",), _say_nothing)
    workers: Any = _Replayed(_converted(target.settings, wire, files))
    batches = OrderedIntake(
        lambda: workers,
        InlineWorkers(target.settings, wire),
        delivery,
        BlockTaker(delivery, take_line=lambda *_: None, say=_say_nothing),
        lambda _: Intake(converter, wire),
    )
    batches.add(_STREAM, files)
    began, main, every = time.perf_counter(), time.thread_time(), time.process_time()
    while not batches.is_idle:
        descriptors, seconds = batches.attend()
        for _ in delivery.passed():
            pass
        # Once all is taken nothing may be left that would wake this up.
        if not batches.is_idle:
            wait([*descriptors, *target.runtime.in_flight.descriptors()], seconds)
    delivery.flush()
    ceiling = Ceiling(
        delivery.counts.accepted,
        time.perf_counter() - began,
        time.thread_time() - main,
        time.process_time() - every,
    )
    batches.close()
    target.close()
    return ceiling


def _first_files(export: Path, events: int, folder: Path) -> list[BatchFile]:
    """Return files of an export with about so many events."""
    files: list[BatchFile] = []
    with ZipFile(export) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".gz"))
        for number, name in enumerate(names):
            path = folder / f"{number}.json.gz"
            path.write_bytes(archive.read(name))
            files.append(BatchFile(str(path), is_gzip=True))
            events -= sum(raw.count(b"\n") for raw, _ in files[-1].raw_blocks())
            if events <= 0:
                break
    return files


def _converted(settings: Settings, wire: Any, files: Sequence[BatchFile]) -> dict[bytes, bytes]:
    conversion = BlockConversion(settings, wire)
    answers: dict[bytes, bytes] = {}
    introduces: BlockStream | None = _STREAM
    for file in files:
        for raw, _ in file.raw_blocks():
            task = Task(0, len(raw), 0, "2100-01-01T00:00:00.000000Z", introduces)
            answers[raw] = encoded(conversion.converted(task, raw))
            introduces = None
    return answers


def _say_nothing(level: int, text: str) -> None:
    """Log nothing."""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench-delivery-") as scratch:
        _, given, where, number = sys.argv
        print(json.dumps(vars(_run(Path(given), where, int(number), Path(scratch)))))
