"""Amplitude's groups → PostHog's: the first key on the event, the properties by `$groupidentify`.

Amplitude: `groups` is `{type: [key, …]}`, `group_properties` is `{type: {key: {name: value}}}`
(Amplitude docs, "Export API"). PostHog: one key per type on an event, and a group exists only
after a `$groupidentify` (posthog.com, docs/product-analytics/group-analytics).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.formats.amplitude.person_properties import OPERATIONS
from target_posthog.model import GroupState, Json
from target_posthog.posthog.groups import group_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.formats.names import PropertyNames


def first_groups(row: Mapping[str, Any]) -> Json:
    """Return `$groups`, `{type: key}` with the first key of each type, when there is one.

    The other keys stay in `groups`.
    """
    groups = row.get("groups")
    first: Json = {}
    for group_type, keys in groups.items() if isinstance(groups, dict) else ():
        key = group_key(keys[0] if isinstance(keys, list) and keys else keys)
        if key is not None:
            first[group_type] = key
    return {"$groups": first} if first else {}


def group_states(row: Mapping[str, Any], names: PropertyNames) -> tuple[GroupState, ...]:
    """Return the groups whose properties the row carries, as the user wants them."""
    by_type = row.get("group_properties")
    if not isinstance(by_type, dict):
        return ()
    if _has_operations(row):
        properties = by_type.get("$set")
        return tuple(
            GroupState(group_type, key, dict(names.renamed(properties)))
            for group_type, key in _groups_of(row)
            if isinstance(properties, dict) and properties
        )
    return tuple(
        GroupState(group_type, key, dict(names.renamed(properties)))
        for group_type, groups in by_type.items()
        for name, properties in (groups.items() if isinstance(groups, dict) else ())
        if (key := group_key(name)) is not None and isinstance(properties, dict)
    )


def fits(row: Mapping[str, Any]) -> bool:
    """Return True if the row's group properties are `{type: {key: {name: value}}}` throughout.

    Operations are not: only what they set can be sent to PostHog.
    """
    group_properties = row.get("group_properties")
    return group_properties is None or (
        isinstance(group_properties, dict)
        and not _has_operations(row)
        and all(
            isinstance(groups, dict)
            and all(key.strip() and isinstance(group, dict) for key, group in groups.items())
            for groups in group_properties.values()
        )
    )


def wanted_groups(group_properties: Any, names: PropertyNames) -> Any:
    """Return group properties without what the user leaves out, wherever they stand."""
    if not isinstance(group_properties, dict):
        return group_properties
    return {
        name: wanted_groups(names.renamed(value), names) if isinstance(value, dict) else value
        for name, value in group_properties.items()
    }


def _has_operations(row: Mapping[str, Any]) -> bool:
    """Return True if these are the Group Identify API's operations on the groups of the row.

    An export holds the resulting properties, but a `$groupidentify` row may be one as it was sent.
    """
    return row["event_type"] == "$groupidentify" and not OPERATIONS.isdisjoint(
        row["group_properties"]
    )


def _groups_of(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    groups = row.get("groups")
    for group_type, keys in groups.items() if isinstance(groups, dict) else ():
        for given in keys if isinstance(keys, list) else [keys]:
            key = group_key(given)
            if key is not None:
                yield group_type, key
