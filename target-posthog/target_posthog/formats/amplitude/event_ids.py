"""Which uuid an event has: the row's own, or one made only from the row.

PostHog keeps one of two events only when uuid, name, distinct_id and day are all the same
(posthog/models/event/sql.py), so a second run must find the same uuid for the same row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.common.derived_uuids import identity_fields, row_uuid
from target_posthog.formats.amplitude.times import TIME_FIELDS
from target_posthog.posthog.times import to_rfc3339
from target_posthog.posthog.uuids import canonical_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping


def event_uuid(row: Mapping[str, Any]) -> str:
    """Return the row's `uuid` in its canonical form, or a UUIDv5 of the row's identity."""
    own = canonical_uuid(row.get("uuid"))
    if own is not None:
        return own
    return row_uuid(row if identity_fields(row) else _with_canonical_times(row))


def _with_canonical_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row as it is the same whichever way it came.

    A RECORD carries its times as RFC 3339, a BATCH file Amplitude's own text.
    """
    return {
        name: _canonical_time(value) if name in TIME_FIELDS else value
        for name, value in row.items()
    }


def _canonical_time(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        return None
    return to_rfc3339(value) or value
