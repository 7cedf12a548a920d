"""From the bytes of a request to its JSON, with PostHog capture's limits and strictness.

Rules from PostHog's `rust/capture/src/payload/decompression.rs` and `rust/capture/src/v1/util.rs`.
JSON is read by orjson, which refuses what Rust's serde_json refuses: NaN, Infinity, numbers that
overflow, lone surrogates, trailing commas, invalid UTF-8. serde_json's limit of 127 nested levels
is checked apart.
"""

from __future__ import annotations

import zlib
from typing import Any

import orjson

GZIP_MAGIC = b"\x1f\x8b\x08"
# serde_json starts with a budget of 128 levels and refuses the step that uses the last one.
MAX_JSON_DEPTH = 127
_CONTAINERS = (dict, list)

# What zlib calls the containers of RFC 1952 (gzip) and RFC 1950 (zlib).
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


class BadEncodingError(Exception):
    """The bytes are not in the encoding they claim to have."""


class TooBigError(Exception):
    """The decompressed body passes the limit; holds the text PostHog logs."""


class BadJsonError(Exception):
    """The text is not JSON that serde_json would read."""


def decompress(wire: bytes, encoding: str, limit: int) -> bytes:
    """Unpack a `gzip` or `deflate` (zlib) body.

    Only the first member of a gzip body is read, as Rust's `GzDecoder` does.

    Args:
        wire: The body as it came.
        encoding: `gzip` or `deflate`.
        limit: Highest number of bytes it may hold when unpacked.

    Raises:
        BadEncodingError: It is broken or ends too early.
        TooBigError: It holds more than `limit` bytes.
    """
    unpacker = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = unpacker.decompress(wire, limit + 1)
    except zlib.error as broken:
        raise BadEncodingError from broken
    if len(plain) > limit:
        raise TooBigError(f"Decompressed payload would exceed {limit} bytes")
    if not unpacker.eof:
        raise BadEncodingError
    return plain


def read_json(plain: bytes) -> Any:
    """Read strict JSON.

    Raises:
        BadJsonError: It is no JSON; the message names the place.
    """
    try:
        return orjson.loads(plain)
    except orjson.JSONDecodeError as bad:
        raise BadJsonError(str(bad)) from bad


def too_deep(value: Any, levels: int = MAX_JSON_DEPTH) -> bool:
    """Say whether a JSON value holds more than `levels` nested arrays and objects."""
    if not isinstance(value, _CONTAINERS):
        return False
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    return any(isinstance(item, _CONTAINERS) and too_deep(item, levels - 1) for item in children)


def compact(value: Any) -> bytes:
    """Write JSON as serde_json does: no spaces, UTF-8, the keys of a map in order."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
