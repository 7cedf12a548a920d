"""The HTTP side of every stand-in: sockets, bodies, answers sent well or badly, and a clean end."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message
    from types import TracebackType

    from typing_extensions import Self

# PostHog's capture reads on past its limit, up to as much again, so that the answer still arrives
# (rust/capture/tests/integration_wire_body_limits.rs).
_DRAIN_FACTOR = 2
_PIECE = 1 << 16
_SECONDS_TO_FINISH = 2.0


@dataclass(frozen=True)
class Incoming:
    """A request as the server read it.

    Attributes:
        method: Its HTTP method.
        path: Without the query.
        query: What stood behind the question mark.
        headers: As received; looked up without regard to case.
        wire_bytes: The body as it came over the wire.
        arrived: When it was there whole, in seconds of `time.monotonic`.
        under_way: How many requests were under way then, this one among them.
    """

    method: str
    path: str
    query: str
    headers: Message[str, str] = field(repr=False)
    wire_bytes: bytes = field(repr=False)
    arrived: float
    under_way: int = 1


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, and how its bytes travel.

    Attributes:
        status: The HTTP status.
        body: The whole body.
        content_type: The Content-Type header.
        headers: Further headers.
        declare_length: Whether Content-Length is sent; without it the connection's end
            is the body's end.
        stop_after: Bytes of the body after which the connection ends, short of its length.
        say_nothing: End the connection before the status line.
        reset: End the connection with a TCP reset, not in order.
        stall: Seconds without a byte.
        stall_after: Bytes of the body before the stall; `None` = before the status line.
    """

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    declare_length: bool = True
    stop_after: int | None = None
    say_nothing: bool = False
    reset: bool = False
    stall: float = 0.0
    stall_after: int | None = None


class StandIn:
    """A service that answers on this machine, from threads, while its context is open.

    Args:
        port: Where it serves; 0 takes a free one.

    Attributes:
        max_body_bytes: Of a longer body only so much is kept as shows that it is longer.
        under_way: How many requests are being answered now.
        most_under_way: How many there were at the same time at most.
    """

    max_body_bytes = 1 << 20

    def __init__(self, port: int = 0) -> None:
        self.under_way = self.most_under_way = 0
        self._port = port
        self._counting = threading.Lock()
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        """Open the port and begin to serve."""
        self._server = _Server(self, self._port)
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every connection; raise what broke in the stand-in itself, if anything did."""
        self._running.stop()
        if kind is None and self._running.failures:
            raise self._running.failures[0]

    @property
    def url(self) -> str:
        """The address to give to a client, without a slash at the end."""
        return f"http://127.0.0.1:{self._running.server_port}"

    def respond(self, incoming: Incoming) -> Answer:
        """Return the answer to one request."""
        raise NotImplementedError

    def delivered(self, answer: Answer) -> None:
        """Take note that a reader has all that it is to get of an answer."""

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the end of the context."""
        self._running.closing.wait(seconds)

    @contextlib.contextmanager
    def counted(self) -> Iterator[int]:
        """Have one request more under way; give how many there are with it."""
        with self._counting:
            self.under_way += 1
            number = self.under_way
            self.most_under_way = max(self.most_under_way, number)
        try:
            yield number
        finally:
            with self._counting:
                self.under_way -= 1

    @property
    def _running(self) -> _Server:
        if self._server is None:
            raise RuntimeError("the stand-in serves only inside its `with` block")
        return self._server


