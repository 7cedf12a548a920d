"""Uuids of events: in canonical form, or made only from what identifies the event. Pure.

PostHog keeps one of two events only when uuid, name, distinct_id and day are all the same
(posthog/models/event/sql.py), so a second run must find the same uuid for the same record.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The namespace of every uuid that this project makes. Changing it would double events.
NAMESPACE = uuid.UUID("440d484f-b305-4763-8122-2f7d5801fca7")

#: The canonical form, and what gives it of any uuid in it.
_CANONICAL = b"00000000-0000-0000-0000-000000000000"
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789abcdef", b"000000000000000")
_WELL_FORMED = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}", re.ASCII | re.IGNORECASE
)


def canonical_uuid(value: object) -> str | None:
    """Return a uuid in lower case with hyphens, or None when the value is not one."""
    if not isinstance(value, str):
        return None
    if value.encode("utf-8", "replace").translate(_DIGITS_TO_ZERO) == _CANONICAL:
        return value
    return str(uuid.UUID(value)) if _WELL_FORMED.fullmatch(value) else None


def canonical_uuids(values: Sequence[str | None]) -> Sequence[str | None]:
    """Do `canonical_uuid` for each of these values; nearly as fast as for one of them."""
    texts = [value or "" for value in values]
    zeros = "".join(texts).encode("utf-8", "replace").translate(_DIGITS_TO_ZERO)
    if zeros == _CANONICAL * len(texts) and set(map(len, texts)) == {len(_CANONICAL)}:
        return texts
    return list(map(canonical_uuid, values))


def derived_uuid(kind: str, *parts: Any) -> str:
    """Return the UUIDv5 of a kind of event and the parts that identify it."""
    return str(uuid.uuid5(NAMESPACE, canonical_json([kind, *parts])))


def canonical_json(value: Any) -> str:
    """Return JSON that is the same for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
