"""Which uuid an event has: the row's own, or one made only from the row.

PostHog keeps one of two events only when uuid, name, distinct_id and day are all the same
(posthog/models/event/sql.py), so a second run must find the same uuid for the same row.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from target_posthog.formats.amplitude.times import TIME_FIELDS, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The namespace of every uuid that this project makes. Changing it would double events.
NAMESPACE = uuid.UUID("440d484f-b305-4763-8122-2f7d5801fca7")

#: The canonical form, and what gives it of any uuid in it.
_CANONICAL = b"00000000-0000-0000-0000-000000000000"
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789abcdef", b"000000000000000")
_WELL_FORMED = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}", re.ASCII | re.IGNORECASE
)


def event_uuid(row: Mapping[str, Any]) -> str:
    """Return the row's `uuid` in its canonical form, or a UUIDv5 of the row's identity."""
    own = canonical_uuid(row.get("uuid"))
    return own if own is not None else derived_uuid("event", *_identity(row))


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


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what identifies a row without a uuid.

    Amplitude itself takes a repeat of (`device_id`, `insert_id`) for the same event
    (Amplitude docs, HTTP V2 API, "event deduplication").
    """
    sender = row.get("device_id") or row.get("user_id")
    insert_id = row.get("$insert_id")
    if sender and insert_id:
        return (row.get("app"), sender, insert_id)
    return (_canonical_row(row),)


def _canonical_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row as it is the same whichever way it came.

    A RECORD carries its times as RFC 3339 and may carry Singer's `_sdc_` columns, which differ
    from run to run; a BATCH file carries Amplitude's own text.
    """
    return {
        key: _canonical_time(value) if key in TIME_FIELDS else value
        for key, value in row.items()
        if key != "uuid" and not key.startswith("_sdc_")
    }


def _canonical_time(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        return None
    return to_rfc3339(value) or value


def canonical_json(value: Any) -> str:
    """Return JSON that is the same for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
