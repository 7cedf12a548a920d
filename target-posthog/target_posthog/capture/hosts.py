"""The address that takes events, from whatever form of it the user gave."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from target_posthog.errors import FixConfiguration

#: The browser app's hosts, and the hosts that take events (posthog.com, docs/api).
_INGESTION_HOSTS = {
    "app.posthog.com": "us.i.posthog.com",
    "us.posthog.com": "us.i.posthog.com",
    "eu.posthog.com": "eu.i.posthog.com",
}


def ingestion_host(host: str) -> str:
    """Return the base URL that takes events, for whatever form of host the user gave.

    Raises:
        FixConfiguration: it is no http(s) address.
    """
    text = host.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise FixConfiguration(
            "`host` is not a valid URL.", "Set it to https://us.i.posthog.com or the like."
        )
    apps_twin = _INGESTION_HOSTS.get(parts.hostname or "")
    if apps_twin is not None:
        # What follows the app's host is a page.
        return f"https://{apps_twin}"
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def without_credentials(host: str) -> str:
    """Return a base URL as it may be shown: without a user and a password for a proxy."""
    parts = urlsplit(host)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
