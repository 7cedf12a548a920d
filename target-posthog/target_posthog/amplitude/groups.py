"""Amplitude's groups → PostHog's: the first key on the event, the properties by `$groupidentify`.

Amplitude: `groups` is `{type: [key, …]}`, `group_properties` is `{type: {key: {name: value}}}`
(Amplitude docs, "Export API"). PostHog: one key per type on an event, and a group exists only
after a `$groupidentify` (posthog.com, docs/product-analytics/group-analytics).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.amplitude.event_ids import derived_uuid
from target_posthog.amplitude.identity import marks_of
from target_posthog.conversion import GroupState, Json

if TYPE_CHECKING:
    from collections.abc import Mapping


def first_groups(row: Mapping[str, Any]) -> Json:
    """Return `{type: key}` with the first key of each type; the others stay in `groups`."""
    groups = row.get("groups")
    first: Json = {}
    for group_type, keys in groups.items() if isinstance(groups, dict) else ():
        key = group_key(keys[0] if isinstance(keys, list) and keys else keys)
        if key is not None:
            first[group_type] = key
    return first


def group_key(value: object) -> str | None:
    """Return a group's key as text, or None when the value names no group."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return _stored(str(value)) if str(value).strip() else None


def group_states(row: Mapping[str, Any]) -> tuple[GroupState, ...]:
    """Return the groups whose properties the row carries."""
    by_type = row.get("group_properties")
    return tuple(
        GroupState(group_type, _stored(key), properties)
        for group_type, groups in (by_type.items() if isinstance(by_type, dict) else ())
        for key, properties in (groups.items() if isinstance(groups, dict) else ())
        if key.strip() and isinstance(properties, dict)
    )


def fits(group_properties: Any) -> bool:
    """Tell whether `{type: {key: {name: value}}}` holds all the way down."""
    return group_properties is None or (
        isinstance(group_properties, dict)
        and all(
            isinstance(groups, dict)
            and all(key.strip() and isinstance(one, dict) for key, one in groups.items())
            for groups in group_properties.values()
        )
    )


def group_event(group: GroupState, person: str, timestamp: str) -> Json:
    """Return the event that tells PostHog a group's properties.

    Args:
        group: which group, and its properties.
        person: the `distinct_id` of the record that showed them, as PostHog's browser SDK sends
            it; an id made up for the group would become a person of its own.
        timestamp: the record's time, RFC 3339.
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


def _stored(key: str) -> str:
    """Return a key as databases can hold it, the same on events and on the group itself."""
    return key.replace("\0", "\ufffd")
