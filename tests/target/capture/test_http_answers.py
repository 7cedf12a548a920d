"""What HTTP says beside a status is read without a failure, whatever it says."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from email.utils import format_datetime

from hypothesis import example, given
from hypothesis import strategies as st

from target_posthog.capture.http_answers import redirect_words, retry_after

NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)
TEXTS = st.text(st.characters(max_codepoint=255), max_size=60)


@given(TEXTS | st.from_regex(r"[+-]?\d*\.?\d*(e\d+)?", fullmatch=True))
@example("Wed, 21 Oct 99999 07:28:00 GMT")
@example("Sat, 01 Jan 0000 00:00:00 +9999")
@example("9" * 5000)
@example("1, 2, 3, 4")
@example("0, 0, 0 0:0:0 0")
def test_any_retry_after_is_a_finite_wait(value: str) -> None:
    """Or none, when it cannot be read."""
    seconds = retry_after(value, NOW.timestamp())
    assert 0 <= seconds < math.inf


@given(st.datetimes(timezones=st.just(timezone.utc), min_value=datetime(1900, 1, 1)))  # noqa: DTZ001 - as the strategy wants it
def test_a_date_is_waited_for(moment: datetime) -> None:
    """RFC 9110 §10.2.3; up to ten years."""
    text = format_datetime(moment.replace(microsecond=0), usegmt=True)
    wanted = (moment.replace(microsecond=0) - NOW).total_seconds()
    assert retry_after(text, NOW.timestamp()) == min(max(0, wanted), 3650 * 86_400)


@given(TEXTS | st.from_regex(r"(https?:)?//[\[\]:@%a.\d]*/?.{0,9}", fullmatch=True))
def test_any_redirect_is_told_in_words(location: str) -> None:
    """Without what stands before the host or behind the path: those can hold secrets."""
    assert redirect_words(location).startswith("redirects to ")
    told = redirect_words(f"https://me:hushhush@host/path?token=hushhush#{location}")
    assert told == "redirects to https://host/path"
