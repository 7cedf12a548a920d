"""Write all that tells of the settings, from the plugins' own declarations.

That is `docs/settings.md`, the settings in `meltano.yml`, and the definitions in `hub/`.

python docs/generate_settings.py           write them
python docs/generate_settings.py --check   exit 1 when one of them is out of date
"""

from __future__ import annotations

import copy
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from tap_amplitude.common.given_settings import limits_of
from tap_amplitude.tap import TapAmplitude
from target_posthog.settings import DOCUMENTS
from target_posthog.target import TargetPosthog

ROOT = Path(__file__).resolve().parent.parent
PLUGINS: tuple[Any, ...] = (TapAmplitude, TargetPosthog)

#: Settings of the SDK itself, which every plugin has; its own documentation tells more.
SDK_SETTINGS = "https://sdk.meltano.com/en/latest/implementation/"
SDK_NAMES = frozenset(
    {
        "add_record_metadata",
        "faker_config",
        "flattening_enabled",
        "flattening_max_depth",
        "flattening_max_key_length",
        "flattening_separator",
        "stream_map_config",
        "stream_maps",
    }
)

#: What the Hub knows of a definition besides what Meltano needs (meltano/hub, `schemas/`).
_FOR_THE_HUB: dict[str, Any] = {
    "variant": "amplitude-to-posthog",
    "quality": "unknown",
    "maintenance_status": "beta",
    "supported_python_versions": ["3.10", "3.11", "3.12", "3.13", "3.14"],
    "keywords": ["meltano_sdk"],
}
#: What a variable of each object may hold. Meltano reads these itself (`meltano_setting`).
OBJECTS: dict[str, dict[str, Any]] = {
    "batch_config": {"encoding": {"format": "records"}},
    "faker_config": {"seed": 0},
    "stream_map_config": {"hash_seed": "01"},
    "stream_maps": {"events": {"ip_address": None}},
    "streams": {"orders": {"event": {"value": "Order placed"}, "distinct_id": "customer_id"}},
}
_DOMAINS = {"tap-amplitude": "https://amplitude.com", "target-posthog": "https://posthog.com"}
#: What only this project's own definitions have: where its plugins lie, and its choice of settings.
_OF_THE_PROJECT = frozenset({"config", "pip_url", "settings"})


def settings_of(plugin: Any) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each of a plugin's own settings, by name."""
    return {
        name: schema for name, schema in all_settings_of(plugin).items() if name not in SDK_NAMES
    }


def all_settings_of(plugin: Any) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each setting that a plugin takes, those of the SDK last."""
    schema = copy.deepcopy(plugin.config_jsonschema)
    plugin.append_builtin_config(schema)
    properties: dict[str, dict[str, Any]] = schema["properties"]
    return dict(sorted(properties.items(), key=lambda one: one[0] in SDK_NAMES))


def variable_of(plugin: Any, name: str) -> str:
    """Return the variable of the environment that sets a setting."""
    return f"{plugin.name.upper().replace('-', '_')}_{name.upper()}"


def meltano_setting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a setting as a Meltano plugin definition declares it.

    A default is not repeated: the plugin fills it in. Nearly all are texts to Meltano, which then
    passes a variable on as it is, for the plugin to read. Its other kinds end in a traceback of
    Meltano's for what they cannot read (`integer`, `array`, `options`) and for what they can
    (`decimal`), or guess: `boolean` takes `ture` for false, `date_iso8601` takes `2023` for this
    day of 2023.

    Objects must be objects. Meltano takes one of meltano.yml apart, into settings such as
    `streams.orders.event`, and puts only an `object` together again for the environment, which is
    all that commands are given (`SettingsService.get_with_metadata`). With a text for `streams`
    beside those parts, `SingerPlugin.process_config` raises TypeError. So a variable that holds no
    object ends in Meltano (`SettingDefinition._parse_value`), before there is a plugin to speak.
    """
    setting: dict[str, Any] = {
        "name": name,
        "label": schema["title"],
        "kind": "object" if "object" in schema["type"] else "string",
    }
    if schema.get("secret"):
        setting["sensitive"] = True
    setting["description"] = " ".join(
        [schema["description"], *_choice(schema), *_variable_of_object(name, schema)]
    )
    return setting


def hub_definition(plugin: Any, own: dict[str, Any]) -> str:
    """Return a plugin's whole definition, for `meltano add --from-ref` and for the Hub.

    Args:
        plugin: The plugin's class.
        own: Its definition in this project's meltano.yml.
    """
    definition = {
        **{name: value for name, value in own.items() if name not in _OF_THE_PROJECT},
        **_FOR_THE_HUB,
        "domain_url": _DOMAINS[plugin.name],
        "settings": [meltano_setting(*one) for one in all_settings_of(plugin).items()],
    }
    head = "# Made by docs/generate_settings.py from meltano.yml and the plugin's declarations.\n"
    return head + yaml.safe_dump(definition, sort_keys=False, width=88)


