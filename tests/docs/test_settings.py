"""Settings in the documents are the plugins' own; what is generated is current."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from singer_sdk.plugin_base import JSONSchemaValidator

from docs.generate_settings import (
    OBJECTS,
    PLUGINS,
    SDK_NAMES,
    all_settings_of,
    generated,
    settings_of,
    variable_of,
)
from tap_amplitude.common.amplitude_columns import TIME_FIELDS
from target_posthog.books.whole_migration import Part
from target_posthog.common.given_settings import typed
from target_posthog.formats.amplitude.fields import FIELDS
from target_posthog.formats.posthog_columns import COLUMNS, SOURCE
from target_posthog.formats.record_parts import TIME_NAMES
from target_posthog.formats.stream_people import PERSON_NAMES
from target_posthog.identity import ledger
from target_posthog.posthog.names import ACTING_NAMES
from target_posthog.posthog.people import ILLEGAL_IDS
from target_posthog.progress.counts import Counts
from target_posthog.progress.summary import Summary
from target_posthog.rejects import codes as rejects
from tests.support.documents import ROOT, Document, document, documents, tracked_files

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {plugin.name: settings_of(plugin) for plugin in PLUGINS}
ALL_NAMES = SETTINGS["tap-amplitude"].keys() | SETTINGS["target-posthog"].keys()

#: Words in backticks that look like settings and are something else.
OTHER_WORDS = frozenset(
    {
        *(
            "batch_config",
            "database_uri",
            "key_properties",
            "meltano_test_stream",
            "pip_url",
        ),  # Singer
        *("batch_post", "previous_id", "sent_at"),  # PostHog's package
        *(
            "billing_limit_exceeded",
            "cannot_merge_already_identified",
            "drop_events_older_than_seconds",
            "source_lib",
            "source_lib_version",
        ),  # PostHog
        *("bad_line", "next_export_hour"),  # what the tap writes
        *("already_told", "mapped_to"),  # a rule of the replay, a part of a line of the rejects
        "send_rates",  # a table of the ledger
        "sanitize_null_text_characters",  # target-postgres
        *("depends_on_past", "move_hours", "next_hours"),  # Airflow, and ours on Dagster
        *("identified_only", "set_once"),  # values of settings
        "not_joined_id",  # what an event says that must join nobody
        *("revenue_amount", "session_end", "session_start"),  # events
    }
)


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.name)
def test_every_setting_that_a_document_names_exists(page: Document) -> None:
    """A snake_case word in backticks is a setting, a field, a code, or one of a few known words."""
    known = ALL_NAMES | SDK_NAMES | OTHER_WORDS | _words_of_the_data()
    words = {word for word in page.code_words if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", word)}
    assert words <= known, sorted(words - known)


def test_every_variable_that_a_file_names_is_a_setting() -> None:
    """TAP_AMPLITUDE_… and TARGET_POSTHOG_… in documents, examples and definitions exist."""
    files = [path for path in tracked_files() if path.suffix in {".md", ".yml", ".example"}]
    assert ROOT / ".env.example" in files
    named = {
        (prefix, name)
        for path in files
        for prefix, name in re.findall(
            r"(TAP_AMPLITUDE_|TARGET_POSTHOG_)([A-Z_]+)", path.read_text(encoding="utf-8")
        )
    }
    assert len(named) > len(ALL_NAMES)
    known = {variable_of(plugin, name) for plugin in PLUGINS for name in all_settings_of(plugin)}
    assert {"".join(one) for one in named} - known == set()


def test_the_example_of_env_holds_what_a_migration_needs_and_no_secret() -> None:
    """Keys, region, first day and host are there; a key has no value."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert values.keys() == {
        *("TAP_AMPLITUDE_API_KEY", "TAP_AMPLITUDE_SECRET_KEY", "TAP_AMPLITUDE_REGION"),
        *("TAP_AMPLITUDE_START_DATE", "TARGET_POSTHOG_API_KEY", "TARGET_POSTHOG_HOST"),
    }
    secrets = {name: value for name, value in values.items() if name.endswith("_KEY")}
    assert set(secrets.values()) == {""}


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_generated_is_current(path: Path) -> None:
    """docs/settings.md, meltano.yml and hub/ are what the generator makes of the plugins."""
    assert path.read_text(encoding="utf-8") == generated()[path]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_meltano_knows_each_setting_and_hides_the_secrets(plugin: Any) -> None:
    """Those of the SDK too; Meltano reads none but objects, whose parts it has to take over."""
    definition = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    plugins = [*definition["plugins"]["extractors"], *definition["plugins"]["loaders"]]
    known = next(one for one in plugins if one["name"] == plugin.name)
    settings = {one["name"]: one for one in known["settings"]}
    declared = all_settings_of(plugin)
    assert settings.keys() == declared.keys() >= SDK_NAMES - {"add_record_metadata"}
    for name, schema in declared.items():
        shown = settings[name]
        assert shown.get("sensitive", False) == bool(schema.get("secret")), name
        assert shown["kind"] == ("object" if "object" in schema["type"] else "string"), name
        allowed = {str(value).lower() for value in schema.get("enum", ()) if value is not None}
        assert all(f"`{value}`" in shown["description"] for value in allowed), name
        assert shown["label"], name


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_each_object_has_an_example_and_a_remedy(plugin: Any) -> None:
    """Meltano names no variable when one of an object cannot be read: the documents do."""
    schema = {"properties": all_settings_of(plugin)}
    objects = {name for name, one in schema["properties"].items() if "object" in one["type"]}
    assert objects
    for name in objects:
        text = json.dumps(OBJECTS[name])
        assert typed({name: text}, schema) == ({name: OBJECTS[name]}, [])
        validator = JSONSchemaValidator(schema)
        assert list(validator.iter_errors({name: OBJECTS[name]})) == []
        (row,) = (
            one
            for one in document("docs/settings.md").text.splitlines()
            if f"`{variable_of(plugin, name)}`" in one
        )
        assert f"`{text}`" in row
    (cause,) = (
        row[1]
        for row in document("docs/troubleshooting.md").rows("## Meltano")
        if row[0] == "Failed to parse JSON object from string"
    )
    assert f"`{variable_of(plugin, '')}`" in cause
    assert {f"`{name.upper()}`" for name in objects} <= set(re.findall("`[A-Z_]+`", cause))


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


