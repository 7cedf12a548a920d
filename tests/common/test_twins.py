"""What both plugins need stands in both, as neither depends on the other: the same but its name."""

from __future__ import annotations

from pathlib import Path

import tap_amplitude.common
import target_posthog.common


def test_common_is_the_same_in_both_plugins() -> None:
    """What is fixed in one is fixed in the other."""
    tap, target = (
        {
            path.name: path.read_text().replace("tap_amplitude", "target_posthog")
            for path in (
                *Path(*package.__path__).glob("*.py"),
                # `common` needs the errors, and so they must not need `common`.
                Path(*package.__path__).with_name("plugin_error.py"),
            )
        }
        for package in (tap_amplitude.common, target_posthog.common)
    )
    assert len(tap) > 1
    assert tap == target
