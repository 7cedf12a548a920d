"""What a peer says is shown as one bounded line, without the token in any coding."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest

from target_posthog.common.peer_words import HIDDEN, PeerWords

KEY = "phc_aB3-xY9_very_secret_token0123456789"
WORDS = PeerWords(KEY)


def in_base64(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()


CODINGS = {
    "plain": KEY,
    "other case": KEY.upper(),
    "URL": quote(KEY, safe="").replace("_", "%5F").replace("-", "%2d"),
    "whole URL": "".join(f"%{ord(char):02X}" for char in KEY),
    "twice in a URL": "".join(f"%25{ord(char):02x}" for char in KEY),
    "JSON": "".join(f"\\u{ord(char):04x}" for char in KEY),
    "JSON in JSON": json.dumps(json.dumps("".join(f"\\u{ord(char):04X}" for char in KEY))),
    "escaped": KEY.replace("_", r"\_").replace("-", r"\-"),
    "C": "".join(f"\\x{ord(char):02x}" for char in KEY),
    "HTML": "".join(f"&#{ord(char)};" for char in KEY),
    "HTML in hexadecimal": "".join(f"&#x{ord(char):X};" for char in KEY),
    "HTML text": html.escape(f"<b>{KEY}</b>"),
    "hexadecimal": KEY.encode().hex(),
    "base64": in_base64(KEY),
    "base64 of one before": in_base64(f"a{KEY}"),
    "base64 of two before": in_base64(f'{{"api_key":"{KEY}","batch":[]}}'),
    "base64 of a header": in_base64(f"Bearer {KEY}\r\n"),
    "base64 of user and password": in_base64(f"{KEY}:"),
    "base64 for URLs": base64.urlsafe_b64encode(f"??>{KEY}".encode()).decode(),
    "base64 in a URL": quote(in_base64(f"??>{KEY}>>?"), safe=""),
}


@pytest.mark.parametrize("coded", CODINGS.values(), ids=CODINGS.keys())
def test_the_token_is_hidden_in_every_coding(coded: str) -> None:
    """Error pages repeat the request, in the coding of their own pages."""
    shown = WORDS.shown(f"no such project: {coded} (sorry)".encode())
    assert HIDDEN in shown
    assert coded not in shown
    assert shown.startswith("no such project: ")
    assert len(shown) < len("no such project:  (sorry)") + len(coded) - len(KEY) + 10


def test_what_is_not_the_token_stays() -> None:
    """A message should still say what is wrong."""
    said = "The api_key phc_other is unknown (401) at https://eu.i.posthog.com/batch/?v=1&a=%20"
    assert WORDS.shown(said.encode()) == said


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"a\x1b[31mred\x07\x00", r"a\x1b[31mred\x07\x00"),
        ("\u202egnp.exe\u2066".encode(), r"\u202egnp.exe\u2066"),
        (b"a\r\n\tb\x0b c", "a b c"),
        (b"\x9b31m\xff", "\ufffd31m\ufffd"),
        ("\x9b31m".encode(), r"\x9b31m"),
        ("Zürich 😀".encode(), "Zürich 😀"),
        (b"", ""),
    ],
)
def test_nothing_acts_on_a_terminal(said: bytes, shown: str) -> None:
    """Nor does it begin a second line of the log."""
    assert WORDS.shown(said) == shown


def test_a_long_answer_is_cut() -> None:
    """Also one of control characters, each of which takes more room when it is written out."""
    assert len(WORDS.shown(b"x" * 10_000_000)) == 300
    assert len(WORDS.shown(b"\x1b" * 10_000_000)) < 1500


def test_a_token_at_the_cut_is_hidden_whole() -> None:
    """It is hidden before the text is cut."""
    for before in range(250, 310):
        shown = WORDS.shown(f"{'x' * before}{KEY}")
        assert "phc_a" not in shown
