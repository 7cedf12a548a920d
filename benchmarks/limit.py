"""(e) The limit: a process for each core that only unpacks, parses, writes, packs and posts.

python -m benchmarks.limit EXPORT HOST

It converts nothing, keeps no order and remembers nothing: no migration can be faster on this
machine with Python's fastest libraries.
"""

from __future__ import annotations

import http.client
import os
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit
from zipfile import ZipFile

import orjson
from isal import igzip, isal_zlib

if TYPE_CHECKING:
    from collections.abc import Iterator

#: As many as stay in the processor's cache.
_EVENTS_AT_ONCE = 100
_BODY_BYTES = 4 * 1024 * 1024
_HEAD = b'{"api_key":"phc_benchmark","historical_migration":true,"batch":['
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def send_file(export: Path, host: str, name: str) -> None:
    """Send one file of an export."""
    connection = http.client.HTTPConnection(urlsplit(host).netloc)
    with ZipFile(export) as files, files.open(name) as packed:
        for body in bodies(packed):
            connection.request("POST", "/batch/", body, {"Content-Encoding": "gzip"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise SystemExit(f"The sink answered {answer.status}.")
    connection.close()


def bodies(packed: IO[bytes]) -> Iterator[bytes]:
    """Yield the compressed bodies of a file's rows."""
    body = _Body()
    with igzip.open(packed) as lines:  # type: ignore[no-untyped-call]
        rows = map(orjson.loads, lines)
        while chunk := list(islice(rows, _EVENTS_AT_ONCE)):
            body.add(b",".join(map(orjson.dumps, chunk)))
            if body.size >= _BODY_BYTES:
                yield body.packed()
                body = _Body()
    if body.size:
        yield body.packed()


class _Body:
    """One body, packed while it grows."""

    def __init__(self) -> None:
        self.size = 0
        self._packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP_WINDOW)
        self._parts = [self._packer.compress(_HEAD)]

    def add(self, events: bytes) -> None:
        comma = b"," if self.size else b""
        self._parts.append(self._packer.compress(comma + events))
        self.size += len(events)

    def packed(self) -> bytes:
        return b"".join([*self._parts, self._packer.compress(b"]}"), self._packer.flush()])


def main() -> None:
    """Send a whole export."""
    export, host = Path(sys.argv[1]), sys.argv[2]
    with ZipFile(export) as files:
        names = files.namelist()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(partial(send_file, export, host), names):
            pass


if __name__ == "__main__":
    main()
