"""The HTTP half of the Export API's stand-in: sends answers, well or badly, and stops cleanly."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.amplitude_answers import Answer

_SECONDS_TO_FINISH = 2.0


class Application(Protocol):
    """What the server asks for answers."""

    def receive(self, target: str, authorization: str | None) -> Answer:
        """Return the answer to a GET of `target`; from here the request is under way."""

    def finish(self, answer: Answer, *, delivered: bool) -> None:
        """Take note that a request is no longer under way."""


class ExportServer(ThreadingHTTPServer):
    """Serves one application on the loopback interface.

    Args:
        application: what it asks for answers.
        port: where; 0 takes a free one.

    Attributes:
        closing: Set when the server stops; ends every stall.
        failures: Mistakes of the stand-in itself, for its owner to raise.
    """

    # Threads are waited for, so that no socket outlives the test (a ResourceWarning).
    daemon_threads = False
    # Many readers may knock at once: the cap on them is the application's to apply.
    request_queue_size = 64

    def __init__(self, application: Application, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.application = application
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
        """Keep a mistake of the stand-in; a reader that went away is none."""
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
    server: ExportServer

    def do_GET(self) -> None:
        application = self.server.application
        answer = application.receive(self.path, self.headers.get("Authorization"))
        noted = False

        def note() -> None:
            nonlocal noted
            noted = True
            application.finish(answer, delivered=True)

        try:
            self._send(answer, before_last_byte=note)
        except OSError:
            # The reader went away: nothing that this connection could still be told.
            self.close_connection = True
        finally:
            if not noted:
                application.finish(answer, delivered=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base
        """Log nothing: a test reads the records instead."""

    def _send(self, answer: Answer, *, before_last_byte: Callable[[], None]) -> None:
        head = self._head(answer)
        wire = head + answer.body[: answer.stop_after]
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
        before_last_byte()
        self.connection.sendall(wire[-1:])
        if answer.reset:
            self.server.reset_at_end(self.connection)

    def _head(self, answer: Answer) -> bytes:
        lines = [
            f"HTTP/1.1 {answer.status} {_phrase(answer.status)}",
            f"Content-Type: {answer.content_type}",
            *(f"{name}: {value}" for name, value in answer.headers),
        ]
        if answer.declare_length:
            lines.append(f"Content-Length: {len(answer.body)}")
        else:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
