"""The result as one Markdown table, with what it was measured on. Pure.

Every rate is that of a whole run, with its start. Ways that are slow are measured on fewer events;
their time for all events is then start + events times the cost of each, so that the start does not
weigh more on them than on the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.rounds import Case, Measured

_HEADS = (
    "way",
    "events measured",
    "events/s (lowest to highest)",
    "CPU µs per event",
    "of these",
    "sink's own",
    "peak MB of a process",
    "times (a)",
    "times (b)",
    "% of (e)",
)
_MB = 1_000_000
#: No Python process is so small; libraries start tools of the system to learn about it.
_SMALLEST = 5 * _MB
#: The share of the CPU below which a process is left out.
_NOTHING = 0.002


@dataclass(frozen=True)
class Row:
    """What the rounds say about one case.

    Attributes:
        title: what it is.
        case: what was run.
        measured: once for each round.
        start: an empty run of the same way in the same rounds; None when nothing is reckoned.
        events: the number of events that the rate is for.
    """

    title: str
    case: Case
    measured: Sequence[Measured]
    start: Sequence[Measured] | None
    events: int

    @property
    def rates(self) -> list[float]:
        """Events a second in each round."""
        return [self.events / value for value in self._for_all(lambda one: one.usage.seconds)]

    @property
    def rate(self) -> float:
        """Their median."""
        return median(self.rates)

    @property
    def cpu(self) -> float:
        """CPU microseconds for each event, start included."""
        return _micros(self._for_all(lambda one: one.usage.cpu_seconds), self.events)

    def cells(self, ratios: Mapping[str, float]) -> list[str]:
        """Return its line of the table.

        Args:
            ratios: the rates of (a), (b) and (e).
        """
        return [
            self.title,
            f"{self.case.events:,}",
            f"{self.rate:,.0f} ({min(self.rates):,.0f} to {max(self.rates):,.0f})",
            f"{self.cpu:.1f}",
            ", ".join(f"{role} {value:.1f}" for role, value in self._cpu_of().items()),
            f"{_micros([one.received.cpu_seconds for one in self.measured], self.case.events):.1f}",
            peaks(self.measured),
            *(f"{self.rate / ratios[way]:.1f}" if way in ratios else "" for way in "ab"),
            f"{self.rate / ratios['e']:.0%}".rstrip("%") if "e" in ratios else "",
        ]

    def _for_all(self, value: Callable[[Measured], float]) -> list[float]:
        """Return what each round took, or would have taken for all events."""
        if self.start is None:
            return [value(one) for one in self.measured]
        start = median(map(value, self.start))
        return [
            start + (value(one) - start) * self.events / self.case.events for one in self.measured
        ]

    def _cpu_of(self) -> dict[str, float]:
        """Return the CPU by role; a role that does next to nothing is not worth a word."""
        roles = dict.fromkeys(role for one in self.measured for role in one.usage.cpu_of)
        cpu = {role: self._micros_of(role) for role in roles}
        return {role: value for role, value in cpu.items() if value > _NOTHING * self.cpu}

    def _micros_of(self, role: str) -> float:
        return _micros(self._for_all(lambda one: one.usage.cpu_of.get(role, 0.0)), self.events)


def table(rows: Sequence[Row]) -> str:
    """Return the table."""
    rates = {row.case.way: row.rate for row in reversed(rows) if not row.case.delay_ms}
    lines = [list(_HEADS), *(row.cells(rates) for row in rows)]
    return markdown(lines)


def growth(grown: Mapping[Case, Sequence[Measured]]) -> str:
    """Return how the cost of an event changes with the number of events, on one line.

    Args:
        grown: runs of one way with different numbers of events; one that had nothing to do among
            them tells what the start costs.
    """
    starts = [one for case, runs in grown.items() if case.goes_on for one in runs]
    first = median(one.usage.seconds for one in starts)
    first_cpu = median(one.usage.cpu_seconds for one in starts)
    near = {case: runs for case, runs in grown.items() if not case.goes_on and not case.delay_ms}
    return "; ".join(
        f"{case.events:,} events: "
        f"{_micros([one.usage.seconds - first for one in runs], case.events):.1f} µs, "
        f"CPU {_micros([one.usage.cpu_seconds - first_cpu for one in runs], case.events):.1f} µs, "
        f"peak MB {peaks(runs)}"
        for case, runs in sorted(near.items(), key=lambda one: one[0].events)
    )


def start(runs: Sequence[Measured]) -> str:
    """Return what a run with nothing to do takes."""
    return (
        f"{median(one.usage.seconds for one in runs):.1f} s, "
        f"CPU {median(one.usage.cpu_seconds for one in runs):.1f} s"
    )


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


def _micros(seconds: Iterable[float], events: int) -> float:
    return median(seconds) / events * 1_000_000
