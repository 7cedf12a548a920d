"""What free order costs: a run in order, the people pass, and the run that applies it.

python -m benchmarks.free_order                          400,000 events, a ledger in SQLite
python -m benchmarks.free_order --events 100000 --url postgresql+psycopg://user@host/database

Each is the tap and the target with a pipe between them, without Meltano, by BATCH files of the same
made-up export, into the benchmarks' own sink. Nothing runs side by side, so that the CPU tells.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path

from benchmarks.export import EVENTS_OF_AN_HOUR, export
from benchmarks.sink import Sink
from benchmarks.usage import Command, Usage, run
from tests.support.processes import SCRIPTS

_MODES = ("none", "collect", "apply")
_TITLES = {
    "none": "in order",
    "collect": "the people pass (`collect`)",
    "apply": "in free order (`apply`)",
}


def measured(mode: str, archive: Path, folder: Path, url: str, host: str) -> Usage:
    """Run the tap and the target over an export.

    Args:
        mode: the setting `free_order`.
        archive: the export.
        folder: an empty one.
        url: of the ledger.
        host: where the events go.
    """
    folder.mkdir()
    tap = {
        "archive_path": str(archive),
        "spool_path": str(folder / "spool"),
        "batch_config": {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": (folder / "batches").as_uri()},
        },
    }
    # A project of its own for the run in order: it must not know what the others joined.
    key = "phc_ordered" if mode == "none" else "phc_free"
    target = {"api_key": key, "host": host, "ledger_url": url, "free_order": mode}
    parts = []
    for plugin, config in (("tap-amplitude", tap), ("target-posthog", target)):
        path = folder / f"{plugin}.json"
        path.write_text(json.dumps(config))
        parts.append(shlex.join([str(SCRIPTS / plugin), "--config", str(path)]))
    script = f"set -o pipefail; {' | '.join(parts)}"
    return run(Command(["bash", "-c", script], folder, "meltano"), folder / "log")


def main() -> None:
    """Run the three, and print the table."""
    options = argparse.ArgumentParser(description="What free order costs.")
    options.add_argument("--events", type=int, default=400_000)
    options.add_argument("--events-of-an-hour", type=int, default=EVENTS_OF_AN_HOUR)
    options.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "amplitude-to-posthog-exports"
    )
    options.add_argument("--url", help="an empty database; by default a temporary SQLite file")
    given = options.parse_args(sys.argv[1:])
    archive = export(given.events, given.cache, given.events_of_an_hour)
    print(f"{given.events:,} events\n")
    print("| run | seconds | of in order | CPU µs an event | of in order | target, MB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        url = given.url or f"sqlite:///{folder / 'ledger.db'}"
        ordered: Usage | None = None
        for mode in _MODES:
            with Sink(folder) as sink:
                used = measured(mode, archive, folder / mode, url, sink.url)
                sink.stop()
            ordered = ordered or used
            print(
                f"| {_TITLES[mode]} | {used.seconds:.1f} | {used.seconds / ordered.seconds:.2f} | "
                f"{used.cpu_seconds / given.events * 1e6:.1f} | "
                f"{used.cpu_seconds / ordered.cpu_seconds:.2f} | "
                f"{used.peak_of.get('target', 0) / 1e6:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
