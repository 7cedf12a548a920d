"""Why there was no response, in words that name the host and the cause."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from typing import TYPE_CHECKING

import requests
import urllib3.exceptions

from target_posthog.capture.hosts import without_credentials
from target_posthog.common.peer_words import escaped
from target_posthog.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterator

_exceptions = requests.exceptions
_PROXY_SCHEMES = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"}
_TUNNEL = re.compile(r"Tunnel connection failed: ([0-9]{3})")
#: Causes that the operating system numbers, in words.
_BY_NUMBER = {
    errno.EMFILE: "this process may not open more files (see `ulimit -n`)",
    errno.ENFILE: "this machine has no more open files to give",
    errno.ENETUNREACH: "there is no network",
    errno.EHOSTUNREACH: "there is no route to it",
    errno.ECONNREFUSED: "the connection was refused",
}
#: What the libraries' own errors mean, the more telling ones first.
_BY_KIND: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((requests.ConnectTimeout,), "no connection within the time-out"),
    (
        (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError),
        "no answer within the time-out",
    ),
    (
        (ConnectionError, urllib3.exceptions.ProtocolError),
        "the connection was cut before the answer was whole",
    ),
)


def network_words(error: BaseException, host: str) -> str:
    """Return what happened to a request that has no response."""
    causes = list(_causes(error))
    if any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return f"{host}: {_proxy_words(host, causes)}"
    return f"{host}: {_cause_words(causes)}"


def untrusted(error: BaseException, host: str) -> FixConfiguration | None:
    """Return the error to stop with when the peer's certificate is not trusted, else None.

    To wait would not help: somebody has to look at it.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return FixConfiguration(
                f"The certificate of {host} is not trusted: {escaped(cause.verify_message)}.",
                "Check `host`. Behind a proxy that reads along, or with an authority of your own, "
                "set REQUESTS_CA_BUNDLE to a file with its certificates.",
            )
    return None


def unreadable_certificates(host: str) -> FixConfiguration:
    """Return the error for certificates of trusted authorities that cannot be read."""
    return FixConfiguration(
        f"The certificates to check {host} with cannot be read.",
        "Set REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE to a file of certificates, or to nothing.",
    )


def unusable_proxy(error: ValueError, host: str) -> FixConfiguration | None:
    """Return the error for a proxy of the environment that is not one, else None."""
    said_so = isinstance(error, (_exceptions.InvalidProxyURL, _exceptions.InvalidSchema))
    if not said_so and _is_address(_proxy_of(host)):
        return None
    return FixConfiguration(
        f"{_name_of_proxy(host)} cannot be used.",
        "Correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; a SOCKS proxy needs the package PySocks.",
    )


def _cause_words(causes: list[BaseException]) -> str:
    known = next(filter(None, map(_certain_cause, causes)), None)
    if known is not None:
        return known
    for kinds, words in _BY_KIND:
        if any(isinstance(cause, kinds) for cause in causes):
            return words
    return "the connection failed"


def _certain_cause(cause: BaseException) -> str | None:
    if isinstance(cause, socket.gaierror):
        return "the name cannot be resolved (DNS)"
    if isinstance(cause, ssl.SSLError):
        reason = (cause.reason or "unknown reason").replace("_", " ").lower()
        return f"the TLS connection failed ({escaped(reason)})"
    return _BY_NUMBER.get(cause.errno or 0) if isinstance(cause, OSError) else None


def _proxy_words(host: str, causes: list[BaseException]) -> str:
    name = _name_of_proxy(host)
    for cause in causes:
        status = _TUNNEL.match(str(cause))
        if status is not None:
            return f"{name} refused the connection ({status[1]})"
    return f"{name} cannot be reached: {_cause_words(causes)}"


def _proxy_of(host: str) -> str:
    """Return the proxy that the environment names for a host; "" when there is none."""
    proxies = requests.utils.get_environ_proxies(host)
    return requests.utils.select_proxy(host, proxies) or ""


def _is_address(proxy: str) -> bool:
    """Tell whether a proxy can be one, as far as its address tells; none at all is no fault."""
    if not proxy:
        return True
    try:
        parsed = urllib3.util.parse_url(proxy)
    except urllib3.exceptions.LocationParseError:
        return False
    return bool(parsed.host) and parsed.scheme in _PROXY_SCHEMES


def _name_of_proxy(host: str) -> str:
    proxy = _proxy_of(host)
    shown = escaped(without_credentials(proxy)) if _is_address(proxy) else "of the environment"
    return f"the proxy {shown}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and the errors that it stands for, however they are kept."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        kept = (*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__)
        waiting += [part for part in kept if isinstance(part, BaseException)]
