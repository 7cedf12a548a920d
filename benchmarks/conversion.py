"""What converting one row costs, beside reading and writing its JSON: µs per row, on one core.

python benchmarks/conversion.py                    the sample export and rows made wide
python benchmarks/conversion.py --rows FILE.jsonl  rows of your own, one a line
python benchmarks/conversion.py --profile          where the time of the conversion goes

Rows go through in small portions, each read, converted and written before the next, as in a real
run: what was just read is still in the processor's cache. Each figure is the median of several
rounds over all rows. `cold` is the first round, in which the conversion remembers nothing yet.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.options import Options
from target_posthog.json_codec import dumps, loads
from target_posthog.model import Converted
from tools.sample_export import generate

_ROUNDS = 7
_PORTION = 50
_PARTS = ("loads", "convert", "dumps")
_EVENT_PROPERTIES = 15
_USER_PROPERTIES = 20


def sample(people: int) -> list[bytes]:
    """Return the lines of a made-up export of web, app and server events."""
    return [json.dumps(row).encode() for row in generate(days=2, people=people).rows]


def widened(lines: list[bytes]) -> list[bytes]:
    """Return the rows with as many properties as rows of a busy product have."""
    wide = []
    for number, line in enumerate(lines):
        row = json.loads(line)
        event, user = row["event_properties"] or {}, row["user_properties"] or {}
        for part in range(_EVENT_PROPERTIES - len(event)):
            event[f"detail {part}"] = number * part
        for part in range(_USER_PROPERTIES - len(user)):
            user[f"trait {part}"] = f"value {number % 97}"
        row |= {"event_properties": event, "user_properties": user}
        wide.append(json.dumps(row).encode())
    return wide


def report(name: str, lines: list[bytes]) -> None:
    """Print one line of figures for these rows."""
    amplitude = Amplitude(Options())
    cold = _round(lines, amplitude)
    rounds = [_round(lines, amplitude) for _ in range(_ROUNDS)]
    parts = [statistics.median(part) for part in zip(*rounds, strict=True)]
    size = statistics.mean(map(len, lines))
    shown = "  ".join(f"{part} {one:5.2f}" for part, one in zip(_PARTS, parts, strict=True))
    print(f"{name:8} {len(lines):7,} rows of {size:5,.0f} B   {shown}   cold {cold[1]:5.2f}")


def _round(lines: list[bytes], amplitude: Amplitude) -> list[float]:
    """Return µs per row of each part."""
    spent = [0.0] * len(_PARTS)
    for start in range(0, len(lines), _PORTION):
        times = [time.process_time()]
        rows = [loads(line) for line in lines[start : start + _PORTION]]
        times.append(time.process_time())
        outcomes = [amplitude.convert(row) for row in rows]
        times.append(time.process_time())
        for one in outcomes:
            if isinstance(one, Converted):
                dumps(one.event)
        times.append(time.process_time())
        spent = [
            total + later - earlier
            for total, earlier, later in zip(spent, times, times[1:], strict=False)
        ]
    return [total / len(lines) * 1e6 for total in spent]


def _profile(lines: list[bytes]) -> None:
    rows = [loads(line) for line in lines]
    amplitude = Amplitude(Options())
    with cProfile.Profile() as profile:
        for row in rows:
            amplitude.convert(row)
    pstats.Stats(profile).sort_stats("tottime").print_stats(20)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--rows", type=Path, help="a file of rows, one JSON object a line")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.rows:
        sets = {"yours": [line for line in arguments.rows.read_bytes().splitlines() if line]}
    else:
        lines = sample(arguments.people)
        sets = {"sample": lines, "wide": widened(lines)}
    print("µs per row, on one core")
    for name, lines in sets.items():
        report(name, lines)
    if arguments.profile:
        _profile(list(sets.values())[-1])


if __name__ == "__main__":
    main()
