"""PostHog's host: a request out, its response back, and every failure of the network in words."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from target_posthog.capture.bounded_http import Http, HttpResponse
from target_posthog.capture.hosts import without_credentials
from target_posthog.capture.network_errors import (
    network_words,
    unreadable_certificates,
    untrusted,
    unusable_proxy,
)
from target_posthog.capture.retries import Retryable
from target_posthog.capture.silence import SilenceWatch
from target_posthog.common.peer_words import PeerWords
from target_posthog.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping


class Peer:
    """Sends requests to one host; safe in several threads.

    Args:
        host: the ingestion host, as `ingestion_host` returns it.
        api_key: the project token; it is never shown.
        also: what else may help when the host is not PostHog's.

    Attributes:
        host: as it may be shown.
        service: what is expected there.
    """

    service = "PostHog's ingestion"

    def __init__(self, host: str, api_key: str, headers: Mapping[str, str], also: str = "") -> None:
        self.host = without_credentials(host)
        self._base = host
        self._also = also
        self._words = PeerWords(api_key)
        self._http = Http({"Content-Type": "application/json", **headers})
        self._silence = SilenceWatch(self.host)

    def post(
        self, path: str, data: bytes, *, headers: Mapping[str, str] | None = None, max_bytes: int
    ) -> HttpResponse:
        """Return the response to a request; see `Http.post`.

        Raises:
            Retryable: there was none.
            BadResponse: it is too long or damaged.
            FixConfiguration: there will be none before a setting is changed.
        """
        try:
            with self._silence.waiting():
                return self._http.post(
                    f"{self._base}{path}", data, headers=headers, max_bytes=max_bytes
                )
        except requests.exceptions.InvalidHeader:  # two lengths of one response
            raise Retryable(f"{self.host}: its answer is not HTTP") from None
        except ValueError as error:
            # requests, urllib3 and the idna codec each have their own, for some hosts.
            raise unusable_proxy(error, self.host) or self.wrong_host(
                "the address cannot be read"
            ) from None
        except requests.RequestException as error:
            raise untrusted(error, self.host) or Retryable(
                network_words(error, self.host)
            ) from None
        except OSError:
            raise unreadable_certificates(self.host) from None

    def shown(self, text: bytes | str) -> str:
        """Return what the host says as it may be shown."""
        return self._words.shown(text)

    def wrong_host(self, why: str) -> FixConfiguration:
        """Return the error for a host that is not PostHog's ingestion."""
        return FixConfiguration(
            f"{self.host} does not take events: {why}.",
            "Set `host` to https://us.i.posthog.com, https://eu.i.posthog.com or your own."
            f"{self._also}",
        )

    def foreign(self, response: HttpResponse) -> Retryable:
        """Return the error for a response that is not the service's: a maintenance page, a proxy.

        It says nothing of the request; perhaps the service answers again later.
        """
        return Retryable(
            f"{self.host} answered {response.status}, but not as {self.service} does: "
            f"{self.shown(response.body) or 'nothing'}",
            response.retry_after,
            response.status,
        )

    def redirect_of(self, response: HttpResponse) -> str | None:
        """Return in words where a response leads instead; None if it does not."""
        if not 300 <= response.status < 400:  # noqa: PLR2004 - 3xx
            return None
        where = self.shown(redirect_words(response.headers.get("Location")))
        return f"it answered {response.status} and {where}"

    def close(self) -> None:
        """Close the connections."""
        self._silence.close()
        self._http.close()


def redirect_words(location: str | None) -> str:
    """Return where a redirect leads, in words; what it says may be anything."""
    try:
        parts = urlsplit((location or "").strip())
        host = parts.netloc.rpartition("@")[2]
        is_valid = parts.port != 0 and (parts.scheme in {"http", "https"} or not parts.scheme)
    except ValueError:
        is_valid, host = False, ""
    if not location or not is_valid:
        return "redirects to what is not a valid address"
    if not host:
        return f"redirects to {parts.path}"
    return f"redirects to {parts.scheme or 'https'}://{host}{parts.path}"
