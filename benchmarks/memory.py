"""The memory of the tap against the size of an export.

make bench-memory     hours of 210 MB and 2.1 GB decoded: some minutes, and 1 GB of disk

Each is one export hour, served as Amplitude serves it: a zip of gzip files of lines of JSON. The
tap runs as a process and writes to /dev/null. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import zipfile
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.environment import described
from benchmarks.events import HourPart, lines
from benchmarks.usage import Command, Failed, run
from tests.fakes.amplitude_answers import NO_DATA_TEXT
from tests.fakes.amplitude_archive import member_name
from tests.support.processes import SCRIPTS
from tools.sample_export.rows import APP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

_HOUR = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
#: How many files an hour has; a busy hour's files are larger, not more.
_FILES = 8
#: What zlib writes a gzip file with.
_GZIP = 16 + zlib.MAX_WBITS

#: The promise: the tap's memory is below this, whatever the size of an hour.
MOST_BYTES = 200_000_000
#: Ten times the data may cost so much more, for the noise of the allocator.
MOST_GROWTH = 1.1
_TIMES = 10


@dataclass(frozen=True)
class Archive:
    """An export of one hour.

    Attributes:
        path: the zip.
        events: how many it has.
        decoded: how many bytes its lines have.
    """

    path: Path
    events: int
    decoded: int


@dataclass(frozen=True)
class Peak:
    """What the tap needed for an archive.

    Attributes:
        archive: what it read.
        peak: its largest resident memory, in bytes.
        seconds: from its start to its end.
    """

    archive: Archive
    peak: int
    seconds: float


def archive(events: int, folder: Path) -> Archive:
    """Make an archive of so many events.

    Args:
        events: how many.
        folder: where it goes.
    """
    share = -(-events // _FILES)
    parts = [
        HourPart(_HOUR, number, _FILES, first, min(share, events - first), 0)
        for number, first in enumerate(range(0, events, share))
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        sizes = list(pool.map(partial(_write, folder), parts))
    path = folder / f"{events}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        for part in parts:
            file = _file(folder, part)
            packed.write(file, member_name(APP, _HOUR, part.partition))
            file.unlink()
    return Archive(path, events, sum(sizes))


def _write(folder: Path, part: HourPart) -> int:
    """Write a file, line by line; return how many bytes its lines have."""
    packer, size = zlib.compressobj(6, zlib.DEFLATED, _GZIP), 0
    with _file(folder, part).open("wb") as file:
        for line in lines(part):
            content = line.encode()
            size += len(content)
            file.write(packer.compress(content))
        file.write(packer.flush())
    return size


def _file(folder: Path, part: HourPart) -> Path:
    return folder / f"{part.partition}.json.gz"


class Export:
    """An Export API that has one hour; a context manager.

    The stand-in of the tests holds an archive in memory, which is no place for one of this size.

    Args:
        path: the archive of the hour.
    """

    def __init__(self, path: Path) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if f"start={_HOUR:%Y%m%dT%H}&" not in f"{self.path}&":
                    self.send_error(HTTPStatus.NOT_FOUND, explain=NO_DATA_TEXT)
                    return
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "application/zip")
                self.send_header("Content-Length", str(path.stat().st_size))
                self.end_headers()
                with path.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def measure(read: Archive, folder: Path) -> Peak:
    """Let the tap read an archive.

    Args:
        read: the archive.
        folder: where the tap's files go.

    Raises:
        Failed: the tap failed, or did not export every event.
    """
    config, log = folder / "tap.json", folder / "log"
    with Export(read.path) as export:
        settings = {
            "api_key": "key",
            "secret_key": "secret",
            "api_url": export.url,
            "start_date": f"{_HOUR:%Y-%m-%dT%H:00:00Z}",
            "end_date": f"{_HOUR + timedelta(hours=1):%Y-%m-%dT%H:00:00Z}",
            "spool_path": str(folder / "spool"),
        }
        config.write_text(json.dumps(settings))
        tap = f'exec "{SCRIPTS}/tap-amplitude" --config "{config}" >/dev/null'
        used = run(Command(["/bin/sh", "-c", tap], folder, "tap"), log)
    if f"Exported {read.events:,} events" not in log.read_text():
        raise Failed(f"The tap did not export {read.events:,} events:\n{log.read_text()}")
    return Peak(read, used.peak_of["tap"], used.seconds)


def verdict(small: Peak, large: Peak) -> list[str]:
    """Return what breaks the promise; nothing when it is kept."""
    broken = []
    if large.peak >= MOST_BYTES:
        broken.append(f"more than {MOST_BYTES / 1e6:.0f} MB")
    if large.peak > small.peak * MOST_GROWTH:
        broken.append(f"more than {MOST_GROWTH - 1:.0%} above that of a tenth of the data")
    return broken


def table(peaks: Sequence[Peak]) -> str:
    """Return the table of a result."""
    rows = [
        f"| {one.archive.events:,} | {one.archive.decoded / 1e6:,.0f} MB "
        f"| {one.archive.path.stat().st_size / 1e6:,.0f} MB | {one.peak / 1e6:.1f} MB "
        f"| {one.seconds:.1f} s |"
        for one in peaks
    ]
    head = ["| events of the hour | decoded | archive | peak of the tap | time |"]
    return "\n".join([*head, "|---|---|---|---|---|", *rows])


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, and tell whether the promise is kept."""
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description="The tap's memory.")
    parser.add_argument("--events", type=int, default=1_050_000, help="of the larger hour")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    peaks = []
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as scratch:
        folder = Path(scratch)
        try:
            for events in (options.events // _TIMES, options.events):
                _say(f"making an hour of {events:,} events")
                made = archive(events, folder)
                _say(f"reading {made.decoded / 1e6:,.0f} MB")
                peaks.append(measure(made, folder))
        except Failed as failure:
            print(failure, file=sys.stderr)
            return 1
        print(table(peaks))
    small, large = peaks
    print(f"\n{_TIMES} times the data: {large.peak / small.peak:.2f} times the memory.")
    print(described(None, load))
    broken = verdict(small, large)
    print(f"Broken: {'; '.join(broken)}." if broken else "Kept: below 200 MB, and flat.")
    return 1 if broken else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