class _Server(ThreadingHTTPServer):
    """An HTTP/1.1 server that keeps connections open and can end them all.

    Attributes:
        closing: Set when the server stops; ends every stall.
        failures: Mistakes of the stand-in itself, for its owner to raise.
    """

    # Threads are waited for, so that none outlives a test, and no socket (a ResourceWarning).
    daemon_threads = False
    # Many clients may knock at once: a cap on them is the service's to apply.
    request_queue_size = 128

    def __init__(self, service: StandIn, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.service = service
        self.closing = threading.Event()
        self.failures: list[BaseException] = []
        self._connections: set[socket.socket] = set()
        self._to_reset: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._loop = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    def server_bind(self) -> None:
        """Take a port, without the look-up of a host name that HTTPServer would do."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def start(self) -> None:
        """Begin to serve."""
        self._loop.start()

    def stop(self) -> None:
        """Finish what is under way, end every connection and free the port."""
        self.closing.set()
        self.shutdown()
        self._loop.join()
        with self._changed:
            # Idle kept-alive connections see their end; answers under way may still go out.
            self._end_connections(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._connections, _SECONDS_TO_FINISH)
            self._end_connections(socket.SHUT_RDWR)
        self.server_close()

    def reset_at_end(self, connection: socket.socket) -> None:
        """End this connection with a TCP reset."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._to_reset.add(connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        with self._changed:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        if request in self._to_reset:
            # Without the orderly end that would go before: the reader gets the reset itself.
            self._to_reset.discard(request)
            self.close_request(request)
        else:
            super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep a mistake of the stand-in; a client that went away is none."""
        del request, client_address
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, (ConnectionError, TimeoutError)):
            self.failures.append(error)

    def _end_connections(self, how: int) -> None:
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(how)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer goes out in pieces, which would otherwise wait 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        body = self._read_body()
        parts = urlsplit(self.path)
        service = self.server.service
        with contextlib.ExitStack() as under_way:
            number = under_way.enter_context(service.counted())
            answer = service.respond(
                Incoming(
                    *(self.command, parts.path, parts.query, self.headers, body),
                    *(time.monotonic(), number),
                )
            )
            try:
                self._send(answer, under_way)
            except OSError:
                # The reader went away: nothing that this connection could still be told.
                self.close_connection = True

    # The names are those `http.server` looks for.
    do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def _send(self, answer: Answer, under_way: contextlib.ExitStack) -> None:
        head = self._head(answer)
        wire = head
        if self.command != "HEAD":
            wire += answer.body[: answer.stop_after]
        if answer.say_nothing:
            wire = b""
        if answer.say_nothing or answer.stop_after is not None or not answer.declare_length:
            self.close_connection = True
        pause_at = 0 if answer.stall_after is None else len(head) + answer.stall_after
        pause_at = max(0, min(pause_at, len(wire) - 1))
        self.connection.sendall(wire[:pause_at])
        if answer.stall:
            self.server.closing.wait(answer.stall)
        self.connection.sendall(wire[pause_at:-1])
        # Before the last byte, so that a reader that has it all finds it noted.
        self.server.service.delivered(answer)
        under_way.close()
        self.connection.sendall(wire[-1:])
        if answer.reset:
            self.server.reset_at_end(self.connection)

    def _head(self, answer: Answer) -> bytes:
        lines = [
            f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}",
            f"Content-Type: {answer.content_type}",
            f"Date: {formatdate(usegmt=True)}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        if answer.declare_length:
            lines.append(f"Content-Length: {len(answer.body)}")
        else:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        return self._read_exactly(int(self.headers.get("Content-Length") or 0))

    def _read_exactly(self, length: int) -> bytes:
        """Read a body; of one over the limit, only so much as shows that it is over."""
        most = self.server.service.max_body_bytes
        if length > most * _DRAIN_FACTOR:
            raise ConnectionError("the body is too long to wait for")
        body = bytearray()
        while length:
            piece = self.rfile.read(min(length, _PIECE)) or _gone()
            length -= len(piece)
            if len(body) <= most:
                body += piece
        return bytes(body)

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self._read_line().split(b";")[0], 16):
            body += self._read_exactly(size)
            self._read_line()
            if len(body) > self.server.service.max_body_bytes * _DRAIN_FACTOR:
                raise ConnectionError("the body is too long to wait for")
        while self._read_line().strip():
            pass
        return bytes(body)

    def _read_line(self) -> bytes:
        return self.rfile.readline(_PIECE) or _gone()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base
        """Log nothing: a test reads the records instead."""


def _gone() -> bytes:
    raise ConnectionError("the sender went away")
