"""Whether a refusal is PostHog's own, and where a redirect leads. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_of_a_gate(headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether a refusal comes from something before PostHog, which has no pages.

    A proxy that wants a password, a firewall, a login page.
    """
    return "WWW-Authenticate" in headers or body.lstrip()[:1] == b"<"


def redirect_words(location: str | None) -> str:
    """Return where a redirect leads, in words; what it says may be anything."""
    try:
        parts = urlsplit((location or "").strip())
        host = parts.netloc.rpartition("@")[2]
        sound = parts.port != 0 and (parts.scheme in {"http", "https"} or not parts.scheme)
    except ValueError:
        sound, host = False, ""
    if not location or not sound:
        return "redirects to what is not a valid address"
    if not host:
        return f"redirects to {parts.path}"
    return f"redirects to {parts.scheme or 'https'}://{host}{parts.path}"
