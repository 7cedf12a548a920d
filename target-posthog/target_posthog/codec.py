"""JSON in and out, fast, and without bending a value.

msgspec reads, because it keeps integers beyond 64 bits, which orjson turns into floats; orjson
writes, because it is the fastest. What both refuse takes the standard library's way.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec
import orjson

#: What msgspec raises at a text that it does not read.
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
#: How deep a line may nest: a row of 500 levels, which `tap-amplitude` lets pass, in its message.
#: PostHog takes 125. Readers and writers give up at about 1,000, each at a depth of its own; and
#: what was read must always be written again, be it into the rejects.
_DEEPEST = 510
_SURROGATE = re.compile("[\ud800-\udfff]")


class TooDeep(ValueError):
    """A line nests too deep."""

    def __init__(self) -> None:
        super().__init__("The JSON nests too deep.")


def loads(line: bytes | str) -> Any:
    """Return the value of a line of JSON.

    NaN, Infinity and numbers beyond a double become their own text, lone surrogates become
    U+FFFD: PostHog takes none of them as they are (serde_json), and none is dropped.

    Raises:
        TooDeep: the line nests deeper than 510 levels.
        ValueError: it is not JSON.
    """
    try:
        value = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeError):
        value = _slow_loads(line if isinstance(line, str) else line.decode("utf-8"))
    except RecursionError:
        raise TooDeep from None
    if _openings(line) > _DEEPEST and _is_too_deep(value):
        raise TooDeep
    return value


def dumps(value: Any) -> bytes:
    """Return a value that `loads` made as JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # An integer beyond 64 bits.
        return msgspec.json.encode(value)


def _slow_loads(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=str, parse_float=_finite, parse_int=_whole)
        return _without_surrogates(value)
    except RecursionError:
        raise TooDeep from None


def _openings(line: bytes | str) -> int:
    """Return how many levels a line can have at most."""
    if isinstance(line, str):
        return line.count("{") + line.count("[")
    return line.count(b"{") + line.count(b"[")


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST + 1):
        inner = [one for one in level if isinstance(one, (dict, list))]
        if not inner:
            return False
        level = [part for one in inner for part in (one.values() if isinstance(one, dict) else one)]
    return True


def _whole(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:  # Python converts at most 4,300 digits
        return text


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if not isinstance(value, dict):
        return value
    whole: dict[str, Any] = {}
    for name, item in value.items():
        key = _SURROGATE.sub("\ufffd", name)
        while key in whole:  # two different broken names must not become one
            key += "\ufffd"
        whole[key] = _without_surrogates(item)
    return whole
