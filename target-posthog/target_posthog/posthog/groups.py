"""Keys of groups, and the event that tells PostHog a group's properties. Pure.

A group exists only after a `$groupidentify` (posthog.com, docs/product-analytics/group-analytics).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.common.derived_uuids import derived_uuid
from target_posthog.posthog.library import marks_of
from target_posthog.posthog.people import stored_id

if TYPE_CHECKING:
    from target_posthog.model import GroupState, Json


def group_key(value: object) -> str | None:
    """Return a group's key as text, or None when the value names no group."""
    key = stored_id(value)
    return None if key is None or not key.strip() else key


def group_ordering_key(group_type: object, group_key: object) -> str:
    """Return what the states of a group must keep their order with."""
    return f"group {group_type} {group_key}"


def group_event(group: GroupState, person: str, timestamp: str) -> Json:
    """Return the event that tells PostHog a group's properties.

    `person` is the `distinct_id` of the record that showed them, as PostHog's browser SDK sends it:
    an id made up for the group would become a person of its own.
    """
    return {
        "uuid": derived_uuid(
            "$groupidentify", group.group_type, group.group_key, group.properties, timestamp
        ),
        "event": "$groupidentify",
        "distinct_id": person,
        "timestamp": timestamp,
        "properties": {
            "$group_type": group.group_type,
            "$group_key": group.group_key,
            "$group_set": group.properties,
        }
        | marks_of(group.source),
    }
