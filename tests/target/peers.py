"""Peers that answer in ways that PostHog never does."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@contextmanager
def answering(
    status: int, headers: Mapping[str, str], body: bytes
) -> Iterator[tuple[str, list[bytes]]]:
    """Serve with one answer to everything; give the address and the requests so far."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    with serving(lambda connection: connection.sendall(head + body)) as served:
        yield served


@contextmanager
def serving(manner: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """Serve in a manner of one's own; give the address and the requests so far.

    Args:
        manner: what to do with a connection once the request is there.
    """
    requests: list[bytes] = []
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            requests.append(_request_from(connection))
            manner(connection)

    def accept() -> None:
        while not ended.is_set():
            with suppress(OSError):
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", requests
        finally:
            ended.set()
            acceptor.join()


def _request_from(connection: socket.socket) -> bytes:
    connection.settimeout(30)
    came = b""
    while b"\r\n\r\n" not in came:
        came += connection.recv(65536) or _gone()
    head, _, body = came.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(65536) or _gone()
    return head + b"\r\n\r\n" + body


def _gone() -> bytes:
    raise ConnectionError
