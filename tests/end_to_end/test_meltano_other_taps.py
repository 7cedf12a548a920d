"""The setting `streams` through the real `meltano run`: globs, constants, names with dots."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.meltano_project import MeltanoProject

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture

_TAP = """\
import json
names = ("id", "buyer", "at", "total", "note.text")
for stream in ("public-orders", "public-refunds", "shop.visits"):
    schema = {"type": "object", "properties": {name: {} for name in names}}
    key = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["id"]}
    record = {"id": 1, "buyer": "ann", "at": 1704103200, "total": 2.5, "note.text": "x"}
    print(json.dumps(key))
    print(json.dumps({"type": "RECORD", "stream": stream, "record": record}))
print(json.dumps({"type": "STATE", "value": {"done": 1}}))
"""
_PARTS: dict[str, Any] = {
    "event": {"value": "Placed"},
    "distinct_id": ["nobody", "buyer"],
    "timestamp": "at",
    "properties": {"sum": "total", "note": "note.text"},
}


@pytest.fixture
def project(tmp_path: Path) -> MeltanoProject:
    """A project with one more tap, which needs no installation."""
    project = MeltanoProject(tmp_path)
    tap = tmp_path / "tap-shop"
    tap.write_text(f"#!{sys.executable}\n{_TAP}")
    tap.chmod(0o755)
    return project


def run(project: MeltanoProject, posthog: PosthogCapture, streams: Any, **more: str) -> str:
    """Run the tap with a mapping in meltano.yml; return the log."""
    definition = project.definition
    definition["plugins"]["extractors"].append(
        {
            "name": "tap-shop",
            "namespace": "tap_shop",
            "executable": str(project.folder / "tap-shop"),
        }
    )
    (target,) = definition["plugins"]["loaders"]
    if streams is not None:
        target["config"] = {"streams": streams}
    project.define(definition)
    settings = {
        "TARGET_POSTHOG_API_KEY": posthog.api_key,
        "TARGET_POSTHOG_HOST": posthog.url,
        **more,
    }
    return project.meltano("run", "tap-shop", "target-posthog", settings=settings).checked().stderr


def sent(posthog: PosthogCapture) -> list[tuple[str, str, Any]]:
    """Return name, person and properties of what was sent."""
    return [(event["event"], event["distinct_id"], event["properties"]) for event in posthog.events]


_OURS = {
    "$geoip_disable": True,
    "$lib": "target-posthog",
    "$lib_version": version("target-posthog"),
}
_PLACED = ("Placed", "ann", {"sum": 2.5, "note": "x", **_OURS})


def test_an_object_with_globs_arrives_whole(
    project: MeltanoProject, posthog: PosthogCapture
) -> None:
    """A list of candidates and a constant come through, too."""
    streams = {"public-*": {**_PARTS, "event": "note.text"}, "public-orders": _PARTS, "*": _PARTS}
    log = run(project, posthog, streams)
    assert "[warning" not in log
    assert [one[0] for one in sent(posthog)] == ["Placed", "x", "Placed"]
    assert sent(posthog)[0] == _PLACED


def test_a_list_holds_names_with_dots(project: MeltanoProject, posthog: PosthogCapture) -> None:
    """Which Meltano takes apart as keys of an object."""
    run(
        project,
        posthog,
        [
            {"stream": "shop.visits", **_PARTS},
            {"stream": "*", "event": "id", "distinct_id": "buyer", "timestamp": "at"},
        ],
    )
    assert [one[0] for one in sent(posthog)] == ["1", "1", "Placed"]
    assert sent(posthog)[2] == _PLACED


def test_the_mapping_may_stand_in_the_environment(
    project: MeltanoProject, posthog: PosthogCapture
) -> None:
    """As JSON."""
    run(project, posthog, None, TARGET_POSTHOG_STREAMS=json.dumps({"*": _PARTS}))
    assert sent(posthog) == [_PLACED] * 3
