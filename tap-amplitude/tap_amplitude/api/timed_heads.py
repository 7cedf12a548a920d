"""Connections on which the head of a response must be there in time; for bodies see `bodies`.

The time-out of a socket begins anew with every byte: a peer that sends one now and then, or
`100 Continue` without an end, would be waited for without an end.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any

import urllib3
from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from urllib3.connectionpool import HTTPConnectionPool


class _Stream(io.RawIOBase):
    """What comes over a socket: as long as the head is not there, within the socket's time-out."""

    def __init__(self, sock: Any, stream: Any) -> None:
        self._socket, self._stream = sock, stream
        self._seconds = sock.gettimeout()
        self._end = None if self._seconds is None else time.monotonic() + self._seconds

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(left)
        count: int = self._stream.readinto(buffer)
        return count

    @override
    def close(self) -> None:
        self._stream.close()
        super().close()

    def head_is_there(self) -> None:
        """Have each read last as long as it may from now on."""
        self._end = None
        self._socket.settimeout(self._seconds)


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self._stream = _Stream(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._stream)

    @override
    def begin(self) -> None:
        super().begin()
        self._stream.head_is_there()


class _HttpConnection(HTTPConnection):
    response_class = _Response


class _HttpsConnection(HTTPSConnection):
    response_class = _Response


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _HttpPool, "https": _HttpsPool}


class TimedHeads(HTTPAdapter):
    """Makes such connections, also through proxies."""

    @override
    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    @override
    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **named)
        if not arguments[0].lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager
