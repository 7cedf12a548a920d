"""Amplitude's user properties → what PostHog sets on the person.

An export holds the user's state at the time of each event, not the operations that led to it
(Amplitude docs, "User properties and events"). `$identify` rows, which an export seldom has, may
hold the operations of the Identify API; those that need no earlier state are done, and the whole
stays on the event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.formats.amplitude.values import NO_VALUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_posthog.formats.names import PropertyNames
    from target_posthog.model import Json
    from target_posthog.settings import UserProperties

#: The operations of Amplitude's Identify API (Amplitude docs, "Identify API", and `$clearAll` of
#: its SDKs).
OPERATIONS = frozenset(
    {
        *("$add", "$append", "$clearAll", "$postInsert", "$preInsert", "$prepend", "$remove"),
        *("$set", "$setOnce", "$unset"),
    }
)


def has_operations(event_type: str, user: Mapping[str, Any]) -> bool:
    """Return True if a row's user properties are operations instead of values."""
    return event_type == "$identify" and not OPERATIONS.isdisjoint(user)


def wanted_within(operations: Mapping[str, Any], names: PropertyNames) -> Json:
    """Return operations on user properties without those that the user leaves out."""
    return {
        name: names.renamed(value) if isinstance(value, dict) else value
        for name, value in operations.items()
    }


def updates_by_operations(user: Mapping[str, Any], user_properties: UserProperties) -> Json:
    """Return what the operations say that can be said without knowing the state before them."""
    plain = {name: value for name, value in user.items() if name not in OPERATIONS}
    state, first = {**plain, **_object(user.get("$set"))}, _object(user.get("$setOnce"))
    known = {**state, **first}
    first = {**first, **first_values(known, initial_names(known))}
    updates = person_updates(state, first, user_properties)
    gone = sorted(_object(user.get("$unset")))
    # Into a live project history brings only what is not there yet, and takes nothing away.
    return {**updates, "$unset": gone} if gone and user_properties == "set" else updates


def first_values(user: Mapping[str, Any], initial: tuple[tuple[str, str], ...]) -> Json:
    """Return the `initial_*` values under PostHog's names, without Amplitude's marker for none."""
    return {name: user[source] for source, name in initial if user[source] != NO_VALUE}


def initial_names(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return `("initial_referrer", "$initial_referrer")` for each name of a first value."""
    return tuple((name, f"${name}") for name in names if name.startswith("initial_"))


def person_updates(
    state: Mapping[str, Any], first: Mapping[str, Any], user_properties: UserProperties
) -> Json:
    """Return `$set` and `$set_once`, as the setting wants them.

    What is in `first` counts only the first time.
    """
    if user_properties == "set_once":
        state, first = {}, {**state, **first}
    updates: Json = {}
    if state:
        updates["$set"] = state
    if first:
        updates["$set_once"] = first
    return updates


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
