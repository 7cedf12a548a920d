"""JSON as real files hold it → its value; what strict readers refuse is kept (pure).

Files that passed through other programs hold NaN, 1e400, half of an emoji and bytes of another
coding. None of it is JSON by the letter, and none of it is worth the loss of an event:

- NaN, infinities and numbers that no double holds become their own text;
- an invalid byte, and half of a surrogate pair, becomes U+FFFD, as in every UTF-8 decoder (WHATWG
  Encoding Standard): to refuse the row would lose all of it to keep one byte that PostHog, which
  takes UTF-8 only, cannot have in any case;
- a character in two halves of three bytes each (CESU-8, as Java and Oracle write it) is that
  character (Unicode Technical Report 26);
- a control character inside a string is itself; a byte order mark is nothing.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

#: What nests deeper is no record. PostHog takes 125 levels; Python's readers and writers, the
#: recursive steps of conversions and the messages between processes give up at about 1,000, each
#: at a depth of its own. What is read must always be written again, be it into the rejects.
MAX_DEPTH = 500
#: For everything that recurses once or a few times for each level of a record.
RECURSION_LIMIT = 8 * MAX_DEPTH
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

_decode = msgspec.json.Decoder().decode
_SURROGATE = re.compile("[\ud800-\udfff]")
_PAIR = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_REPLACEMENT = "\ufffd"
_KINDS = {list: "array", str: "string", bool: "boolean", type(None): "null"}


class TooDeep(ValueError):
    """A text nests too deep."""

    def __init__(self) -> None:
        super().__init__("The JSON nests too deep.")


def loads(text: bytes | str, *, deepest: int = MAX_DEPTH) -> Any:
    """Return the value of a JSON text of at most `deepest` levels.

    Raises:
        TooDeep: It has more levels.
        ValueError: It is not JSON.
    """
    try:
        # msgspec keeps integers beyond 64 bits as they are; orjson makes floats of them.
        value = _decode(text)
    except (msgspec.MsgspecError, UnicodeError):
        value = _slow_loads(text if isinstance(text, str) else _text_of(text))
    except RecursionError:
        raise TooDeep from None
    if _openings(text) > deepest and _is_deeper(value, deepest):
        raise TooDeep
    return value


def strict_object(line: bytes) -> dict[str, Any] | None:
    """Return the object that a line is, by the letter of JSON; None for any other line."""
    try:
        value = _decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if type(value) is not dict or _openings(line) > MAX_DEPTH:
        return None
    return value


def read_object(text: bytes) -> dict[str, Any] | str:
    """Return a JSON object, or why the text is none, without any of its content."""
    try:
        value = loads(text)
    except TooDeep:
        return TOO_DEEP
    except ValueError:
        return "not JSON"
    if isinstance(value, dict):
        return value
    return f"a JSON {_KINDS.get(type(value), 'number')}, not an object"


def _slow_loads(text: str) -> Any:
    try:
        value = json.loads(
            text.lstrip("\ufeff"),
            strict=False,
            parse_constant=str,
            parse_float=_float_or_text,
            parse_int=_int_or_text,
        )
        return _without_surrogates(value)
    except RecursionError:
        raise TooDeep from None


def _text_of(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        whole = _HALF.sub(_REPLACEMENT.encode(), _PAIR.sub(_joined, line))
        return whole.decode(errors="replace")


def _joined(pair: re.Match[bytes]) -> bytes:
    halves = pair[0].decode("utf-8", "surrogatepass")
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode()


def _float_or_text(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _int_or_text(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:  # Python converts at most 4,300 digits
        return digits


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub(_REPLACEMENT, value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if not isinstance(value, dict):
        return value
    whole: dict[str, Any] = {}
    for name, item in value.items():
        key = _SURROGATE.sub(_REPLACEMENT, name)
        while key in whole:  # two different broken names must not become one
            key += _REPLACEMENT
        whole[key] = _without_surrogates(item)
    return whole


def _openings(text: bytes | str) -> int:
    """Return how many levels a text can have at most."""
    if len(text) <= 2 * MAX_DEPTH:
        return len(text) // 2  # each takes two brackets
    if isinstance(text, str):
        return text.count("{") + text.count("[")
    return text.count(b"{") + text.count(b"[")


def _is_deeper(value: Any, deepest: int) -> bool:
    level = [value]
    for _ in range(deepest + 1):
        inner = [outer for outer in level if isinstance(outer, (dict, list))]
        if not inner:
            return False
        level = [
            part
            for outer in inner
            for part in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return True