def test_the_secrets_are_marked() -> None:
    """Every key is a secret, and so is a database's URL with its password."""
    secret = {
        name for one in SETTINGS.values() for name, schema in one.items() if "secret" in schema
    }
    assert secret == {"api_key", "secret_key", "personal_api_key", "ledger_url"}


def test_configurations_in_the_documents_are_valid() -> None:
    """Each `config` of our plugins in a YAML block has real settings with values that fit."""
    found = 0
    for page in documents():
        for block in (block for block in page.blocks if block.language == "yaml"):
            for group in yaml.safe_load(block.text)["plugins"].values():
                for plugin in (plugin for plugin in group if plugin["name"] in SETTINGS):
                    schema = next(one for one in PLUGINS if one.name == plugin["name"])
                    config = plugin.get("config", {})
                    place = f"{page.name}:{block.line}"
                    assert config.keys() <= SETTINGS[plugin["name"]].keys() | SDK_NAMES, place
                    validator = JSONSchemaValidator(schema.config_jsonschema)
                    assert list(validator.iter_errors(_as_meltano_gives(config))) == [], place
                    found += 1
    assert found >= 4


def test_the_readme_names_the_usual_names_of_other_taps() -> None:
    """Person, time and id: the README lists what the target looks for, in its order."""
    words = re.findall(r"`([a-z_]+)`", document("README.md").prose.partition("usual names:")[2])
    wanted = [*PERSON_NAMES, *TIME_NAMES, "uuid"]
    assert words[: len(wanted)] == wanted


def test_a_wrong_setting_would_be_seen() -> None:
    """The first check can fail, and knows no word that no document uses."""
    used = {word for page in documents() for word in page.code_words}
    assert used >= OTHER_WORDS
    assert "batch_size" not in ALL_NAMES | SDK_NAMES | OTHER_WORDS | _words_of_the_data()


def _words_of_the_data() -> set[str]:
    """Return the names of fields, codes, tables and columns that documents speak of."""
    schemas = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in tracked_files()
        if path.parent.name == "schemas" and path.suffix == ".json"
    }
    fields = {source.rpartition(".")[2] for field in FIELDS for source in field.sources}
    return {
        *schemas,
        *(name for schema in schemas.values() for name in schema["properties"]),
        *fields,
        *(field.name for field in FIELDS),
        *ACTING_NAMES,
        *TIME_FIELDS,
        *(*COLUMNS, SOURCE),
        *(*PERSON_NAMES, *TIME_NAMES),
        *rejects.CODES,
        *Summary("")._as_json(None, None),
        *Part("", "", "", "", 0, (), (), (), Counts()).as_json(),
        *ledger._METADATA.tables,
        *ILLEGAL_IDS,
        *(path.stem for path in tracked_files() if path.suffix == ".py"),
    }


def _as_meltano_gives(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration as it reaches the plugin: as JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(config, default=str))
    return plain
