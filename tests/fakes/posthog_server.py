"""The HTTP side of the PostHog stand-in: sockets, bodies, cuts, and a clean end.

Knows nothing of events; it hands each whole request to one function and sends what that gives.
"""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.fakes.posthog_requests import Answer, Incoming

if TYPE_CHECKING:
    from collections.abc import Callable

# Capture reads on past its limit, up to as much again, so that the answer still arrives
# (rust/capture/tests/integration_wire_body_limits.rs).
_DRAIN_FACTOR = 2
_PIECE = 1 << 16


class IncompleteBodyError(ConnectionError):
    """The sender went away, or the body is too long to wait for."""


class LocalServer(ThreadingHTTPServer):
    """An HTTP/1.1 server on 127.0.0.1 that keeps connections open and can end them all.

    Args:
        respond: Handles one request; gives the answer, or None to cut the connection.
        max_body_bytes: Of a longer body only so much is kept as shows that it is longer.
        port: Where; 0 takes a free one.

    Attributes:
        errors: Faults of the stand-in itself, to be shown by whoever owns it.
        closing: Set when the server ends; a slow answer stops waiting then.
    """

    # Threads are waited for at the end, so that none outlives a test.
    daemon_threads = False
    # Enough for all workers of a target to connect at once.
    request_queue_size = 128

    def __init__(
        self, respond: Callable[[Incoming], Answer | None], max_body_bytes: int, port: int = 0
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.respond = respond
        self.max_body_bytes = max_body_bytes
        self.errors: list[BaseException] = []
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, name="posthog-stand-in"
        )

    @property
    def url(self) -> str:
        """Address of the server, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Cut all connections and wait for all threads."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                cut(connection)
        self.server_close()

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection; one that comes too late is cut at once."""
        with self._lock:
            self._open.add(connection)
            if self.closing.is_set():
                cut(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._open.discard(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: connections break on purpose here, and own faults are kept in `errors`."""


def cut(connection: socket.socket) -> None:
    """End a connection in both directions, whatever its state."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    protocol_version = "HTTP/1.1"
    # Head and body leave in one piece: two small pieces would wait for the peer's delayed
    # acknowledgement, 40 ms each.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as fault:  # noqa: BLE001 - shown by the owner, see `LocalServer.errors`
            self.server.errors.append(fault)

    def do_POST(self) -> None:
        body = self._read_body()
        parts = urlsplit(self.path)
        answer = self.server.respond(
            Incoming(self.command, parts.path, parts.query, self.headers, body, time.monotonic())
        )
        if answer is None:
            self.close_connection = True
            cut(self.connection)
            return
        self.send_response(answer.status)
        headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
        for name, value in {**headers, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    # The names are those `http.server` looks for.
    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815

    def handle_expect_100(self) -> bool:
        """Ask for the body at once: the answer must not wait in the buffer."""
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        return self._read_exactly(int(self.headers.get("Content-Length") or 0))

    def _read_exactly(self, length: int) -> bytes:
        """Read a body; of one over the limit, only so much as shows that it is over."""
        if length > self.server.max_body_bytes * _DRAIN_FACTOR:
            raise IncompleteBodyError
        body = bytearray()
        while length:
            piece = self.rfile.read(min(length, _PIECE))
            if not piece:
                raise IncompleteBodyError
            length -= len(piece)
            if len(body) <= self.server.max_body_bytes:
                body += piece
        return bytes(body)

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self._read_line().split(b";")[0], 16):
            body += self._read_exactly(size)
            self._read_line()
            if len(body) > self.server.max_body_bytes * _DRAIN_FACTOR:
                raise IncompleteBodyError
        while self._read_line().strip():
            pass
        return bytes(body)

    def _read_line(self) -> bytes:
        line = self.rfile.readline(_PIECE)
        if not line:
            raise IncompleteBodyError
        return line

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """Say nothing: tests read the records instead."""
