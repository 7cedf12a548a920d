"""A server that stands for PostHog: it takes every body, keeps it for later, and says Ok.

python -m benchmarks.sink FILE [DELAY_MS]

It is a process of its own, so that what it costs can be told apart. It does not look into the
bodies; `delivered` counts what was in them once the clock has stopped.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from isal import igzip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

_ANSWER = b'{"status":"Ok"}'
#: To the question whether PostHog knows the project token; it makes no event.
_FLAGS_PATH, _FLAGS_ANSWER = "/flags/", b'{"errorsWhileComputingFlags":false,"flags":{}}'
#: Before each kept body: whether it is gzip, and its length.
_HEAD = struct.Struct("<?Q")


@dataclass(frozen=True)
class Received:
    """What came in during one run.

    Attributes:
        requests: how many bodies.
        bytes: their size as they were sent.
        cpu_seconds: what it cost the sink to take them.
    """

    requests: int
    bytes: int
    cpu_seconds: float


@dataclass(frozen=True)
class Delivered:
    """What was in the bodies of one run.

    Attributes:
        rows: how many different rows of the input.
        repeated: how many events stand for a row that came before.
        added: how many other events, such as those that join a device to its user.
    """

    rows: int
    repeated: int
    added: int


class Sink:
    """The server, for the length of one run; a context manager.

    Args:
        folder: where it keeps the bodies.
        delay_ms: how long each answer takes, as if the server were far away.
    """

    def __init__(self, folder: Path, delay_ms: int = 0) -> None:
        self._kept = folder / "bodies"
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._kept), str(delay_ms)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the server if it still runs, and forget the bodies."""
        self._process.kill()
        self._process.communicate()
        self._kept.unlink(missing_ok=True)

    def stop(self) -> Received:
        """End the server and say what came in."""
        out, _ = self._process.communicate(input="")
        return Received(**json.loads(out))

    def delivered(self, rows: int, number_of: Callable[[Mapping[str, Any]], int]) -> Delivered:
        """Look into the kept bodies; only after `stop`.

        Args:
            rows: how many rows the input has.
            number_of: gives the number of the row that an event stands for.
        """
        seen = bytearray(rows)
        events = added = 0
        for event in self.events():
            number = number_of(event)
            if number < rows:
                events += 1
                seen[number] = 1
            else:
                added += 1
        return Delivered(sum(seen), events - sum(seen), added)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield all events of the kept bodies; only after `stop`."""
        with self._kept.open("rb") as kept:
            while head := kept.read(_HEAD.size):
                packed, length = _HEAD.unpack(head)
                body = kept.read(length)
                if packed:
                    body = igzip.decompress(body)  # type: ignore[no-untyped-call]
                yield from orjson.loads(body)["batch"]


def serve(path: Path, delay_ms: int) -> None:
    """Print the port, take bodies until standard input ends, and print what came."""
    lock = threading.Lock()
    came = {"requests": 0, "bytes": 0}
    with path.open("wb") as kept:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.startswith(_FLAGS_PATH):
                    self._say(_FLAGS_ANSWER)
                    return
                packed = self.headers.get("Content-Encoding") == "gzip"
                with lock:
                    kept.write(_HEAD.pack(packed, len(body)))
                    kept.write(body)
                    came["requests"] += 1
                    came["bytes"] += len(body)
                self._say(_ANSWER)

            def _say(self, answer: bytes) -> None:
                time.sleep(delay_ms / 1000)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()
    used = os.times()
    sys.stdout.write(json.dumps({**came, "cpu_seconds": used.user + used.system}))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
