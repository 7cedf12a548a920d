"""One thing is not told as several."""

from __future__ import annotations

import pytest

from target_posthog.common.quantities import count


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (12_345, "12,345 files")]
)
def test_a_thing_has_its_number(number: int, words: str) -> None:
    """With separators."""
    assert count(number, "file") == words
