"""What HTTP says beside a status: when to come again, and where to go instead. Pure."""

from __future__ import annotations

import email.utils
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = re.compile(r"\s*([0-9]{1,400}(?:\.[0-9]{0,400})?)\s*", re.ASCII)
#: Nobody waits longer; it keeps what is counted with finite.
_LONGEST = 10 * 365 * 86_400.0


def retry_after(value: str | None, now: float) -> float:
    """Return the seconds that `Retry-After` asks for, 0 when it says nothing that can be read.

    Args:
        value: seconds, also with a fraction, or a date (RFC 9110 §10.2.3).
        now: seconds since 1970.
    """
    number = _SECONDS.fullmatch(value or "")
    if number is not None:
        return min(float(number[1]), _LONGEST)
    try:
        moment = email.utils.parsedate_to_datetime(value or "").timestamp()
    except (TypeError, ValueError, OverflowError, IndexError, OSError):
        # Each Python refuses unreadable dates, and years that it cannot count, in its own way.
        return 0.0
    return min(max(0.0, moment - now), _LONGEST)


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
