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


_OURS = {
    "$geoip_disable": True,
    "$lib": "target-posthog",
    "$lib_version": version("target-posthog"),
}


@pytest.mark.parametrize(
    ("in_file", "variable", "names"),
    [
        pytest.param(
            {"public-*": {**_PARTS, "event": "note.text"}, "public-orders": _PARTS, "*": _PARTS},
            None,
            ["Placed", "x", "Placed"],
            id="an object with globs",
        ),
        pytest.param(
            # Meltano takes names with dots apart where they are keys of an object.
            [
                {"stream": "shop.visits", **_PARTS},
                {"stream": "*", "event": "id", "distinct_id": "buyer", "timestamp": "at"},
            ],
            None,
            ["1", "1", "Placed"],
            id="a list with names with dots",
        ),
        pytest.param(None, {"*": _PARTS}, ["Placed"] * 3, id="JSON in the environment"),
    ],
)
def test_a_mapping_arrives_whole(
    tmp_path: Path, posthog: PosthogCapture, in_file: Any, variable: Any, names: list[str]
) -> None:
    """A list of candidates and a constant come through, too."""
    project = MeltanoProject(tmp_path)
    tap = tmp_path / "tap-shop"
    tap.write_text(f"#!{sys.executable}\n{_TAP}")
    tap.chmod(0o755)
    definition = project.definition
    definition["plugins"]["extractors"].append(
        {"name": "tap-shop", "namespace": "tap_shop", "executable": str(tap)}
    )
    settings = {"TARGET_POSTHOG_API_KEY": posthog.api_key, "TARGET_POSTHOG_HOST": posthog.url}
    if in_file is not None:
        definition["plugins"]["loaders"][0]["config"] = {"streams": in_file}
    if variable is not None:
        settings["TARGET_POSTHOG_STREAMS"] = json.dumps(variable)
    project.define(definition)
    end = project.meltano("run", "tap-shop", "target-posthog", settings=settings).checked()

    assert "[warning" not in end.stderr
    assert [event["event"] for event in posthog.events] == names
    for event in posthog.events:
        if event["event"] == "Placed":
            assert event["distinct_id"] == "ann"
            assert event["properties"] == {"sum": 2.5, "note": "x", **_OURS}
