"""JSON in and out, fast, and without bending a value.

`lenient_json` reads; orjson writes, because it is the fastest.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import orjson

from target_posthog.common import lenient_json

#: What msgspec raises at a text that it does not read.
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
#: A record that is as deep as it may be, in its line of the rejects.
_DEEPEST = lenient_json.MAX_DEPTH + 10


def loads(line: bytes | str) -> Any:
    """Return the value of a line of JSON; see `lenient_json`.

    Raises:
        TooDeep: the line nests too deep.
        ValueError: it is not JSON.
    """
    return lenient_json.loads(line, deepest=_DEEPEST)


def json_object(text: bytes | str) -> dict[str, Any]:
    """Return the object that a peer's JSON is; an empty one for any other text."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def dumps(value: Any) -> bytes:
    """Return a value that `loads` made as JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # An integer beyond 64 bits.
        return msgspec.json.encode(value)
