"""`--about` of both plugins explains every setting, the SDK's included."""

from __future__ import annotations

from typing import Any

import pytest

from docs.generate_settings import PLUGINS


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_about_explains_every_setting(plugin: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With its words, its default and its values; messages point here."""
    plugin.print_about()
    text = capsys.readouterr().out
    _, _, told = text.partition("Settings:\n")
    parts = {part.split("\n", 1)[0]: part for part in told.split("  - Name: ")[1:]}
    settings = plugin.config_jsonschema["properties"]
    assert parts.keys() == settings.keys()
    assert {"stream_maps", "flattening_max_depth"} <= parts.keys()
    for name, schema in settings.items():
        words = " ".join(parts[name].split())
        assert " ".join(schema["description"].split()) in words
        assert all(str(value) in words for value in schema.get("enum", ()) if value)
        assert schema.get("default") in (None, []) or "Default: " in words
