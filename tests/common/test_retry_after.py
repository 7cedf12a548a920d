"""Whatever a server writes into `Retry-After` ends in a bounded wait."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_posthog.common.retry_after import remedy_of_wait, retry_after, wait_in_words

NOW = datetime(2026, 11, 28, tzinfo=timezone.utc).timestamp()
TEN_YEARS = 3650 * 86_400
ANY_TEXT = st.text(st.characters(max_codepoint=255), max_size=60)


@given(ANY_TEXT | st.from_regex(r"[+-]?\d*\.?\d*(e\d+)?", fullmatch=True))
@example("Wed, 21 Oct 99999 07:28:00 GMT")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Sat, 01 Jan 0000 00:00:00 +9999")
@example("9" * 5000)
@example("1, 2, 3, 4")
@example("0, 0, 0 0:0:0 0")
def test_any_text_is_a_bounded_wait(value: str) -> None:
    """None of it ends in a traceback."""
    assert 0 <= retry_after(value, NOW) <= TEN_YEARS


@pytest.mark.parametrize(
    ("value", "seconds"), [("17", 17.0), ("1.5", 1.5), (" 2 ", 2.0), ("9" * 400, TEN_YEARS)]
)
def test_seconds_may_have_a_fraction(value: str, seconds: float) -> None:
    """And are bounded."""
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (119, "119 s"),
        (3_600, "60 minutes"),
        (2 * 3_600 + 1, "3 hours"),
        (365 * 86_400, "365 days"),
        (73 * 365 * 86_400, "more than a year"),
    ],
)
def test_a_wait_is_said_in_a_unit_that_fits_and_never_in_years(seconds: float, words: str) -> None:
    """Nobody waits for years, and no server means them."""
    assert wait_in_words(seconds) == words
    assert ("Run again after that time" in remedy_of_wait(seconds)) is (words != "more than a year")


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "soon", "-5", "1e3", "1e999", "inf", "nan", "0x10", "²", "1.5.2", "\u0661"),
        *("Wed, 99 Nov 2024 99:00:00 GMT", "Fri, 99 Foo 2026 99:99:99 GMT"),
        *("Mon, 01 Jan 0001 00:00:00 -2359", "Fri, 31 Dec 1999 23:59:59 GMT"),
    ],
)
def test_what_cannot_be_read_or_is_past_is_no_wait(value: str | None) -> None:
    """The usual wait takes its place."""
    assert retry_after(value, NOW) == 0


@given(st.datetimes(timezones=st.just(timezone.utc), min_value=datetime(1900, 1, 1)))  # noqa: DTZ001 - as the strategy wants it
def test_a_date_is_waited_for(moment: datetime) -> None:
    """Up to ten years; a date of no zone is UTC."""
    moment = moment.replace(microsecond=0)
    wanted = min(max(0, moment.timestamp() - NOW), TEN_YEARS)
    for text in (
        format_datetime(moment, usegmt=True),
        format_datetime(moment.replace(tzinfo=None)),
    ):
        assert retry_after(text, NOW) == wanted
