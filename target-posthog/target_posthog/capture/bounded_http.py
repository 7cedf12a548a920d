"""Requests to a peer that may not mean well, and responses that end: in time, and in bytes.

No redirect is followed: a POST would arrive as a GET without its body, and the key would go to
another host. No `.netrc` is read, which would take the place of the key. Proxies and certificates
from the environment count as they do for every program that uses `requests`.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import io
import logging
import threading
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import requests
import requests.adapters
import urllib3
from requests.auth import HTTPBasicAuth
from requests.utils import get_auth_from_url
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection

from target_posthog.common.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.connectionpool import HTTPConnectionPool

_CONNECT_SECONDS = 15
#: For a whole request to go out.
_SEND_SECONDS = 120
#: For a whole response, its head and its body, from the moment when the request is out. A time-out
#: of the socket alone would begin anew with every byte.
_ANSWER_SECONDS = 120
_PIECE = 64 * 1024
_ENCODINGS = ("gzip", "x-gzip", "deflate")
#: What zlib calls a gzip or a zlib container, whichever it is.
_ANY_CONTAINER = 47


class BadResponse(Exception):
    """A response came that is too long, or is not what it says it is; the text says which."""


@dataclass(frozen=True)
class HttpResponse:
    """What a peer answered, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float:
        """How many seconds the peer asks to be left alone."""
        return retry_after(self.headers.get("Retry-After"), time.time())

    @property
    def is_of_a_gate(self) -> bool:
        """Whether a refusal comes from something before PostHog, which has no pages.

        A proxy that wants a password, a firewall, a login page.
        """
        return "WWW-Authenticate" in self.headers or self.body.lstrip()[:1] == b"<"


class Http:
    """Sends requests; safe in several threads."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        # One for each thread: a session is not made for several at once.
        self._own = threading.local()
        self._sessions: list[requests.Session] = []

    def post(
        self, url: str, data: bytes, *, headers: Mapping[str, str] | None = None, max_bytes: int
    ) -> HttpResponse:
        """Send a request and return the response to it.

        `max_bytes` bounds the response, packed and unpacked.

        Raises:
            ValueError: the URL is not one.
            requests.RequestException: there was no response, or only a part of one.
            BadResponse: it is too long or damaged.
            OSError: the certificates that the environment names cannot be read.
        """
        response = self._session().post(
            url,
            data=data,
            headers=headers,
            timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
            allow_redirects=False,
            stream=True,
        )
        whole = False
        try:
            body = _body_of(response, max_bytes)
            whole = True
        finally:
            if not whole:
                # What is left of it must not be taken for the next response.
                response.close()
        return HttpResponse(response.status_code, response.headers, body)

    def close(self) -> None:
        """Close the connections."""
        for session in self._sessions:
            session.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = _new_session()
            session.headers.update(self._headers)
            self._sessions.append(session)
        return session


class _Session(requests.Session):
    @override
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return none: `requests` would look at where a redirect leads, and fail at bad ones."""
        return None


class _AuthOfUrl(requests.auth.AuthBase):
    """User and password that stand in the URL; with this set, nobody looks into `.netrc`."""

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        user, password = get_auth_from_url(request.url or "")
        if user and "Authorization" not in request.headers:
            return cast("requests.PreparedRequest", HTTPBasicAuth(user, password)(request))
        return request


def _new_session() -> requests.Session:
    session = _Session()
    session.auth = _AuthOfUrl()
    session.headers["Accept-Encoding"] = "gzip, deflate"
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    # It would show a peer's bad headers, with a traceback.
    logging.getLogger("urllib3.connection").setLevel(logging.CRITICAL)
    return session


def _body_of(response: requests.Response, max_bytes: int) -> bytes:
    packed = bytearray()
    try:
        while piece := response.raw.read(_PIECE, decode_content=False):
            packed += piece
            if len(packed) > max_bytes:
                raise _too_long(max_bytes)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.ConnectionError(error) from error
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    return _unpacked(bytes(packed), max_bytes) if encoding in _ENCODINGS else bytes(packed)


def _unpacked(packed: bytes, max_bytes: int) -> bytes:
    """Return what a gzip or deflate body holds; some servers send deflate without its container."""
    if not packed:
        return b""
    for container in (_ANY_CONTAINER, -zlib.MAX_WBITS):
        unpacker = zlib.decompressobj(container)
        try:
            body = unpacker.decompress(packed, max_bytes + 1)
        except zlib.error:
            continue
        if len(body) > max_bytes:
            raise _too_long(max_bytes)
        if unpacker.eof:
            return body
    raise BadResponse("its answer is damaged gzip")


def _too_long(max_bytes: int) -> BadResponse:
    return BadResponse(f"its answer is longer than {max_bytes:,} bytes")


class _TimedStream(io.RawIOBase):
    """What comes over a socket, until a moment."""

    def __init__(self, sock: Any, stream: Any, end: float) -> None:
        self._socket, self._stream, self._end = sock, stream, end

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
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


class _TimedResponse(http.client.HTTPResponse):
    """A response all of which must be there in time."""

    def __init__(self, sock: Any, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        stream = _TimedStream(sock, self.fp.detach(), time.monotonic() + _ANSWER_SECONDS)
        self.fp = io.BufferedReader(stream)


class _TimedSending:
    """A connection that takes a whole request in time, and no more than that for each."""

    sock: Any

    def send(self, data: Any) -> None:
        """Send; `urllib3` would give a whole request only the time to connect."""
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined] # of the connection that this is mixed into
        self.sock.settimeout(_SEND_SECONDS)
        super().send(data)  # type: ignore[misc] # same


class _HttpConnection(_TimedSending, HTTPConnection):
    response_class = _TimedResponse


class _HttpsConnection(_TimedSending, HTTPSConnection):
    response_class = _TimedResponse


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _HttpPool, "https": _HttpsPool}


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes connections of the kinds above, also through proxies."""

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
