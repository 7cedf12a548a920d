"""Which uuid an event has: the row's own, or one made only from the row.

PostHog keeps one of two events only when uuid, name, distinct_id and day are all the same
(posthog/models/event/sql.py), so a second run must find the same uuid for the same row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.formats.amplitude.times import TIME_FIELDS
from target_posthog.posthog.times import to_rfc3339
from target_posthog.posthog.uuids import canonical_uuid, derived_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping


def event_uuid(row: Mapping[str, Any]) -> str:
    """Return the row's `uuid` in its canonical form, or a UUIDv5 of the row's identity."""
    own = canonical_uuid(row.get("uuid"))
    return own if own is not None else derived_uuid("event", *_identity(row))


def identity_fields(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that identify a row without a uuid; none when only the whole row does.

    Amplitude itself takes a repeat of (`device_id`, `insert_id`) for the same event
    (Amplitude docs, HTTP V2 API, "event deduplication").
    """
    sender = "device_id" if row.get("device_id") else "user_id"
    return ("app", sender, "$insert_id") if row.get(sender) and row.get("$insert_id") else ()


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what identifies a row without a uuid."""
    return tuple(map(row.get, identity_fields(row))) or (_canonical_row(row),)


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
