"""The server below every stand-in keeps connections, shows its own mistakes, and ends cleanly."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.fakes.local_server import Answer, Incoming, StandIn

#: As much as a stand-in keeps of a body.
CHUNK = f"{StandIn.max_body_bytes:x}\r\n{'x' * StandIn.max_body_bytes}\r\n".encode()


class Echo(StandIn):
    """Answers with the body, but `/slow` after a minute, and `/broken` never."""

    def respond(self, incoming: Incoming) -> Answer:
        """Return the answer to one request."""
        if incoming.path == "/broken":
            raise ZeroDivisionError
        return Answer(200, incoming.wire_bytes, stall=60 if incoming.path == "/slow" else 0)


def connected(echo: StandIn) -> socket.socket:
    """Return a connection of its own."""
    return socket.create_connection(("127.0.0.1", urlsplit(echo.url).port or 0), timeout=30)


def test_one_connection_carries_many_requests() -> None:
    """Also with a body in chunks, so that a sender's pool is of use."""
    with (
        Echo() as echo,
        closing(http.client.HTTPConnection(urlsplit(echo.url).netloc)) as connection,
    ):
        sockets = set()
        bodies: list[Any] = [b"whole", b"", iter([b"in ", b"pieces"])]
        for sent, came in zip(bodies, (b"whole", b"", b"in pieces"), strict=True):
            connection.request("POST", "/", sent, encode_chunked=not isinstance(sent, bytes))
            sockets.add(connection.sock)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, came)
        assert len(sockets) == 1


@pytest.mark.parametrize(
    ("rest", "ends"),
    [
        (b"Content-Length: 99\r\n\r\n{", True),
        (b"Transfer-Encoding: chunked\r\n\r\n", True),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", True),
        (b"Content-Length: 9999999\r\n\r\n{", False),
        (b"Transfer-Encoding: chunked\r\n\r\n" + 3 * CHUNK, False),
    ],
    ids=["cut", "no chunk", "cut chunk", "too long", "too many chunks"],
)
def test_a_body_that_ends_too_early_or_never_is_no_request(rest: bytes, *, ends: bool) -> None:
    """The sender died, or would send too much; nothing is answered and nothing breaks."""
    with Echo() as echo, connected(echo) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + rest)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
        assert echo.most_under_way == 0


def test_the_end_waits_for_no_idle_or_slow_connection() -> None:
    """Neither a pool that stays open nor a slow answer, wanted or not, holds a test up."""
    threads = threading.active_count()
    with ExitStack() as clients:
        with Echo() as echo:
            pool = clients.enter_context(requests.Session())
            assert pool.get(echo.url, timeout=30).status_code == 200
            waiting = clients.enter_context(connected(echo))
            waiting.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
            with pytest.raises(requests.ReadTimeout):
                requests.get(f"{echo.url}/slow", timeout=0.1)
            while echo.under_way < 2:
                time.sleep(0.01)
            began = time.monotonic()
        assert time.monotonic() - began < 1.5
        assert waiting.recv(12) == b"HTTP/1.1 200"

    assert threading.active_count() == threads
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(echo.url, timeout=5)


def test_a_fault_of_the_stand_in_itself_fails_the_test() -> None:
    """It must not look like a fault of the service."""
    with (
        pytest.raises(ZeroDivisionError),
        Echo() as echo,
        pytest.raises(requests.ConnectionError),
    ):
        requests.get(f"{echo.url}/broken", timeout=30)
