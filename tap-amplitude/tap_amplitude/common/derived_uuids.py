"""Uuids that are made from what they name, the same in both plugins. Pure.

PostHog keeps one of two events only when uuid, name, distinct_id and day are all the same
(posthog/models/event/sql.py), so a row has one uuid in every run, whichever plugin gives it.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The namespace of every uuid that this project makes. Changing it would double events.
NAMESPACE = uuid.UUID("440d484f-b305-4763-8122-2f7d5801fca7")


def derived_uuid(kind: str, *parts: Any) -> str:
    """Return the UUIDv5 of a kind of event and the parts that identify it."""
    return str(uuid.uuid5(NAMESPACE, canonical_json([kind, *parts])))


def canonical_json(value: Any) -> str:
    """Return JSON that is the same for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def identity_fields(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that identify an Amplitude row without a uuid; none when only all do.

    Amplitude itself takes a repeat of (`device_id`, `insert_id`) for the same event
    (Amplitude docs, HTTP V2 API, "event deduplication").
    """
    sender = "device_id" if row.get("device_id") else "user_id"
    return ("app", sender, "$insert_id") if row.get(sender) and row.get("$insert_id") else ()


def row_uuid(row: Mapping[str, Any]) -> str:
    """Return the uuid of an Amplitude row that has none, the same in every export of it.

    Where `identity_fields` finds nothing, its times must be RFC 3339. Singer's own columns differ
    from run to run, so they do not count.
    """
    if fields := identity_fields(row):
        return derived_uuid("event", *map(row.get, fields))
    kept = {
        name: value
        for name, value in row.items()
        if name != "uuid" and not name.startswith("_sdc_")
    }
    return derived_uuid("event", kept)
