"""What both plugins need stands in both, as neither depends on the other: the same to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

import tap_amplitude
import target_posthog

TAP, TARGET = (Path(*one.__path__) for one in (tap_amplitude, target_posthog))
TWINS = (
    "given_settings.py",
    "lenient_json.py",
    "line_blocks.py",
    "object_cutter.py",
    "peer_words.py",
    "remote_lines.py",
)


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_the_same_in_both_plugins(name: str) -> None:
    """What is fixed in one is fixed in the other."""
    assert (TAP / name).read_bytes() == (TARGET / name).read_bytes()
