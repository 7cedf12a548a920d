"""Settings that could not act beside the others: refused, for a wish is never dropped in silence.

All other settings act in every format, by either protocol, and in a preview: that shows the run
that would be, and what concerns the sending alone waits for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from target_posthog.capture.protocols import BatchWire, V1Wire
from target_posthog.common.given_settings import from_variables, typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Formats whose records say themselves what of them is what.
_OWN_FORMATS = frozenset({"amplitude", "posthog"})
_FLATTENING = ("flattening_max_depth", "flattening_max_key_length", "flattening_separator")
_MAPPING = ("stream_map_config", "faker_config")


def setting_conflicts(config: Mapping[str, Any]) -> Iterator[str]:
    """Say which settings cannot act beside the others.

    Args:
        config: the settings, with the defaults filled in.

    Yields:
        One sentence for each.
    """
    source_format = config["source_format"]
    for name in ("streams", "unmapped_streams"):
        if config.get(name) and source_format in _OWN_FORMATS:
            yield (
                f"`{name}` cannot act with `source_format: {source_format}`: take it out, or set "
                "`source_format` to `auto` or `fields`."
            )
    for name in _FLATTENING:
        if name in config and "flattening_enabled" not in config:
            yield f"`{name}` cannot act without `flattening_enabled`: set that, too."
    for name in _MAPPING:
        if config.get(name) and not config.get("stream_maps"):
            yield f"`{name}` cannot act without `stream_maps`: take it out."
    protocol = config["protocol"]
    most = V1Wire.max_bytes if protocol == "v1" else BatchWire.max_bytes
    if config["max_batch_bytes"] > most:
        yield f"`max_batch_bytes` can be at most {most} with `protocol: {protocol}`."


def parts_kept_back(
    schema: Mapping[str, Any], prefix: str, environment: Mapping[str, str]
) -> Iterator[str]:
    """Name the objects that Meltano gives to a run whole and to a command in part.

    A run has the object of a variable, and of that in meltano.yml what the variable leaves open. A
    command has the variable, and of each part in meltano.yml a variable whose name, such as
    `STREAMS_ORDERS_EVENT`, no longer says what the part was called.

    Args:
        schema: the JSON schema of all settings.
        prefix: of the variables.
        environment: the variables.

    Yields:
        One sentence for each.
    """
    if "MELTANO_LOADER_NAME" not in environment:
        return
    given, _ = typed(from_variables(schema, prefix, environment), schema)
    for name, value in given.items():
        if not isinstance(value, dict):
            continue
        whole = f"{prefix}{name.upper()}"
        known = set(_variables_of_parts(value, whole))
        for part in environment:
            if part.startswith(f"{whole}_") and _folded(part) not in known:
                yield (
                    f"`{whole}` is set, and `config` in meltano.yml has more of `{name}` "
                    f"(`{part}`): a run has both, and Meltano passes only the variable on to a "
                    "command."
                )
                break


def _variables_of_parts(value: Mapping[str, Any], above: str) -> Iterator[str]:
    for name, inner in value.items():
        part = f"{above}_{name}"
        yield _folded(part)
        if isinstance(inner, dict):
            yield from _variables_of_parts(inner, part)


def _folded(name: str) -> str:
    """Return the variable of a part; Meltano makes two underscores of an escaped dot, we one."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).upper()
