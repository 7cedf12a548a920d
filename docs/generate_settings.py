"""Write `docs/settings.md` and the settings in `meltano.yml` from the plugins' own declarations.

python docs/generate_settings.py           write both
python docs/generate_settings.py --check   exit 1 when one of them is out of date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from tap_amplitude.tap import TapAmplitude
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

_KINDS = {
    **{name: name for name in ("array", "boolean", "integer", "object")},
    "number": "decimal",
}


def settings_of(plugin: Any) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each of a plugin's own settings, by name."""
    return {
        name: schema
        for name, schema in plugin.config_jsonschema["properties"].items()
        if name not in SDK_NAMES
    }


def meltano_setting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a setting as a Meltano plugin definition declares it.

    A default is not repeated: the plugin fills it in.
    """
    setting: dict[str, Any] = {"name": name, "label": schema["title"]}
    options = [str(value).lower() for value in schema.get("enum", ()) if value is not None]
    if options:
        setting["kind"] = "options"
        setting["options"] = [
            {"label": option, "value": option} for option in dict.fromkeys(options)
        ]
    else:
        setting["kind"] = _kind(schema)
    if schema.get("secret"):
        setting["sensitive"] = True
    setting["description"] = schema["description"]
    return setting


def settings_page() -> str:
    """Return docs/settings.md."""
    head = (
        "# Settings\n\n"
        "<!-- Made by docs/generate_settings.py from the plugins' own declarations. -->\n\n"
        "Every setting can stand in `meltano.yml`, in the environment, or in a file given with "
        "`--config`. With Meltano, secrets belong in `.env` (see `.env.example`).\n"
    )
    parts = [head]
    for plugin in PLUGINS:
        rows = [_row(plugin, name, schema) for name, schema in settings_of(plugin).items()]
        parts.append(
            f"## {plugin.name}\n\n| setting | default | meaning |\n|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    parts.append(
        "## Settings of the Singer SDK\n\n"
        "Both plugins also take the SDK's settings for "
        f"[stream maps and flattening]({SDK_SETTINGS}): "
        "`stream_maps`, `stream_map_config`, `faker_config`, `flattening_enabled`, "
        "`flattening_max_depth`, `flattening_max_key_length`, `flattening_separator`; the "
        "target also `add_record_metadata`.\n"
    )
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
        settings = [meltano_setting(name, one) for name, one in settings_of(plugin).items()]
        block = yaml.safe_dump({"settings": settings}, sort_keys=False, width=88)
        made = [f"    {line}\n" for line in block.splitlines()]
        text = "".join([*lines[:begin], *made, *lines[end:]])
    return text


def _line(lines: list[str], wanted: str, *, after: int = 0) -> int:
    return lines.index(wanted, after)


def _kind(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "date_iso8601"
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return next((_KINDS[name] for name in types if name in _KINDS), "string")


def _row(plugin: Any, name: str, schema: dict[str, Any]) -> str:
    default = schema.get("default")
    shown = (
        ""
        if default is None
        else f"`{default if isinstance(default, str) else json.dumps(default)}`"
    )
    notes = [schema["description"]]
    options = [str(value).lower() for value in schema.get("enum", ()) if value is not None]
    if options:
        notes.append(f"One of {', '.join(f'`{option}`' for option in dict.fromkeys(options))}.")
    if schema.get("secret"):
        notes.append("Secret.")
    variable = f"{plugin.name.upper().replace('-', '_')}_{name.upper()}"
    return f"| `{name}`<br>`{variable}` | {shown} | {' '.join(notes)} |"


def main() -> int:
    """Write both files, or with `--check` compare them."""
    meltano = ROOT / "meltano.yml"
    wanted = {
        ROOT / "docs/settings.md": settings_page(),
        meltano: with_settings(meltano.read_text(encoding="utf-8")),
    }
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.name} is out of date: run python docs/generate_settings.py")
        else:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"{path.name} written")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
