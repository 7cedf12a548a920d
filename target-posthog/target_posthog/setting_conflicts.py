"""Settings that could not act beside the others: refused, for a wish is never dropped in silence.

All other settings act in every format, by either protocol, and in a preview: that shows the run
that would be, and what concerns the sending alone waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.protocols import BatchWire, V1Wire

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
