"""The definitions in `hub/`: the Hub would take them, and a new project works with them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.support.documents import document
from tests.support.meltano_project import REPOSITORY, MeltanoProject

if TYPE_CHECKING:
    from pathlib import Path

EXTRACTOR = REPOSITORY / "hub/extractors/tap-amplitude.yml"
LOADER = REPOSITORY / "hub/loaders/target-posthog.yml"

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_OF_BOTH = (
    *("about", "activate-version", "batch", "schema-flattening", "stream-maps"),
    "structured-logging",
)
_OF_EXTRACTORS = ("catalog", "discover", "log-based", "properties", "state", "test")
_SETTING = {
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("name", "label", "description", "placeholder", "env"), _TEXT),
        "kind": {"enum": ["array", "boolean", "integer", "object", "options", "string"]},
        "sensitive": {"type": "boolean"},
    },
}
#: What the Hub's schemas say of the keys that we use (github.com/meltano/hub, `schemas/common` and
#: `schemas/plugin_definitions`): closed, with these required.
_HUB = {
    "required": ["name", "namespace", "variant", "quality"],
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(
            ("name", "namespace", "variant", "label", "description", "executable", "domain_url"),
            _TEXT,
        ),
        "commands": {"type": "object"},
        "select": _TEXTS,
        "keywords": _TEXTS,
        "maintenance_status": {"enum": ["active", "beta", "development", "inactive", "unknown"]},
        "quality": {"enum": ["gold", "silver", "bronze", "unknown"]},
        "settings": {"type": "array", "minItems": 15, "items": _SETTING},
        "settings_group_validation": {"type": "array", "items": _TEXTS},
        "supported_python_versions": {"type": "array", "items": {"pattern": r"^3\.\d+$"}},
    },
}


@pytest.mark.parametrize(
    ("path", "capabilities"),
    [(EXTRACTOR, (*_OF_BOTH, *_OF_EXTRACTORS)), (LOADER, _OF_BOTH)],
    ids=lambda one: getattr(one, "stem", ""),
)
def test_the_hub_would_take_a_definition(path: Path, capabilities: tuple[str, ...]) -> None:
    """Its keys, kinds and capabilities are the Hub's."""
    given = {"type": "array", "items": {"enum": list(capabilities)}}
    schema: Any = {**_HUB, "properties": {**_HUB["properties"], "capabilities": given}}  # type: ignore[dict-item] # of one literal
    definition = yaml.safe_load(path.read_text())
    assert list(Draft7Validator(schema).iter_errors(definition)) == []
    names = {one["name"] for one in definition["settings"]}
    assert {name for group in definition["settings_group_validation"] for name in group} <= names


def test_a_project_of_ones_own_previews_and_replays_with_them(tmp_path: Path) -> None:
    """As the READMEs of the plugins say: a preview is one, and the commands are there."""
    (tmp_path / "amplitude-to-posthog").symlink_to(REPOSITORY)
    folder = tmp_path / "own"
    folder.mkdir()
    project = MeltanoProject(folder, {"project_id": "own", "environments": [{"name": "dev"}]})
    for name in (EXTRACTOR.stem, LOADER.stem):
        block = next(one for one in document(f"{name}/README.md").blocks if "add" in one.text)
        for command in map(shlex.split, block.text.splitlines()):
            if command[0] == "meltano":
                project.meltano(*command[1:]).checked()
    settings = {
        "MELTANO_ENVIRONMENT": "dev",
        "TAP_AMPLITUDE_ARCHIVE_PATH": str(REPOSITORY / "tests/fixtures/demo_export.zip"),
        "TARGET_POSTHOG_PREVIEW_PATH": "preview",
        "TARGET_POSTHOG_MAX_EVENTS_PER_SECOND": "1e6",
    }
    project.meltano("run", "tap-amplitude", "target-posthog", settings=settings).checked()
    assert json.loads((folder / "preview/summary.json").read_text())["accepted"] == 1507
    replayed = project.meltano("invoke", "target-posthog:replay", settings=settings).checked()
    assert "no rejects" in replayed.stderr
