"""Runs every case in every round, so that the noise of a machine hits all of them alike."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.sink import Sink
from benchmarks.usage import Failed, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.sink import Delivered, Received
    from benchmarks.usage import Usage
    from benchmarks.ways import Way


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        way: which way, a letter.
        events: how many are moved.
        delay_ms: how long the sink takes for each answer.
        goes_on: whether the run goes on where an earlier one moved everything.
    """

    way: str
    events: int
    delay_ms: int = 0
    goes_on: bool = False

    def __str__(self) -> str:
        """Say what it is."""
        far = f", {self.delay_ms} ms away" if self.delay_ms else ""
        return f"({self.way}) {self.events:,} events{far}" + (", again" if self.goes_on else "")


@dataclass(frozen=True)
class Measured:
    """One run of a case."""

    usage: Usage
    received: Received
    delivered: Delivered


class Bench:
    """Runs cases and checks that each delivered every row once.

    Args:
        ways: by letter.
        say: takes a line about each run.
    """

    def __init__(self, ways: Mapping[str, Way], say: Callable[[str], None]) -> None:
        self._ways, self._say = ways, say
        self._runs = 0
        self._last_name: dict[str, str] = {}

    def rounds(self, cases: Sequence[Case], rounds: int) -> dict[Case, list[Measured]]:
        """Measure all cases, round after round.

        Raises:
            Failed: a run did not end well, or rows were lost or doubled.
        """
        measured: dict[Case, list[Measured]] = {case: [] for case in cases}
        for number in range(1, rounds + 1):
            for case in cases:
                one = self.measure(case)
                measured[case].append(one)
                self._say(f"round {number}: {case}: {_told(one)}")
        return measured

    def measure(self, case: Case) -> Measured:
        """Run a case once.

        Raises:
            Failed: it did not end well, or rows were lost or doubled.
        """
        way = self._ways[case.way]
        source = way.moves.made(case.events)
        if case.goes_on:
            name = self._last_name[case.way]
        else:
            self._runs += 1
            name = f"run-{self._runs}"
            self._last_name[case.way] = name
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            folder = Path(scratch)
            with Sink(folder, case.delay_ms) as sink:
                command = way.command(source, sink.url, name)
                usage = run(command, folder / "log")
                received = sink.stop()
                delivered = sink.delivered(case.events, way.moves.number)
        _check(case, delivered)
        return Measured(usage, received, delivered)


def _check(case: Case, delivered: Delivered) -> None:
    expected = 0 if case.goes_on else case.events
    if (delivered.rows, delivered.repeated) != (expected, 0):
        raise Failed(
            f"{case}: {delivered.rows:,} rows arrived and {delivered.repeated:,} of them again."
        )


def _told(one: Measured) -> str:
    return (
        f"{one.usage.seconds:.1f} s, start included, {one.delivered.rows:,} rows, "
        f"{one.delivered.added:,} more events, {one.received.requests:,} requests"
    )
