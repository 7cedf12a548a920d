"""A stand-in for Google Cloud Storage that keeps the `Content-Encoding` of an object.

As in https://docs.cloud.google.com/storage/docs/transcoding: an object with the encoding gzip goes
out with that header, as it is stored, to a client that accepts gzip, which unpacks it; its size in
a list is that of the stored bytes. Only what a reader needs.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

BUCKET = "encoded"


class GoogleObjects:
    """A server with one bucket, all of whose objects have the encoding gzip, for a `with`.

    Args:
        objects: The stored bytes by name.
    """

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = dict(objects)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.store = self

    @property
    def url(self) -> str:
        """What `STORAGE_EMULATOR_HOST` is to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start the server."""
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    store: GoogleObjects


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        _, _, place = parts.path.partition(f"/b/{BUCKET}/o")
        name = unquote(place.removeprefix("/"))
        if not name:
            self._listed(query.get("prefix", [""])[0], query.get("delimiter", [""])[0])
        elif name not in self.server.store.objects:
            self._answer(404, b"{}")
        elif query.get("alt") == ["media"]:
            self._content(self.server.store.objects[name])
        else:
            self._answer(200, json.dumps(self._entry(name)).encode())

    def _listed(self, prefix: str, delimiter: str) -> None:
        names = [name for name in self.server.store.objects if name.startswith(prefix)]
        cut, whole = set(), []
        for name in names:
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                cut.add(prefix + rest.partition(delimiter)[0] + delimiter)
            else:
                whole.append(self._entry(name))
        self._answer(200, json.dumps({"items": whole, "prefixes": sorted(cut)}).encode())

    def _entry(self, name: str) -> dict[str, str]:
        return {
            "name": name,
            "bucket": BUCKET,
            "size": str(len(self.server.store.objects[name])),
            "updated": "2024-01-02T00:00:00Z",
            "contentEncoding": "gzip",
            "generation": "1",
        }

    def _content(self, content: bytes) -> None:
        assert "gzip" in self.headers.get("Accept-Encoding", "")
        asked = self.headers.get("Range")
        if asked:  # of the stored bytes, which no client can unpack
            first, _, last = asked.removeprefix("bytes=").partition("-")
            content = content[int(first) : int(last or len(content)) + 1]
        self._answer(206 if asked else 200, content, {"Content-Encoding": "gzip"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {"Content-Type": "application/json"}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base
        """Say nothing."""
