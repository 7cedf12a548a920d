"""Settings as users and Meltano give them: as texts of variables, read by the schema.

Meltano hands a variable's text on as it is: meltano.yml declares most settings as texts, because
its own reading ends in a traceback, or guesses.
"""

from __future__ import annotations

import ast
import difflib
import json
import math
import re
from typing import TYPE_CHECKING, Any

from dotenv import find_dotenv, load_dotenv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
#: The words that Meltano and the SDK take for true, and their opposites.
_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
#: A dot that Meltano takes for the way into an object; `\.` is one of the name.
_DOT = re.compile(r"(?<!\\)\.")
#: Variables of the SDK that are no settings.
_NO_SETTINGS = ("LOGLEVEL",)
#: So alike is a misspelt name to the right one, and rarely a name that means something else.
_ALIKE = 0.8
_KINDS = {
    "array": 'JSON array, such as ["a", "b"]',
    "boolean": "boolean (true or false)",
    "integer": "integer",
    "number": "number",
    "object": 'JSON object, such as {"a": "b"}',
}
#: How a schema limits a number, in words; see the SDK's `IntegerType` and `NumberType`.
LIMITS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
_UNREADABLE = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


def load_variables() -> None:
    """Add what the nearest `.env` says to the environment, which wins.

    The SDK's own reading lets `.env` win, unlike `meltano run`: a command would then not see the
    key that was given on the command line.
    """
    load_dotenv(find_dotenv(usecwd=True))


def from_variables(
    schema: Mapping[str, Any], prefix: str, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the settings that variables of a prefix, such as `TAP_AMPLITUDE_`, hold, as texts."""
    names = {name: _variable(prefix, name) for name in schema["properties"]}
    return {
        name: environment[variable] for name, variable in names.items() if variable in environment
    }


def typed(config: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Read texts as what the schema says.

    A null or an empty text counts as not set.

    Returns:
        The settings, and one sentence for each that cannot be read; never a value.
    """
    read: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in config.items():
        types = types_of(schema["properties"].get(name, {}))
        try:
            found = _read(value, types)
        except _UNREADABLE:
            wanted = " or ".join(_KINDS[kind] for kind in sorted(types & _KINDS.keys()))
            problems.append(f"`{name}` is not a valid {wanted}.")
        else:
            if found is not None:
                read[name] = found
    return read, problems


def misspelt_variables(
    schema: Mapping[str, Any], prefix: str, environment: Mapping[str, str]
) -> Iterable[str]:
    """Yield a sentence for each variable that is nearly a setting's, and so of no effect."""
    known = [*(_variable("", name) for name in schema["properties"]), *_NO_SETTINGS]
    for variable in environment:
        name = variable.removeprefix(prefix)
        if name == variable or any(_is_like_a_setting(name, other) for other in known):
            continue
        if like := difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE):
            yield f"`{variable}` is not a variable of a setting. Did you mean `{prefix}{like[0]}`?"


def _is_like_a_setting(name: str, known: str) -> bool:
    """Return True for a setting's variable, and for those that Meltano makes of it.

    `STREAMS_ORDERS_EVENT` is a part of an object, `_EU_STREAMS` of a plugin that inherits.
    """
    return name == known or name.startswith(f"{known}_") or name.endswith(f"_{known}")


def not_passed_on(
    config: Mapping[str, Any],
    schema: Mapping[str, Any],
    prefix: str,
    environment: Mapping[str, str],
) -> Iterable[str]:
    """Yield a sentence for each variable that Meltano did not pass on, if Meltano runs the plugin.

    Meltano passes on only the settings that meltano.yml declares, and of objects only the names
    without dots, and no nulls of meltano.yml, all in silence.
    """
    if not _is_run_by_meltano(prefix, environment):
        return
    yield from misspelt_variables(schema, prefix, environment)
    for name, text in from_variables(schema, prefix, environment).items():
        variable = _variable(prefix, name)
        if text and config.get(name) is None:
            yield (
                f"`{variable}` is set, but Meltano did not pass it on: meltano.yml does not "
                f"declare the setting `{name}`. Add the whole definition with `meltano add "
                "--from-ref` (folder `hub`)."
            )
        elif _lacks_names(config.get(name), text, nulls=name == "stream_maps"):
            yield (
                f"`{name}` has names with dots or nulls, which Meltano did not pass on. "
                r"Write each such dot as `\\.` in the JSON text, and each null as `__NULL__`."
            )


