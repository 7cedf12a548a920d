"""The result as Markdown, with what it was measured on. Pure.

Every rate and every cost is of the time after the start: what an empty run of the same way takes
is taken off, because it would weigh the more the quicker the work is.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.rounds import Case, Measured

_HEADS = (
    "way",
    "events",
    "start s (CPU s)",
    "events/s (lowest to highest)",
    "CPU µs per event",
    "of these",
    "sink's own",
    "peak MB of a process",
)
_MB = 1_000_000
#: No Python process is so small; libraries start tools of the system to learn about it.
_SMALLEST = 5 * _MB
#: The share of the CPU below which a process is left out.
_NOTHING = 0.002
#: The share from which on workers are said to convert.
_SOME = 0.05
#: The rates that others are compared with: way, head of the column, form.
_COMPARED = (
    ("a", "times (a)", "{:.1f}"),
    ("b", "times (b)", "{:.1f}"),
    ("e", "% of (e)", "{:.0%}"),
    ("f", "times (f)", "{:.1f}"),
)
#: What stands for a rate when a round took no longer than a start.
_TOO_FEW = "too few events to tell"
_DELIVERING, _CONVERTING = "target", "worker"
_MANY_WORKERS = 4


@dataclass(frozen=True)
class Row:
    """What the rounds say about one case.

    Attributes:
        title: what it is.
        case: what was run.
        measured: once for each round.
        start: empty runs of the same way in the same rounds.
    """

    title: str
    case: Case
    measured: Sequence[Measured]
    start: Sequence[Measured]

    @property
    def rates(self) -> list[float]:
        """Events a second in each round; none when a round took no longer than a start."""
        seconds = self._worked(lambda one: one.usage.seconds)
        return [self.case.events / value for value in seconds] if min(seconds) > 0 else []

    @property
    def rate(self) -> float | None:
        """Their median, if there are any."""
        return median(self.rates) if self.rates else None

    def cells(self) -> list[str]:
        """Return its line of the table, without comparisons."""
        return [
            self.title,
            f"{self.case.events:,}",
            f"{_seconds(self.start):.1f} ({_cpu_seconds(self.start):.1f})",
            f"{self.rate:,.0f} ({min(self.rates):,.0f} to {max(self.rates):,.0f})"
            if self.rate
            else _TOO_FEW,
            f"{self._cpu:.1f}",
            ", ".join(f"{role} {value:.1f}" for role, value in self._cpu_of().items()),
            f"{self._micros(lambda one: one.received.cpu_seconds):.1f}",
            peaks(self.measured),
        ]

    def delivery(self) -> str | None:
        """Return how fast one target process could deliver, or None if there is none.

        Reckoned from its CPU: however many workers convert for it, its main thread cannot do more
        than fill one processor.
        """
        main = self._micros(lambda one: one.usage.main_thread_of.get(_DELIVERING, 0.0))
        if main <= 0:
            return None
        others = max(self._micros_of(_DELIVERING) - main, 0.0)
        said = (
            f"({self.case.way}) main thread {main:.1f} µs, other threads {others:.1f} µs: "
            f"at most {1e6 / main:,.0f} events/s"
        )
        converting = self._micros_of(_CONVERTING)
        if converting <= _SOME * self._cpu:
            return said
        return (
            f"{said}, where {_MANY_WORKERS} workers with a processor each convert "
            f"{_MANY_WORKERS * 1e6 / converting:,.0f}"
        )

    def grown(self) -> str:
        """Return what an event took with so many of them."""
        took = f"{1e6 / self.rate:.1f} µs" if self.rate else _TOO_FEW
        return (
            f"{self.case.events:,} events: {took}, CPU {self._cpu:.1f} µs, "
            f"peak MB {peaks(self.measured)}"
        )

    @property
    def _cpu(self) -> float:
        return self._micros(lambda one: one.usage.cpu_seconds)

    def _cpu_of(self) -> dict[str, float]:
        """Return the CPU by role; a role that does next to nothing is not worth a word."""
        roles = dict.fromkeys(role for one in self.measured for role in one.usage.cpu_of)
        cpu = {role: self._micros_of(role) for role in roles}
        return {role: value for role, value in cpu.items() if value > _NOTHING * self._cpu}

    def _micros_of(self, role: str) -> float:
        return self._micros(lambda one: one.usage.cpu_of.get(role, 0.0))

    def _micros(self, value: Callable[[Measured], float]) -> float:
        """Return how many microseconds of something an event took, start taken off."""
        return median(self._worked(value)) / self.case.events * 1_000_000

    def _worked(self, value: Callable[[Measured], float]) -> list[float]:
        """Return what each round took, start taken off; not less than nothing, which is noise."""
        start = median(map(value, self.start))
        return [max(value(one) - start, 0.0) for one in self.measured]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table, compared with those ways that are among them."""
    near = {row.case.way: row.rate for row in rows if not row.case.delay_ms}
    lines = [(row, row.cells()) for row in rows]
    heads = list(_HEADS)
    for way, head, form in _COMPARED:
        if way in near:
            heads.append(head)
            for row, cells in lines:
                cells.append(_compared(row.rate, near[way], form))
    if any(row.case.delay_ms for row in rows):
        heads.append("% of near")
        for row, cells in lines:
            beside = near.get(row.case.way) if row.case.delay_ms else None
            cells.append(_compared(row.rate, beside, "{:.0%}"))
    return markdown([heads, *(cells for _, cells in lines)])


def deliveries(rows: Sequence[Row]) -> str:
    """Return what the target's one process can deliver in each near row, on one line."""
    said = [row.delivery() for row in rows if not row.case.delay_ms]
    return "; ".join(one for one in said if one is not None)


def growth(rows: Iterable[Row]) -> str:
    """Return how the cost of an event changes with the number of events, on one line.

    Args:
        rows: one way with different numbers of events.
    """
    return "; ".join(row.grown() for row in sorted(rows, key=lambda row: row.case.events))


def start(runs: Sequence[Measured]) -> str:
    """Return what a run with nothing to do takes."""
    return f"{_seconds(runs):.1f} s, CPU {_cpu_seconds(runs):.1f} s"


def peaks(measured: Iterable[Measured]) -> str:
    """Return the largest resident memory of each role, the largest of all rounds, in MB."""
    largest: dict[str, int] = {}
    for one in measured:
        for role, peak in one.usage.peak_of.items():
            largest[role] = max(largest.get(role, 0), peak)
    return ", ".join(
        f"{role} {peak / _MB:.0f}" for role, peak in largest.items() if peak > _SMALLEST
    )


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are even in plain text, too."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    ]
    rule = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(line)} |" for line in (padded[0], rule, *padded[1:]))


def _compared(rate: float | None, other: float | None, form: str) -> str:
    return form.format(rate / other).rstrip("%") if rate and other else ""


def _seconds(runs: Sequence[Measured]) -> float:
    return median(one.usage.seconds for one in runs)


def _cpu_seconds(runs: Sequence[Measured]) -> float:
    return median(one.usage.cpu_seconds for one in runs)
