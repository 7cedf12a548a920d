"""Settings that nobody reads, most often misspelt; each named with the one that was meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
#: So alike is a misspelt name to the right one, and rarely a name that means something else.
_ALIKE = 0.75


def unknown_settings(
    config: Mapping[str, Any], schema: Mapping[str, Any], inside: str = ""
) -> Iterator[str]:
    """Yield a sentence for each setting, or part of one, that does not exist.

    An object whose schema names no parts may have any. The SDK writes `additionalProperties: true`
    everywhere, so only a schema there counts. `inside` is the setting that `config` is a part of,
    with a dot behind it.
    """
    parts: Mapping[str, Any] = schema.get("properties") or {}
    for name, value in config.items():
        if name in parts:
            yield from _unknown_parts(value, parts[name], f"{inside}{name}")
        elif not isinstance(schema.get("additionalProperties"), dict):
            yield f"There is no setting `{inside}{name}`. {_hint(name, parts)}".rstrip()


def _unknown_parts(value: Any, schema: Mapping[str, Any], name: str) -> Iterator[str]:
    if isinstance(value, dict) and schema.get("properties"):
        yield from unknown_settings(value, schema, f"{name}.")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unknown_parts(item, schema.get("items") or {}, f"{name}.{number}")


def _hint(name: str, known: Iterable[str]) -> str:
    inside = [other for other in known if other in name or name in other]
    like = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
    like = like or difflib.get_close_matches(name, inside, n=1, cutoff=0)
    return f"Did you mean `{like[0]}`?" if like else ""
