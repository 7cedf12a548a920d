"""What a tap writes is read, and what it is not is told."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.errors import FixConfiguration
from target_posthog.estimate.weights import read_weights
from tests.target.test_any_input import VALUES

SAMPLE: dict[str, Any] = {
    "hour": "2024-01-01T05:00:00Z",
    "packed_bytes": 2000,
    "read": {"rows": 10, "packed_bytes": 1000, "unpacked_bytes": 9000},
    "seconds": 1.5,
}
SOUND: dict[str, Any] = {
    "version": 1,
    "source": "api",
    "place": "https://amplitude.com",
    "made_at": "2024-03-01T00:00:00Z",
    "first_hour": "2024-01-01T00:00:00Z",
    "end_hour": "2024-02-01T00:00:00Z",
    "hours": 744,
    "hours_under_48_h": 0,
    "spool_bytes": 17179869184,
    "requests": 30,
    "parallel": 3,
    "listed": None,
    "samples": [SAMPLE, SAMPLE],
}


def changed(**changes: Any) -> dict[str, Any]:
    """Return an estimate with some parts changed; `...` takes one out."""
    made = {**copy.deepcopy(SOUND), **changes}
    return {name: value for name, value in made.items() if value is not ...}


def test_an_estimate_is_read_whole() -> None:
    """Of the API, of files, and by other programs, which know less."""
    weights = read_weights(json.dumps(SOUND))
    assert (weights.hours, weights.requests, weights.packed_bytes) == (744, 30, None)
    assert weights.samples[0].seconds == 1.5
    assert weights.samples[0].read_bytes == 1000
    listed = {"hours": 700, "files": 1400, "packed_bytes": 10**9}
    files = read_weights(json.dumps(changed(source="archive", listed=listed)))
    assert files.packed_bytes == 10**9
    untimed = read_weights(json.dumps(changed(samples=[{**SAMPLE, "seconds": None}] * 2)))
    assert untimed.samples[0].seconds is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "not one of version 1"),
        ('{"type": "SCHEMA"}', "not one of version 1"),
        (json.dumps(changed(version=2)), "not one of version 1"),
        (json.dumps(changed(hours=0)), "lacks `hours`"),
        (json.dumps(changed(hours="744")), "lacks `hours`"),
        (json.dumps(changed(hours=True)), "lacks `hours`"),
        (json.dumps(changed(hours=float("nan"))), "lacks `hours`"),
        (json.dumps(changed(requests=-1)), "lacks `requests`"),
        (json.dumps(changed(requests=1e300)), "lacks `requests`"),
        (json.dumps(changed(samples=[])), "lacks `samples`"),
        (json.dumps(changed(samples={})), "lacks `samples`"),
        (json.dumps(changed(samples=[5])), "lacks `read`"),
        (json.dumps(changed(samples=[{**SAMPLE, "read": {}}])), "lacks `packed_bytes`"),
        (json.dumps(changed(first_hour="yesterday")), "lacks `first_hour`"),
        (json.dumps(changed(place=...)), "lacks `place`"),
        (json.dumps(changed(listed={})), "lacks `packed_bytes`"),
    ],
)
def test_what_is_no_estimate_is_told(text: str, words: str) -> None:
    """With the command that writes one."""
    with pytest.raises(FixConfiguration, match="tap-amplitude --estimate") as raised:
        read_weights(text)
    assert words in str(raised.value)


@given(name=st.sampled_from(sorted(SOUND)), value=VALUES)
def test_any_other_value_is_read_or_told(name: str, value: Any) -> None:
    """Never a traceback."""
    try:
        read_weights(json.dumps(changed(**{name: value})))
    except FixConfiguration as error:
        assert "estimate of the tap" in str(error)  # noqa: PT017 - either way is right
