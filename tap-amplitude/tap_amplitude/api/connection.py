"""One project's connection to Amplitude: keys, time-outs, and what goes wrong, in words.

What a response means is decided by `export` and `project`.
"""

from __future__ import annotations

import logging
import ssl
import threading
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from tap_amplitude.api.bodies import beginning
from tap_amplitude.api.responses import error_in, message_in, sentence
from tap_amplitude.api.retry import Retryable
from tap_amplitude.api.timed_heads import TimedHeads
from tap_amplitude.common.peer_words import PeerWords
from tap_amplitude.errors import FixConfiguration, WrongCredentials, causes_of
from tap_amplitude.validation import http_parts, sends_keys_in_clear

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_amplitude.settings import Settings

logger = logging.getLogger("tap-amplitude.connection")

#: How often to ask an address that looks wrong, before it counts as wrong.
ADDRESS_TRIES = 3

_CONNECT_SECONDS = 30
_ERROR_BODY_BYTES = 64 * 1024
_ERROR_SECONDS = 10
_MOST_REDIRECTS = 5
_WRONG_ADDRESS = (
    requests.TooManyRedirects,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)


class Connection:
    """Sends requests with the keys of one project; threads may share it.

    Args:
        base_url: `https://amplitude.com` or another base; each request adds its path.
        answer_seconds: How long to wait for a response, and between two blocks of one.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        secret_key: str,
        user_agent: str,
        answer_seconds: float,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.answer_seconds = answer_seconds
        self._secrets = (api_key, secret_key)
        self._words = PeerWords(api_key, secret_key)
        self._user_agent = user_agent
        self._of_thread = threading.local()

    @classmethod
    def of(cls, settings: Settings, user_agent: str) -> Connection:
        """Connect as the settings say; warn when others on the way could read the keys."""
        if sends_keys_in_clear(settings.base_url):
            logger.warning(
                "The keys and the answers travel unencrypted: %s is plain http. Use https.",
                settings.base_url,
            )
        return cls(
            base_url=settings.base_url,
            api_key=settings.api_key,
            secret_key=settings.secret_key,
            user_agent=user_agent,
            answer_seconds=settings.answer_seconds,
        )

    def get(self, path: str, parameters: Mapping[str, str]) -> requests.Response:
        """Send a GET request and return the response, whatever its status.

        The caller reads the body, and closes the response.

        Raises:
            requests.RequestException: There is no response; `failure` says what to do.
        """
        # Prepared, so that a redirect is compared with the address as it was really asked.
        request = requests.Request("GET", self.base_url + path, params=parameters)
        url = self._session.prepare_request(request).url or request.url
        for _ in range(_MOST_REDIRECTS):
            response = self._ask(url)
            target = _redirect_target(response)
            if target is None:
                return response
            # Its body is not read: it can be of any length.
            response.close()
            url = _next_url(url, target)
        raise requests.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects")

    def _ask(self, url: str) -> requests.Response:
        try:
            return self._session.get(
                url,
                # Any callable keeps requests from looking into `.netrc`.
                auth=self._secrets if _same_origin(url, self.base_url) else _without_keys,
                stream=True,
                timeout=(_CONNECT_SECONDS, self.answer_seconds),
            )
        except HTTPError as error:  # requests lets some through
            raise requests.ConnectionError(error) from error
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise
            # REQUESTS_CA_BUNDLE names no file.
            raise requests.exceptions.SSLError(error) from error

    def failure(self, error: requests.RequestException) -> Retryable:
        """Return the error for a failed request or a cut response, to be raised.

        Another try is worth it, unless the address or a certificate is wrong.
        """
        cause = sentence(self.redact(str(error)))
        if isinstance(error, _WRONG_ADDRESS):
            final = FixConfiguration(
                f"{self.base_url} cannot be reached: {cause}",
                remedy="Check `api_url`, or leave it out and set `region`.",
            )
            return Retryable(cause, tries=1, final=final)
        reason = f"the connection failed ({type(error).__name__}: {cause.rstrip('.')})."
        if isinstance(error, requests.exceptions.SSLError):
            final = FixConfiguration(
                f"No secure connection to {self.base_url}: {cause}",
                remedy="Check `api_url` and the proxy; behind a company's proxy, point "
                "REQUESTS_CA_BUNDLE to its certificates.",
            )
            # A certificate does not change within half an hour; a cut handshake may pass.
            is_untrusted = any(
                isinstance(cause, ssl.SSLCertVerificationError) for cause in causes_of(error)
            )
            return Retryable(reason, tries=1 if is_untrusted else ADDRESS_TRIES, final=final)
        return Retryable(reason)

    def error_text(self, response: requests.Response) -> str:
        """Read the message of an error response: one bounded line without the keys."""
        block = beginning(response, _ERROR_BODY_BYTES, patience_seconds=_ERROR_SECONDS)
        # A good status may come with part of what was asked for, which no log is to show.
        words = error_in if response.ok else message_in
        return self.redact(words(block.decode("utf-8", "replace")))

    def redact(self, text: str) -> str:
        """Hide the keys in a text, however they are written there, and bound it."""
        return self._words.shown(text)

    @property
    def _session(self) -> requests.Session:
        """The session of this thread: requests does not promise that threads can share one."""
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = _Session()
            session.headers["User-Agent"] = self._user_agent
            for scheme in ("http://", "https://"):
                session.mount(scheme, TimedHeads())
        return session


class _Session(requests.Session):
    """A session that follows no redirect: requests reads the whole body of each first."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None, as for any other answer."""


def _redirect_target(response: requests.Response) -> str | None:
    """Return where a response redirects to; None when it does not.

    Raises:
        requests.exceptions.InvalidURL: The address cannot be read.
    """
    if not response.is_redirect:
        return None
    try:
        return response.headers["Location"].encode("latin-1").decode("utf-8")
    except UnicodeError as error:
        response.close()
        raise requests.exceptions.InvalidURL("it redirects to an invalid address") from error


def _next_url(url: str, target: str) -> str:
    """Return the whole address that a redirect names.

    Raises:
        requests.exceptions.InvalidURL: It is not a valid one, or leads from https to http.
    """
    try:
        followed = urljoin(url, target)
    except ValueError:
        followed = ""
    parts = http_parts(followed)
    if parts is None:
        raise requests.exceptions.InvalidURL("it redirects to an invalid address")
    if parts.scheme == "http" and urlsplit(url).scheme == "https":
        raise requests.exceptions.InvalidURL(
            f"it redirects from https to plain http, at {parts.hostname}"
        )
    return followed


def _same_origin(url: str, other: str) -> bool:
    first, two = urlsplit(url), urlsplit(other)
    return (first.scheme, first.hostname, first.port) == (two.scheme, two.hostname, two.port)


def _without_keys(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def answered(status: int, body: str) -> str:
    """Return a response as the second half of a sentence."""
    return sentence(f"it answered {status}" + (f": {body}" if body else ""))


def refused_keys(reason: str) -> WrongCredentials:
    """Return the error of refused keys; `reason` is the second half of its sentence."""
    return WrongCredentials(
        f"Amplitude refused the keys: {reason}",
        remedy="Check `api_key`, `secret_key` and `region`. The usual cause is a project "
        "that lives in the other region (`us` or `eu`).",
    )
