"""The SDK's stream maps and flattening, whose failures are reported as the user's mistakes.

Where they come from the SDK raises whatever Python does, with the values of records in it. Here it
is one sentence: stream, property and reason, without a value and without the expression.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from decimal import Decimal
from fnmatch import fnmatch
from functools import partial
from typing import TYPE_CHECKING, Any

import simpleeval  # type: ignore[import-untyped]
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, StreamMapConfigError
from singer_sdk.helpers._flattening import flatten_key
from singer_sdk.mapper import CustomStreamMap, PluginMapper, RemoveRecordTransform, StreamMap
from typing_extensions import override

from target_posthog.errors import FixConfiguration, WrongStreamMap

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Mapping, Sequence

_SCALARS = (str, int, float, bool, type(None))
_REMEDY = "Correct the setting, then run the same command again."
#: What Python raises at a value that does not fit, in words without the value.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ZeroDivisionError, "it divides by zero"),
    (KeyError, "a key that it looks up is not there"),
    (IndexError, "there are fewer items than it looks up"),
    (AttributeError, "a value lacks a method that it calls"),
    (TypeError, "a value has a type that does not fit, such as null"),
    (ValueError, "a value cannot be converted"),
)


class CheckedMapper(PluginMapper):
    """Makes the stream maps of a plugin.

    Attributes:
        met: the entries of `stream_maps` that a stream came for.

    Raises:
        FixConfiguration: the settings do not fit together.
    """

    def __init__(self, config: Mapping[str, Any], logger: logging.Logger) -> None:
        try:
            # Of its own: the SDK takes options out of it.
            super().__init__(
                {**config, "stream_maps": {**(config.get("stream_maps") or {})}}, logger
            )
        except (StreamMapConfigError, ConfigValidationError) as error:
            raise FixConfiguration(
                "The settings of stream maps and flattening do not fit together.", remedy=_REMEDY
            ) from error
        self.met: set[str] = set()
        self._sources: dict[str, tuple[str, Any, Any]] = {}

    @override
    def register_raw_stream_schema(
        self, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None:
        """Make the maps of a stream.

        Raises:
            WrongStreamMap: they do not fit its schema.
        """
        self.met.update(key for key, source in self.sources() if fnmatch(stream_name, source))
        try:
            super().register_raw_stream_schema(stream_name, schema, key_properties)
        except Exception as error:  # the SDK raises whatever Python does
            raise _wrong(stream_name, None, _reason_at_schema(error)) from error
        for stream_map in self.stream_maps[stream_name]:
            alias: Any = stream_map.stream_alias  # of an expression, which may give anything
            if not isinstance(alias, str) or not alias:
                raise _wrong(stream_name, "__alias__", "it gives no name of a stream")
            if not isinstance(stream_map, RemoveRecordTransform):
                self._check_name(stream_name, stream_map)
                _guard(stream_map, stream_name)

    def sources(self) -> Iterator[tuple[str, str]]:
        """Yield each entry of `stream_maps`, and the stream or glob that it is about."""
        for key, definition in self.stream_maps_dict.items():
            source = definition.get("__source__") if isinstance(definition, dict) else None
            yield key, source or key

    def _check_name(self, stream: str, stream_map: StreamMap) -> None:
        """See that two streams of unlike records do not come out under one name."""
        mine = stream, stream_map.transformed_schema, stream_map.transformed_key_properties
        source, schema, keys = self._sources.setdefault(stream_map.stream_alias, mine)
        if source == stream:
            self._sources[stream_map.stream_alias] = mine
        elif (schema, keys) != mine[1:]:
            raise _wrong(
                stream, None, f"the stream {source} comes out as `{stream_map.stream_alias}`, too"
            )


def _guard(stream_map: StreamMap, stream: str) -> None:
    """Report the failures of a map as what they are."""
    if isinstance(stream_map, CustomStreamMap) and "_eval" not in vars(stream_map):
        stream_map._eval = partial(_evaluated, stream_map._eval, stream)  # type: ignore[method-assign] # noqa: SLF001 - the one place that knows the property
    if stream_map.flattening_enabled and "flatten_record" not in vars(stream_map):
        flatten = partial(_flattened, stream_map, stream_map.flatten_record, stream)
        stream_map.flatten_record = flatten  # type: ignore[method-assign]


def _evaluated(
    evaluate: Callable[..., Any],
    stream: str,
    expr: str,
    expr_parsed: Any,
    record: dict[str, Any],
    property_name: str | None,
) -> Any:
    """Return what an expression gives for a record, as JSON has it."""
    place = property_name or "__filter__"
    try:
        value = evaluate(
            expr=expr, expr_parsed=expr_parsed, record=record, property_name=property_name
        )
    except Exception as error:  # noqa: BLE001 - an expression may raise whatever Python does
        raise _wrong(stream, place, _reason_at_record(error)) from None
    if property_name is None:
        return value
    try:
        return _as_json(value)
    except TypeError:
        reason = f"it gives a {type(value).__name__}, which JSON does not have"
        raise _wrong(stream, place, reason) from None


def _as_json(value: Any) -> Any:
    """Return a value as JSON has it.

    Raises:
        TypeError: JSON has no such values.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {str(name): _as_json(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(inner) for inner in value]
    raise TypeError


def _flattened(
    stream_map: StreamMap,
    flatten: Callable[[dict[str, Any]], dict[str, Any]],
    stream: str,
    record: dict[str, Any],
) -> dict[str, Any]:
    """Return a flattened record; the SDK would keep one of two fields that get the same name."""
    flat = flatten(record)
    names = list(_flat_names(record, stream_map, []))
    if len(names) > len(flat):
        twice, _ = Counter(names).most_common(1)[0]
        reason = "flattening gives two fields this name; set another `flattening_separator`"
        raise _wrong(stream, twice, reason)
    return flat


def _flat_names(
    record: Mapping[str, Any], stream_map: StreamMap, parents: list[str]
) -> Iterator[str]:
    """Yield the name that each value of a record gets, by the SDK's own rule."""
    options = stream_map.flattening_options
    assert options is not None  # noqa: S101 - flattening is enabled
    known = stream_map.transformed_schema.get("properties", {})
    for key, value in record.items():
        name = flatten_key(key, parents, options.separator, max_key_length=options.max_key_length)
        if isinstance(value, dict) and name not in known and len(parents) < options.max_level:
            yield from _flat_names(value, stream_map, [*parents, key])
        else:
            yield name


def _wrong(stream: str, place: str | None, reason: str) -> WrongStreamMap:
    where = f"stream {stream}" if place is None else f"stream {stream}, {place}"
    return WrongStreamMap(
        f"The stream maps or the flattening failed: {where}: {reason}.", remedy=_REMEDY
    )


def _reason_at_schema(error: Exception) -> str:
    """Return the SDK's words where they hold no expression: names of streams and properties."""
    words = str(error)
    if isinstance(error, StreamMapConfigError):
        return words.rstrip(".")
    if isinstance(error, ValueError) and words.startswith("Duplicate column name"):
        name = words.rpartition(": ")[2]
        return f"flattening gives two fields the name {name}; set another `flattening_separator`"
    if isinstance(error, MapExpressionError):
        # Of the others `stream_map_checks` knows.
        return "`__alias__` is not a valid name or expression; text stands in quotes of its own"
    return f"they do not fit its schema or `faker_config` ({type(error).__name__})"


def _reason_at_record(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, MapExpressionError) else error
    if isinstance(cause, simpleeval.NameNotDefined):
        return f"a record has no field `{cause.name}`"
    if isinstance(cause, simpleeval.FunctionNotDefined):
        return f"there is no function `{cause.func_name}`"
    if isinstance(cause, simpleeval.AttributeDoesNotExist):
        return f"a value has no `{cause.attr}`"
    if isinstance(cause, simpleeval.InvalidExpression):
        return "the expression uses what stream maps do not have"
    named = (words for kind, words in _REASONS if isinstance(cause, kind))
    return next(named, f"the expression fails ({type(cause).__name__})")