def _is_run_by_meltano(prefix: str, environment: Mapping[str, str]) -> bool:
    """Tell whether the variables of this prefix are those that Meltano reads for this plugin."""
    return any(
        _variable("", environment.get(f"MELTANO_{kind}_{word}", "")) == prefix.rstrip("_")
        for kind in ("EXTRACTOR", "LOADER")
        for word in ("NAME", "NAMESPACE")
    )


def _lacks_names(value: Any, text: str, *, nulls: bool) -> bool:
    """Tell whether names are lost; those of nulls count where they ask for something."""
    try:
        given = _json(text)
    except _UNREADABLE:
        return False
    return isinstance(given, dict) and _lacks(value, _whole(given), nulls=nulls)


def _lacks(value: Any, given: Any, *, nulls: bool) -> bool:
    if not isinstance(value, dict) or not isinstance(given, dict):
        return False
    return any(
        _lacks(value[name], inner, nulls=nulls) if name in value else nulls or inner is not None
        for name, inner in given.items()
    )


def _variable(prefix: str, name: str) -> str:
    return prefix + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def types_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return what a setting may be, without null."""
    types = schema.get("type", ())
    found = {types} if isinstance(types, str) else set(types)
    for kind in ("anyOf", "oneOf"):
        found.update(
            *(types_of(choice) for choice in schema.get(kind, ()) if isinstance(choice, dict))
        )
    return frozenset(found - {"null"})


def limits_of(schema: Mapping[str, Any]) -> str:
    """Return the limits of a setting in words, such as `at least 1`; empty if it has none."""
    if "minimum" in schema and "maximum" in schema:
        return f"from {schema['minimum']} to {schema['maximum']}"
    return " and ".join(
        f"{words} {schema[name]}" for name, words in LIMITS.items() if name in schema
    )


def _read(value: Any, types: frozenset[str]) -> Any:
    if not isinstance(value, str):
        return value
    if not value:
        return None
    if not types or "string" in types:
        return value
    text = value.strip()
    for kind, read in _READERS.items():
        if kind in types and (found := read(text)) is not None:
            return found
    if text:
        raise ValueError
    return None


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _number(text: str) -> float | None:
    found = _integer(text)
    if found is None and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return found


def _array(text: str) -> list[Any] | None:
    found = _json(text)
    return found if isinstance(found, list) else None


def _object(text: str) -> dict[str, Any] | None:
    found = _json(text)
    return _whole(found) if isinstance(found, dict) else None


_READERS: dict[str, Callable[[str], Any]] = {
    "boolean": lambda text: _BOOLEANS.get(text.lower()),
    "integer": _integer,
    "number": _number,
    "array": _array,
    "object": _object,
}


def _json(text: str) -> Any:
    """Read JSON, or Python's way of writing it, as Meltano does: it writes a list that way, too."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return json.loads(json.dumps(ast.literal_eval(text)))


def _whole(given: dict[str, Any]) -> dict[str, Any]:
    """Return an object as it was written: Meltano's variables have `storage.root` for an object.

    What Meltano has taken apart holds no objects any more; a user's own text stays as it is.
    """
    if any(isinstance(value, dict) and value for value in given.values()):
        return _unescaped(given)
    whole: dict[str, Any] = {}
    for name, value in given.items():
        *outer, last = _DOT.split(name)
        place = whole
        for part in outer:
            inside = place.setdefault(part, {})
            if not isinstance(inside, dict):
                return _unescaped(given)
            place = inside
        place[last] = value
    return _unescaped(whole)


def _unescaped(given: dict[str, Any]) -> dict[str, Any]:
    return {
        name.replace("\\.", "."): _unescaped(value) if isinstance(value, dict) else value
        for name, value in given.items()
    }
