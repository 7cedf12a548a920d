"""What both plugins need stands in both, as neither depends on the other: the same but its name."""

from __future__ import annotations

from pathlib import Path

import pytest

import tap_amplitude
import target_posthog

TAP, TARGET = (Path(*one.__path__) for one in (tap_amplitude, target_posthog))
TWINS = (
    "about_text.py",
    "checked_mapper.py",
    "given_settings.py",
    "lenient_json.py",
    "line_blocks.py",
    "object_cutter.py",
    "peer_words.py",
    "remote_lines.py",
    "setting_names.py",
    "stream_map_checks.py",
)


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_the_same_in_both_plugins(name: str) -> None:
    """What is fixed in one is fixed in the other."""
    ours, theirs = (
        (package / name).read_text().replace("tap_amplitude", "target_posthog")
        for package in (TAP, TARGET)
    )
    assert ours == theirs
