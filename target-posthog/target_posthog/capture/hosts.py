"""The addresses that take events and queries, from whatever form of them the user gave."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from target_posthog.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping

#: PostHog's own regions, by the hosts that take events.
REGIONS = MappingProxyType(
    {"https://us.i.posthog.com": "US Cloud", "https://eu.i.posthog.com": "EU Cloud"}
)
#: The browser app's hosts, and the hosts that take events (posthog.com, docs/api).
_INGESTION_HOSTS = {
    "app.posthog.com": "us.i.posthog.com",
    "us.posthog.com": "us.i.posthog.com",
    "eu.posthog.com": "eu.i.posthog.com",
}


#: The other way round. An app's host stands for itself, without the page behind it.
_APP_HOSTS = {
    "app.posthog.com": "us.posthog.com",
    **{host: host for host in ("us.posthog.com", "eu.posthog.com")},
    "us.i.posthog.com": "us.posthog.com",
    "eu.i.posthog.com": "eu.posthog.com",
}


def ingestion_host(host: str) -> str:
    """Return the base URL that takes events, for whatever form of host the user gave.

    Raises:
        FixConfiguration: it is no http(s) address.
    """
    return _base_url(host, _INGESTION_HOSTS, "`host`", "https://us.i.posthog.com")


def app_host(given: str | None, host: str) -> str:
    """Return the base URL of the browser's app, which also takes queries.

    Without the setting it is the twin of `host`; one's own installation has one host.

    Raises:
        FixConfiguration: it is no http(s) address.
    """
    if given:
        return _base_url(given, _APP_HOSTS, "`app_host`", "https://us.posthog.com")
    return _base_url(ingestion_host(host), _APP_HOSTS, "`host`", "https://us.i.posthog.com")


def _base_url(text: str, twins: Mapping[str, str], setting: str, example: str) -> str:
    """Return an address without what has no meaning in it.

    `twins` are hosts that stand for another; what follows one of them is a page. `example` shows
    how the setting may look.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise FixConfiguration(
            f"{setting} is not a valid URL.", f"Set it to {example} or the like."
        )
    twin = twins.get(parts.hostname or "")
    if twin is not None:
        return f"https://{twin}"
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def without_credentials(host: str) -> str:
    """Return a base URL as it may be shown: without a user and a password for a proxy."""
    parts = urlsplit(host)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
