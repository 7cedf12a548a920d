"""What is wrong with stream maps and flattening, as far as the settings alone tell."""

from __future__ import annotations

import ast
import difflib
import importlib.util
from typing import TYPE_CHECKING, Any

import simpleeval  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: What an expression may call by its name (sdk.meltano.com, stream_maps; `CustomStreamMap`).
FUNCTIONS = frozenset({*simpleeval.DEFAULT_FUNCTIONS, "bool", "md5", "sha256"})
_REMOVED = (None, "__NULL__")
_OPTIONS = ("__alias__", "__else__", "__filter__", "__key_properties__", "__source__")


def stream_map_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each problem of the settings of stream maps and flattening.

    Expressions are not shown: one may hold a secret.
    """
    yield from _flattening_problems(config)
    maps = config.get("stream_maps")
    for stream, definition in maps.items() if isinstance(maps, dict) else ():
        where = f"`stream_maps`, {stream}"
        if stream == "__else__":
            if definition not in _REMOVED:
                yield f"{where} can only be __NULL__, which leaves out all other streams."
        elif stream.startswith("__"):
            yield f"{where}: there is no such option. {_hint(stream)}".rstrip()
        elif isinstance(definition, dict):
            yield from _map_problems(where, definition)
        elif definition not in _REMOVED:
            yield f"{where} must be an object of properties, or null to leave the stream out."


def without_map_parts(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of all settings with no more of stream maps than that they are an object.

    The parts are looked at here; the SDK's schema of them fails at a wrong `__else__` (a class
    stands in it instead of a schema).
    """
    maps = {"stream_maps": {"type": ["object", "null"]}}
    return {**schema, "properties": {**schema["properties"], **maps}}


def _flattening_problems(config: Mapping[str, Any]) -> Iterator[str]:
    if not config.get("flattening_enabled"):
        return
    if config.get("flattening_max_depth") is None:
        yield "`flattening_enabled` needs `flattening_max_depth`: how many levels to flatten."
    for name in ("flattening_max_depth", "flattening_max_key_length"):
        value = config.get(name)
        if isinstance(value, int) and value < 1:
            yield f"`{name}` must be at least 1."


def _map_problems(where: str, definition: Mapping[str, Any]) -> Iterator[str]:
    for name, value in definition.items():
        if name in _OPTIONS:
            yield from _option_problems(where, name, value)
        elif name.startswith("__") and name.endswith("__"):
            yield f"{where}: there is no option `{name}`. {_hint(name)}".rstrip()
        elif isinstance(value, (dict, list)) or value not in _REMOVED:
            yield from _expression_problems(f"{where}, {name}", value)
    if "__alias__" in definition and "__source__" in definition:
        yield f"{where} cannot have both `__alias__` and `__source__`."
    keys = definition.get("__key_properties__")
    for key in keys if isinstance(keys, list) else ():
        if isinstance(key, str) and key in definition and definition[key] in _REMOVED:
            yield f"{where}: `__key_properties__` names {key}, which the same map removes."


def _option_problems(where: str, name: str, value: Any) -> Iterator[str]:
    where = f"{where}, `{name}`"
    if name == "__filter__":
        if value is not None:
            yield from _expression_problems(where, value)
    elif name == "__else__":
        if value not in _REMOVED:
            yield f"{where} can only be __NULL__, which leaves out all other properties."
    elif name == "__key_properties__":
        if value is not None and not _is_list_of_names(value):
            yield f"{where} must be a list of names."
    elif not isinstance(value, str) or not value:
        yield f"{where} must be the name of a stream."


def _expression_problems(where: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where} must be an expression in quotes, or null to leave the property out."
        return
    try:
        body = ast.parse(value).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        body = []
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        yield f"{where} is not a valid expression."
        return
    called = {
        node.func.id
        for node in ast.walk(body[0])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    for name in sorted(called - FUNCTIONS):
        yield f"{where}: there is no function `{name}`. {_hint(name, FUNCTIONS)}".rstrip()
    named = {node.id for node in ast.walk(body[0]) if isinstance(node, ast.Name)}
    if "fake" in named and not importlib.util.find_spec("faker"):
        yield (
            f"{where} uses `fake`, which needs the package faker: add `singer-sdk[faker]` to the "
            "plugin's `pip_url`."
        )


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _hint(name: str, known: Any = _OPTIONS) -> str:
    like = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean `{like[0]}`?" if like else ""
