"""The benchmark of the whole way.

make bench           the table: 500,000 events, three rounds
make bench-growth    the same, with 5,000,000 events at the end of the growth

python -m benchmarks --help tells what else can be chosen. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.delivery import measured
from benchmarks.environment import described
from benchmarks.export import EVENTS_OF_AN_HOUR, export
from benchmarks.projects import REPOSITORY
from benchmarks.rounds import Bench, Case
from benchmarks.table import Row, deliveries, growth, start, table
from benchmarks.usage import Failed
from benchmarks.ways import exports, ready, records

if TYPE_CHECKING:
    from collections.abc import Sequence

_WAYS = "abcdefg"
#: The ways that are measured on fewer events, because they are slow.
_SLOW = "ab"
#: The ways that move records of another tap, in a table of their own.
_OTHER = "fg"
#: The ways of these plugins, and those of them that Meltano runs with a state: a second run of
#: them has nothing to move. The others start with an empty input.
_OURS, _STATEFUL = "cdg", "cd"
_GROWTH, _LARGEST = (50_000, 500_000), 5_000_000
_DELAY_MS = 100
#: How many events one delivery is fed with: what was converted of them is kept in memory.
_CEILING_EVENTS = 100_000
_PAGE = REPOSITORY / "docs" / "performance.md"
_BEGIN, _END = "<!-- begin: make bench -->", "<!-- end: make bench -->"


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark and print its table."""
    options = _options().parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        try:
            result = _measured(options, Path(scratch), load)
        except Failed as failure:
            print(failure, file=sys.stderr)
            return 1
    print(result)
    if options.write:
        _PAGE.write_text(with_result(_PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")
    return 0


def with_result(page: str, result: str) -> str:
    """Return a page whose block between the two marks holds this result instead of the last."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"The page has no {_BEGIN} … {_END}.")
    return f"{before}{begin}\n{result}\n{end}{after}"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description="How fast the plugins are.")
    add = parser.add_argument
    add("--events", type=int, default=500_000, help="how many each way moves")
    add("--slow-events", type=int, default=50_000, help="how many (a) and (b) move")
    add("--records", type=int, default=200_000, help="how many (f) and (g) move")
    add("--warm-up", type=int, default=1_000, help="to compile all bytecode first; 0 leaves it out")
    add("--rounds", type=int, default=3, help="how often; medians are printed")
    add("--ways", default=_WAYS, help="which letters, such as cd")
    add("--growth", type=int, nargs="*", default=list(_GROWTH), help="numbers of events for (d)")
    add("--large", action="store_true", help=f"let the growth end with {_LARGEST:,} events")
    add("--delay-ms", type=int, default=_DELAY_MS, help="of the far link; 0 leaves it out")
    add("--events-of-an-hour", type=int, default=EVENTS_OF_AN_HOUR, help="in the export")
    add(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "amplitude-to-posthog-exports",
        help="where the exports are kept",
    )
    add("--write", action="store_true", help=f"write the result into {_PAGE.name}, too")
    return parser


def _measured(options: argparse.Namespace, scratch: Path, load: float) -> str:
    """Run everything, and return the result."""
    _say("installing the plugins")
    exported = exports(options.cache, options.events_of_an_hour)
    ways, project = ready(options.ways, scratch, exported, records(options.cache))
    bench = Bench(ways, _say)
    for way in ways if options.warm_up else ():
        _say(f"warming up ({way})")
        bench.measure(Case(way, options.warm_up))
    runs = bench.rounds(_cases(options), options.rounds)

    def row(case: Case) -> Row:
        title = ways[case.way].title + (f", {case.delay_ms} ms away" if case.delay_ms else "")
        return Row(title, case, runs[case], runs[_start_of(case.way, options)])

    parts = _tables([row(case) for case in _main_cases(options)])
    idle = [case for case in runs if case.goes_on]
    if idle:
        starts = "; ".join(f"({case.way}) {start(runs[case])}" for case in idle)
        parts.append(f"`meltano run` with nothing to do: {starts}.")
    grown = [case for case in runs if case.way == "d" and not (case.delay_ms or case.goes_on)]
    if len(grown) > 1:
        parts.append(f"Growth of (d): {growth(map(row, grown))}.")
    if "d" in ways:
        parts.append(_ceiling(options, scratch))
    parts.append(f"Medians of {options.rounds} rounds. {described(project, load)}")
    return "\n\n".join(parts)


def _ceiling(options: argparse.Namespace, scratch: Path) -> str:
    """Return what one delivery can take when conversion is free."""
    _say("feeding one delivery")
    archive = export(options.events, options.cache, options.events_of_an_hour)
    taken = [
        measured(archive, min(options.events, _CEILING_EVENTS), scratch)
        for _ in range(options.rounds)
    ]
    best = max(taken, key=lambda one: one.events / one.seconds)
    return f"One delivery, fed with blocks that were converted before: {best.described()}."


def _tables(rows: Sequence[Row]) -> list[str]:
    """Return the table of an export and that of other taps, and what one target can deliver."""
    exported = [row for row in rows if row.case.way not in _OTHER]
    other = [row for row in rows if row.case.way in _OTHER]
    parts = [table(some) for some in (exported, other) if some]
    if delivered := deliveries([row for row in rows if row.case.way in _OURS]):
        parts.append(f"CPU of the target's one process for an event: {delivered}.")
    return parts


def _cases(options: argparse.Namespace) -> list[Case]:
    """Return what is run in each round, in order."""
    cases: list[Case] = []
    for case in _main_cases(options):
        cases.append(case)
        if not case.delay_ms:
            # Some go on where a run stopped, so they come right after it.
            cases.append(_start_of(case.way, options))
    if "d" in options.ways:
        grown = [*options.growth, *([_LARGEST] if options.large else [])]
        cases += [Case("d", events) for events in grown]
    return list(dict.fromkeys(cases))


def _main_cases(options: argparse.Namespace) -> list[Case]:
    """Return what has a row of the table, in order."""
    near = [Case(way, _events_of(way, options)) for way in options.ways]
    far = [way for way in options.ways if way in _STATEFUL and options.delay_ms]
    return near + [Case(way, options.events, options.delay_ms) for way in far]


def _start_of(way: str, options: argparse.Namespace) -> Case:
    """Return the run of a way that has nothing to move."""
    if way in _STATEFUL:
        return Case(way, options.events, goes_on=True)
    return Case(way, 0)


def _events_of(way: str, options: argparse.Namespace) -> int:
    events: int = options.events
    if way in _SLOW:
        events = options.slow_events
    if way in _OTHER:
        events = options.records
    return events


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
