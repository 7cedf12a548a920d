"""One project's connection to Amplitude: keys, time-outs, and what goes wrong, in words.

What an answer means is the business of whoever asked: `export_api` and `project_api`.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import requests

from tap_amplitude.answers import message_in, sentence
from tap_amplitude.config_checks import sends_keys_in_clear
from tap_amplitude.errors import FixConfiguration, WrongCredentials
from tap_amplitude.patience import TryAgain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_amplitude.settings import Settings

logger = logging.getLogger("tap-amplitude.connection")

#: How often to ask an address that looks wrong, before it counts as wrong.
ADDRESS_TRIES = 3

_CONNECT_SECONDS = 30
_ERROR_BODY_BYTES = 64 * 1024
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
        api_key: The project's API key.
        secret_key: The project's secret key.
        user_agent: How to introduce the tap.
        answer_seconds: How long to wait for an answer, and between two blocks of one.
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
        self._user_agent = user_agent
        self._of_thread = threading.local()

    @classmethod
    def of(cls, settings: Settings, user_agent: str) -> Connection:
        """Connect as the settings say; warn when others on the way could read the keys.

        Args:
            settings: Keys, address and time-out.
            user_agent: How to introduce the tap.

        Returns:
            A connection; nothing is sent yet.
        """
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
        """Ask; the body is still to be read, and the answer to be closed.

        Args:
            path: The endpoint's path, such as `/api/2/export`.
            parameters: The query.

        Returns:
            The answer, whatever its status.

        Raises:
            requests.RequestException: There is no answer; `failure` says what to do.
        """
        return self._session.get(
            self.base_url + path,
            params=parameters,
            stream=True,
            timeout=(_CONNECT_SECONDS, self.answer_seconds),
        )

    def failure(self, error: requests.RequestException) -> TryAgain:
        """Say what a failed request or a cut answer asks for.

        Args:
            error: What `get`, or the reading of a body, raised.

        Returns:
            What to raise: to be tried again, unless the address or a certificate is wrong.
        """
        cause = self.redact(str(error))
        if isinstance(error, _WRONG_ADDRESS):
            final = FixConfiguration(
                f"{self.base_url} cannot be reached: {cause}",
                remedy="Check `api_url`, or leave it out and set `region`.",
            )
            return TryAgain(cause, tries=1, final=final)
        told = f"the connection failed ({type(error).__name__}: {cause})."
        if isinstance(error, requests.exceptions.SSLError):
            # A certificate does not mend itself in half an hour; a cut handshake may.
            final = FixConfiguration(
                f"No secure connection to {self.base_url}: {cause}",
                remedy="Check `api_url` and the proxy; behind a company's proxy, point "
                "REQUESTS_CA_BUNDLE to its certificates.",
            )
            return TryAgain(told, tries=ADDRESS_TRIES, final=final)
        return TryAgain(told)

    def error_text(self, response: requests.Response) -> str:
        """Read the message of an error answer: one bounded line without the keys."""
        try:
            block = next(response.iter_content(_ERROR_BODY_BYTES), b"")
        except requests.RequestException:
            return ""
        return self.redact(message_in(block[:_ERROR_BODY_BYTES].decode("utf-8", "replace")))

    def redact(self, text: str) -> str:
        """Hide the keys in a text."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    @property
    def _session(self) -> requests.Session:
        """The session of this thread: requests does not promise that threads can share one."""
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = requests.Session()
            # On a redirect to another host, requests leaves this header out.
            session.auth = self._secrets
            session.headers["User-Agent"] = self._user_agent
        return session


def answered(status: int, body: str) -> str:
    """Tell an answer in a sentence, as the second half of one."""
    return sentence(f"it answered {status}" + (f": {body}" if body else ""))


def refused_keys(told: str) -> WrongCredentials:
    """Say that Amplitude refused the keys.

    Args:
        told: What it answered, as the second half of a sentence.

    Returns:
        The error to raise.
    """
    return WrongCredentials(
        f"Amplitude refused the keys: {told}",
        remedy="Check `api_key`, `secret_key` and `region`. The usual cause is a project "
        "that lives in the other region (`us` or `eu`).",
    )
