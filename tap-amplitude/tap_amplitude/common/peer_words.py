"""What a peer said, fit for a log: one line, bounded, nothing that acts on a terminal, no secret.

Pure. Some servers and proxies repeat the request in their error pages, in whatever coding.
"""

from __future__ import annotations

import base64
import html
import re
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

_SHOWN_CHARACTERS = 300
#: Of longer texts only so much is looked at.
_READ_CHARACTERS = 16 * 1024
#: Shorter pieces of a coded secret also stand for other things.
_LEAST_PIECE = 8
HIDDEN = "***"


class PeerWords:
    """Shows what a peer said, without some secrets; empty ones do not count."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = [secret for secret in secrets if secret]

    def shown(self, said: bytes | str) -> str:
        """Return the start of a text in one line, without the secrets."""
        text = said if isinstance(said, str) else said[:_READ_CHARACTERS].decode("utf-8", "replace")
        text = text[:_READ_CHARACTERS]
        if self._secrets:
            text = self._pattern.sub(HIDDEN, text)
        return escaped(" ".join(text.split())[:_SHOWN_CHARACTERS])

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """What finds a secret in every coding; made only when something has to be shown."""
        # Longest first: a secret may be the start of another form of it.
        forms = sorted({form for secret in self._secrets for form in _forms(secret)}, key=len)
        patterns = ("".join(map(_coded, form)) for form in reversed(forms))
        return re.compile("|".join(patterns), re.IGNORECASE)


def escaped(text: str) -> str:
    r"""Return a text whose control characters are written out, such as `\x1b`."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def one_line(record: logging.LogRecord) -> bool:
    """Write out, as a filter of log handlers, the control characters of names and data."""
    text = record.getMessage()
    if not text.isprintable():
        record.msg, record.args = escaped(text), None
    return True


def _forms(secret: str) -> set[str]:
    """Return a secret as it is, in hexadecimal, and as it looks inside longer base64 texts."""
    raw = secret.encode()
    forms = {secret, raw.hex()}
    for before in range(3):
        packed = base64.b64encode(bytes(before) + raw).decode("ascii")
        # The first and the last characters also hold bits of what stands around.
        inside = packed[ceil(before * 8 / 6) : (before + len(raw)) // 3 * 4]
        if len(inside) >= _LEAST_PIECE:
            forms |= {inside, inside.replace("+", "-").replace("/", "_")}
    return forms


def _coded(char: str) -> str:
    r"""Return a pattern for a character as it is, or coded.

    As `%70` in addresses (or `%2570`), as `\u0070` or `\x70` in JSON and other languages, as
    `&#112;`, `&#x70;` or `&amp;` in HTML.
    """
    code = ord(char)
    forms = (
        re.escape(char),
        "".join(f"%(?:25)*{byte:02x}" for byte in char.encode()),
        re.escape(html.escape(char)),
        rf"\\+(?:u00|x){code:02x}",
        rf"\\+{re.escape(char)}",
        f"&#0*{code};",
        f"&#x0*{code:x};",
    )
    return f"(?:{'|'.join(forms)})"