def settings_page() -> str:
    """Return docs/settings.md."""
    head = (
        "# Settings\n\n"
        "<!-- Made by docs/generate_settings.py from the plugins' own declarations. -->\n\n"
        "Every setting can stand in `meltano.yml`, in the environment, or in a file given with "
        "`--config`. The environment wins over `.env`, and `.env` over `meltano.yml`. With "
        "Meltano, secrets belong in `.env` (see `.env.example`).\n\n"
        "In a variable a list or an object is JSON, and a boolean is `true` or `false`. An empty "
        "variable counts as not set, but not to Meltano where an object belongs: it reads objects "
        "itself, and [ends with a traceback](troubleshooting.md#meltano) for any text that is no "
        "JSON object, the empty one too. To an object in a variable it adds what `meltano.yml` "
        "has of it. It takes a dot in a name of an object for the way into it; write such a dot "
        "as `\\\\.` there.\n"
    )
    parts = [head]
    parts += [f"## {one.name}\n\n{_table(one, settings_of(one))}" for one in PLUGINS]
    parts.append(
        "## Settings of the Singer SDK\n\n"
        f"Both plugins also take the SDK's settings for [stream maps and flattening]({SDK_SETTINGS}"
        "). They change records: in the tap before they are written, in the target before they "
        "are converted.\n"
    )
    for plugin in PLUGINS:
        given = {
            name: schema for name, schema in all_settings_of(plugin).items() if name in SDK_NAMES
        }
        parts.append(f"### For {plugin.name}\n\n{_table(plugin, given)}")
    return "\n".join(parts)


def with_settings(text: str) -> str:
    """Return meltano.yml with each plugin's list of settings made anew; the rest stays."""
    for plugin in PLUGINS:
        lines = text.splitlines(keepends=True)
        start = _line(lines, f"  - name: {plugin.name}\n", after=_line(lines, "plugins:\n"))
        begin = _line(lines, "    settings:\n", after=start)
        end = next(
            (
                number
                for number in range(begin + 1, len(lines))
                if not lines[number].startswith(("    - ", "      "))
            ),
            len(lines),
        )
        settings = [meltano_setting(name, one) for name, one in all_settings_of(plugin).items()]
        block = yaml.safe_dump({"settings": settings}, sort_keys=False, width=88)
        made = [f"    {line}\n" for line in block.splitlines()]
        text = "".join([*lines[:begin], *made, *lines[end:]])
    return text


def _line(lines: list[str], wanted: str, *, after: int = 0) -> int:
    return lines.index(wanted, after)


def _choice(schema: dict[str, Any]) -> list[str]:
    """Return a sentence on the values that a setting may have, if it has a choice or limits."""
    options = [str(value).lower() for value in schema.get("enum", ()) if value is not None]
    if options:
        return [f"One of {', '.join(f'`{option}`' for option in options)}."]
    limits = limits_of(schema)
    return [f"{limits[0].upper()}{limits[1:]}."] if limits else []


def _variable_of_object(name: str, schema: dict[str, Any]) -> list[str]:
    """Return a sentence on the variable of a setting that is an object, if it is one."""
    if "object" not in schema["type"]:
        return []
    return [f"In a variable a JSON object, such as `{json.dumps(OBJECTS[name])}`; never empty."]


def _table(plugin: Any, settings: dict[str, dict[str, Any]]) -> str:
    rows = [_row(plugin, name, schema) for name, schema in settings.items()]
    return "| setting | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _row(plugin: Any, name: str, schema: dict[str, Any]) -> str:
    default = schema.get("default")
    shown = (
        ""
        if default is None
        else f"`{default if isinstance(default, str) else json.dumps(default)}`"
    )
    description = _with_links(schema["description"])
    notes = [description, *_choice(schema), *_variable_of_object(name, schema)]
    if schema.get("secret"):
        notes.append("Secret.")
    return f"| `{name}`<br>`{variable_of(plugin, name)}` | {shown} | {' '.join(notes)} |"


def _with_links(text: str) -> str:
    """Return a text whose addresses of documents are links beside docs/settings.md."""
    return re.sub(rf"{re.escape(DOCUMENTS)}([\w/-]+\.md)", r"[\1](\1)", text)


def generated() -> dict[Path, str]:
    """Return every file that is made here, with what it has to hold."""
    meltano = ROOT / "meltano.yml"
    text = meltano.read_text(encoding="utf-8")
    made = {ROOT / "docs/settings.md": settings_page(), meltano: with_settings(text)}
    kinds: dict[str, list[dict[str, Any]]] = yaml.safe_load(text)["plugins"]
    for plugin in PLUGINS:
        for kind, plugins in kinds.items():
            for own in (own for own in plugins if own["name"] == plugin.name):
                made[ROOT / f"hub/{kind}/{plugin.name}.yml"] = hub_definition(plugin, own)
    return made


def main() -> int:
    """Write the files, or with `--check` compare them."""
    wanted = generated()
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.name} is out of date: run python docs/generate_settings.py")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
            print(f"{path.name} written")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
