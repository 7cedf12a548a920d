"""Where a redirect leads is told, whatever it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.peer import redirect_words

TEXTS = st.text(st.characters(max_codepoint=255), max_size=60)


@given(TEXTS | st.from_regex(r"(https?:)?//[\[\]:@%a.\d]*/?.{0,9}", fullmatch=True))
def test_any_redirect_is_told_in_words(location: str) -> None:
    """Without what stands before the host or behind the path: those can hold secrets."""
    assert redirect_words(location).startswith("redirects to ")
    told = redirect_words(f"https://me:hushhush@host/path?token=hushhush#{location}")
    assert told == "redirects to https://host/path"
