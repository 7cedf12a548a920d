"""Numbers as a person reads them. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from target_posthog.common.quantities import count

if TYPE_CHECKING:
    from target_posthog.estimate.arithmetic import Count

_DIGITS = 3
_MILLION, _BILLION = 10**6, 10**9
_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_PARTS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def rounded(number: float) -> int:
    """Return a guess with no more digits than it can have."""
    if not number:
        return 0
    place = _DIGITS - 1 - math.floor(math.log10(abs(number)))
    return round(round(number, place)) if place < 0 else round(number)


def number_of(count: Count) -> str:
    """Return how many, with separators: exact ones as they are, guesses rounded."""
    return f"{count.likely if count.is_exact else rounded(count.likely):,}"


def between(count: Count) -> str:
    """Return the range of a guess; empty for an exact number."""
    if count.is_exact:
        return ""
    return f"between {rounded(count.low):,} and {rounded(count.high):,}, nine times in ten"


def in_words(number: int) -> str:
    """Return a large number as one says it: `30.1 million`."""
    for unit, name in ((_BILLION, "billion"), (_MILLION, "million")):
        if number >= unit:
            return f"{rounded(number) / unit:,.3g} {name}"
    return f"{rounded(number):,}"


def size_of(size: float) -> str:
    """Return a number of bytes in the unit that fits."""
    for name, unit in _UNITS:
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size:,.0f} bytes"


def time_of(seconds: float) -> str:
    """Return a length of time in its two largest parts: `2 h 10 min`."""
    left = max(1, round(seconds))
    said: list[str] = []
    for name, length in _PARTS:
        number, left = divmod(left, length)
        if number or said:
            said.append(count(number, name) if name == "day" else f"{number:,} {name}")
        if len(said) == 2:  # noqa: PLR2004 - two parts
            break
    return " ".join(part for number, part in enumerate(said) if number == 0 or part[0] != "0")
