"""Reads the golden pairs: an exported row, and the outcome that was written down for it by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_posthog.formats.options import Options
from target_posthog.model import Conversion, Converted, Skipped
from target_posthog.settings import SETTINGS
from tests.support.target_settings import settings_of

FOLDER = Path(__file__).parents[1] / "fixtures" / "mapping"

#: The keys of an expected outcome; `why` and `options` stand beside it.
_OUTCOMES = ({"event", "link", "groups"}, {"rejected"}, {"skipped"})


@dataclass(frozen=True)
class GoldenPair:
    """One case of `tests/fixtures/mapping`.

    Attributes:
        name: the folder's name.
        row: the exported row.
        expected: `{"event", "link", "groups"}`, `{"rejected"}` or `{"skipped"}`.
        settings: the target's settings that differ from the defaults.
        why: the facts behind the expectation.
    """

    name: str
    row: dict[str, Any]
    expected: dict[str, Any]
    settings: dict[str, Any]
    why: list[str]

    @property
    def properties(self) -> dict[str, Any]:
        """The expected properties; none when no event is expected."""
        properties: dict[str, Any] = self.expected.get("event", {}).get("properties", {})
        return properties


def load_all() -> list[GoldenPair]:
    """Return every pair, by name."""
    return [_load(folder) for folder in sorted(FOLDER.iterdir())]


def _load(folder: Path) -> GoldenPair:
    row = json.loads((folder / "amplitude.json").read_text(encoding="utf-8"))
    written = json.loads((folder / "posthog.json").read_text(encoding="utf-8"))
    settings, why = written.pop("options", {}), written.pop("why")
    if written.keys() not in _OUTCOMES:
        raise ValueError(f"{folder.name}: {sorted(written)} is no outcome")
    return GoldenPair(folder.name, row, written, settings, why)


def options_of(settings: dict[str, Any]) -> Options:
    """Return the conversion's options for settings as a user writes them."""
    unknown = settings.keys() - SETTINGS["properties"].keys()
    if unknown:
        raise ValueError(f"{sorted(unknown)} are no settings")
    return Options.of(settings_of(**settings))


def outcome_of(conversion: Conversion) -> dict[str, Any]:
    """Return a conversion in the form in which the pairs write it."""
    if isinstance(conversion, Converted):
        link = conversion.link
        return {
            "event": conversion.event,
            "link": link and {"user_id": link.user_id, "device_id": link.device_id},
            "groups": [
                {
                    "group_type": group.group_type,
                    "group_key": group.group_key,
                    "properties": group.properties,
                }
                for group in conversion.groups
            ],
        }
    if isinstance(conversion, Skipped):
        return {"skipped": conversion.rule}
    return {"rejected": conversion.code}


def as_json(value: Any) -> str:
    """Return a value as text in which 1, 1.0 and true are different, as they are in JSON."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1)
