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

from benchmarks.environment import described
from benchmarks.export import EVENTS_OF_AN_HOUR
from benchmarks.projects import REPOSITORY
from benchmarks.rounds import Bench, Case
from benchmarks.table import Row, growth, start, table
from benchmarks.usage import Failed
from benchmarks.ways import ready

if TYPE_CHECKING:
    from collections.abc import Sequence

_WAYS = "abcde"
#: The ways that are measured on fewer events, because they are slow.
_SLOW = "ab"
_GROWTH, _LARGEST = (50_000, 500_000), 5_000_000
_DELAY_MS = 100
#: Enough to compile all bytecode before the clock runs.
_WARM_UP = 1_000
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
    ways, project = ready(options.ways, scratch)
    bench = Bench(ways, options.cache, options.events_of_an_hour, _say)
    for way in ways:
        _say(f"warming up ({way})")
        bench.measure(Case(way, min(_WARM_UP, options.slow_events)))
    measured = bench.rounds(_cases(options), options.rounds)
    rows = [
        Row(
            ways[case.way].title + (f", {case.delay_ms} ms away" if case.delay_ms else ""),
            case,
            runs,
            measured.get(Case(case.way, 0)),
            options.events,
        )
        for case, runs in measured.items()
        if case.events == _events_of(case.way, options) and not case.goes_on
    ]
    parts = [table(rows)]
    for case, runs in measured.items():
        if case.goes_on:
            parts.append(f"`meltano run` with nothing to do: {start(runs)}.")
            grown = {one: runs for one, runs in measured.items() if one.way == case.way}
            parts.append(f"Growth of ({case.way}), start taken off: {growth(grown)}.")
    parts.append(f"Medians of {options.rounds} rounds. {described(project, load)}")
    return "\n\n".join(parts)


def _cases(options: argparse.Namespace) -> list[Case]:
    """Return what is run in each round, in order."""
    cases: list[Case] = []
    for way in options.ways:
        cases.append(Case(way, _events_of(way, options)))
        if way in _SLOW:
            cases.append(Case(way, 0))
        if way == "d":
            cases.append(Case(way, options.events, goes_on=True))
    if options.delay_ms:
        far = [way for way in options.ways if way in "cd"]
        cases += [Case(way, options.events, options.delay_ms) for way in far]
    if "d" in options.ways:
        grown = [*options.growth, *([_LARGEST] if options.large else [])]
        cases += [Case("d", events) for events in grown]
    return list(dict.fromkeys(cases))


def _events_of(way: str, options: argparse.Namespace) -> int:
    events: int = options.slow_events if way in _SLOW else options.events
    return events


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
