"""The target's settings, in their types, without a target."""

from __future__ import annotations

from typing import Any

from target_posthog.settings import SETTINGS, Settings

_DEFAULTS: dict[str, Any] = {
    name: declared["default"]
    for name, declared in SETTINGS["properties"].items()
    if "default" in declared
}


def settings_of(**given: Any) -> Settings:
    """Return settings that are valid, without a check; the others have their defaults."""
    return Settings.read({**_DEFAULTS, **given})
