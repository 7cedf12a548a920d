"""RECORD messages that nest too deep to be read, cut apart by their brackets (pure).

By a batch file such a record goes to the rejects, and the run goes on. So it does by a message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from target_posthog.common.lenient_json import loads
from target_posthog.common.object_cutter import ObjectCutter

if TYPE_CHECKING:
    from target_posthog.common.object_cutter import Found

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]')


def deep_record_message(line: bytes, number: int) -> dict[str, Any] | None:
    """Return a RECORD message whose record nests too deep.

    Returns:
        The message, in which a `Found` stands for the record, as a batch file would give it. None
        when it is another message, or when not its record is what nests too deep.
    """
    outline, parts = _cut_apart(line)
    try:
        message = loads(outline)
    except ValueError:  # a bracket is missing, or one too many
        return None
    if not isinstance(message, dict) or message.get("type") != "RECORD":
        return None
    place = message.get("record")
    if not isinstance(message.get("stream"), str) or not isinstance(place, list):
        return None
    found = _found_in(parts[place[0]], number)
    return None if found is None else {**message, "record": found}


def _cut_apart(line: bytes) -> tuple[bytes, list[bytes]]:
    """Return an object with `[n]` for each object and array in it, and what stood there."""
    outline: list[bytes] = []
    parts: list[bytes] = []
    level = begin = behind = 0
    for token in _TOKEN.finditer(line):
        if token[0] in {b"{", b"["}:
            level += 1
            if level == 2:  # noqa: PLR2004 - in the message itself
                begin = token.start()
        elif token[0] in {b"}", b"]"}:
            level -= 1
            if level == 1:
                outline += [line[behind:begin], b"[%d]" % len(parts)]
                behind = token.end()
                parts.append(line[begin:behind])
    return b"".join([*outline, line[behind:]]), parts


def _found_in(text: bytes, number: int) -> Found | None:
    """Return what a batch file would give for a line; None for a record or several things."""
    cutter = ObjectCutter()
    found = [*cutter.feed(number, text + b"\n"), *cutter.end()]
    is_one_object = text.startswith(b"{") and len(found) == 1
    return found[0] if is_one_object and found[0].record is None else None
