"""What `--about` prints: every setting with what it is for, and not only its name."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from singer_sdk.about import AboutInfo, TextFormatter
from typing_extensions import override

from tap_amplitude.common.given_settings import limits_of


class AboutText(TextFormatter, format_name="settings"):
    """The SDK's text, with title, description, values and default of each setting."""

    @override
    def format_about(self, about_info: AboutInfo) -> str:
        text = super().format_about(about_info)
        head, _, _ = text.partition("\nSettings:\n")
        settings = about_info.settings.get("properties", {})
        prefix = about_info.env_var_prefix
        parts = [_setting(name, setting, prefix) for name, setting in settings.items()]
        return "\n".join([head, "Settings:", *parts])


def _setting(name: str, schema: dict[str, Any], prefix: str) -> str:
    given = schema.get("type", "any")
    kinds = [given] if isinstance(given, str) else given
    lines = [
        f"  - Name: {name}",
        f"    Type: {' or '.join(kind for kind in kinds if kind != 'null')}",
    ]
    values = [str(value) for value in schema.get("enum", ()) if value is not None]
    if values:
        lines.append(f"    Values: {', '.join(values)}")
    if limits := limits_of(schema):
        lines.append(f"    Limits: {limits}")
    if schema.get("default") is not None:
        lines.append(f"    Default: {json.dumps(schema['default'], ensure_ascii=False)}")
    lines.append(f"    Environment Variable: {prefix}{name.upper()}")
    words = schema.get("description") or schema.get("title") or ""
    # Whole, so that addresses and names such as `target-posthog` can be searched for and copied.
    wrapper = textwrap.TextWrapper(100, break_on_hyphens=False, break_long_words=False)
    wrapper.initial_indent = wrapper.subsequent_indent = "    "
    return "\n".join([*lines, *wrapper.wrap(words)])
