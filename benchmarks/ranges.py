"""What a range of a migration costs, and an hour in the book, in events that cost as much.

make bench-ranges                     three rounds of 100,000 events
PYTHONPATH=orchestration .venv/bin/python -m benchmarks.ranges --events 20000 --rounds 1

The same events are moved three times in each round: in one range of few hours, in one range of many
hours, and in many ranges of few hours. The differences are those of hours and of ranges; the rest
is the events'. All is on a PostgreSQL of its own, as ranges need it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from zipfile import ZipFile

import sqlalchemy as sa

from benchmarks.environment import described
from benchmarks.export import export
from benchmarks.sink import Sink
from benchmarks.usage import Command, run
from migration.ranges import HOUR, HourRange, hour_of, numbered_range, text_of
from tests.support.meltano_project import MeltanoProject, own_definition
from tests.support.processes import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FIRST = hour_of("2024-01-01")
#: Hours of a project with 36 million events a month, and with 200,000.
_FULL, _THIN = 50_000, 300
_RANGES = 6
_RUNNER = (sys.executable, "-m", "migration.partition")
_BOOK = ("book_hours", "book_events", "book_samples")


@dataclass(frozen=True)
class Moved:
    """What it took to move the events in one way.

    Attributes:
        cpu_seconds: of all processes of all ranges.
        hours: how many hours stand in the book.
        book: bytes of the book in PostgreSQL.
        devices: how many devices stand in the ledger.
        ledger: bytes of them.
    """

    cpu_seconds: float
    hours: int
    book: int
    devices: int
    ledger: int


class Mover:
    """Moves an export in ranges.

    Args:
        folder: for all that it needs.
        server: a PostgreSQL.
        sink: what stands for PostHog.
    """

    def __init__(self, folder: Path, server: sa.URL, sink: Sink) -> None:
        self._folder, self._server, self._sink = folder, server, sink
        self._times = 0
        (folder / "project").mkdir()
        MeltanoProject(folder / "project", own_definition())

    def move(self, archive: Path, ranges: Sequence[HourRange]) -> Moved:
        """Move an export into an empty ledger, range by range."""
        self._times += 1
        database = self._new_database(f"moved_{self._times}")
        seconds = 0.0
        for hours in ranges:
            command = Command(
                [
                    sys.executable,
                    "-m",
                    "migration.partition",
                    *map(text_of, (hours.first, hours.end)),
                ],
                self._folder,
                "meltano",
                self._variables(archive, database),
            )
            seconds += run(command, self._folder / "log").cpu_seconds
        return _measured(seconds, database)

    def _variables(self, archive: Path, database: str) -> Mapping[str, str]:
        return {
            "PATH": os.pathsep.join([str(SCRIPTS), os.environ["PATH"]]),
            "PYTHONPATH": str(Path(__file__).parents[1] / "orchestration"),
            "MIGRATION_PROJECT": str(self._folder / "project"),
            "MIGRATION_MELTANO": str(SCRIPTS / "meltano"),
            "MIGRATION_WORK": str(self._folder / f"work-{self._times}"),
            "MELTANO_DATABASE_URI": database,
            "TAP_AMPLITUDE_ARCHIVE_PATH": str(archive),
            "TARGET_POSTHOG_LEDGER_URL": database,
            "TARGET_POSTHOG_HOST": self._sink.url,
            "TARGET_POSTHOG_API_KEY": "phc_benchmark",
        }

    def _new_database(self, name: str) -> str:
        engine = sa.create_engine(self._server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self._server.set(database=name).render_as_string(hide_password=False)


def _measured(seconds: float, database: str) -> Moved:
    engine = sa.create_engine(database)
    with engine.connect() as connection:

        def number(query: str) -> int:
            return int(connection.execute(sa.text(query)).scalar_one())

        book = sum(number(f"SELECT pg_total_relation_size('{table}')") for table in _BOOK)
        moved = Moved(
            seconds,
            number("SELECT count(*) FROM book_hours"),
            book,
            number("SELECT count(*) FROM device_users"),
            number("SELECT pg_total_relation_size('device_users')"),
        )
    engine.dispose()
    return moved


def main() -> None:
    """Move the events in all ways, and print what a range and an hour cost."""
    options = argparse.ArgumentParser(description="What a range costs, and an hour in the book.")
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ranges-")))
        data = stack.enter_context(tempfile.TemporaryDirectory(prefix="postgresql-"))
        # Its locks stand there; without a session of the user there is no such folder.
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        # It is not there for each version of Python, and has no types.
        server = import_module("pgserver").get_server(Path(data) / "data")
        stack.callback(server.cleanup)
        url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        sink = stack.enter_context(Sink(folder))
        full, thin = (export(given.events, folder, each) for each in (_FULL, _THIN))
        mover = Mover(folder, url, sink)
        rounds = [_round(mover, full, thin) for _ in range(given.rounds)]
    _show(given.events, rounds, described(None, load))


def _round(mover: Mover, full: Path, thin: Path) -> tuple[Moved, Moved, Moved, int]:
    """Move the events in each of the three ways; return also how many ranges the last one had."""
    whole = mover.move(full, [_hours_of(full)])
    hourly = mover.move(thin, [_hours_of(thin)])
    hours = _hours_of(full)
    length = max(1, len(hours) // _RANGES)
    parts = [numbered_range(hours, length, number) for number in range(len(hours))]
    ranges = [part for part in parts if part]
    return whole, hourly, mover.move(full, ranges), len(ranges)


def _hours_of(archive: Path) -> HourRange:
    """Return the hours of an export: its names tell them."""
    with ZipFile(archive) as files:
        hours = {name.rpartition("#")[0].rpartition("/")[2] for name in files.namelist()}
    return HourRange(_FIRST, _FIRST + len(hours) * HOUR)


def _show(events: int, rounds: Sequence[tuple[Moved, Moved, Moved, int]], where: str) -> None:
    ranges = median(
        (parts.cpu_seconds - whole.cpu_seconds) / (count - 1) for whole, _, parts, count in rounds
    )
    each = median((whole.cpu_seconds - ranges) / events for whole, *_ in rounds)
    hour = median(
        (hourly.cpu_seconds - whole.cpu_seconds) / (hourly.hours - whole.hours)
        for whole, hourly, *_ in rounds
    )
    whole, hourly, _, count = rounds[-1]
    print(f"{events:,} events in {whole.hours} hours, in {hourly.hours}, and in {count} ranges")
    print(f"an event           {each * 1e6:10.1f} µs of CPU")
    print(f"a range            {ranges:10.2f} s of CPU: as much as {ranges / each:,.0f} events")
    print(f"an hour            {hour * 1e3:10.2f} ms of CPU: as much as {hour / each:,.0f} events")
    print(f"an hour in the book{hourly.book / hourly.hours:10,.0f} bytes of PostgreSQL")
    print(f"a device           {whole.ledger / max(1, whole.devices):10,.0f} bytes of PostgreSQL")
    print(where)


if __name__ == "__main__":
    main()
