"""Names of events and properties that PostHog, or this migration, acts upon. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.model import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names on which PostHog acts instead of storing what they say: merges of people
#: (person-merge-service.ts) and lanes of their own (rust/capture events/analytics.rs).
#: An Amplitude event of such a name must be renamed by the user.
RESERVED_NAMES = frozenset(
    {
        "$create_alias",
        "$merge_dangerously",
        "$performance_event",
        "$snapshot",
        "$$heatmap",
        "$$client_ingestion_warning",
    }
)


#: PostHog cuts longer names on /batch/ and drops the event on v1.
MAX_EVENT_NAME_LENGTH = 200
MERGE_NAMES = frozenset({"$create_alias", "$merge_dangerously"})
#: PostHog drops these without a person (nodejs, person-merge-service.ts,
#: `invalid_event_when_process_person_profile_is_false`).
NEED_A_PERSON = frozenset({"$groupidentify", "$identify", *MERGE_NAMES})

#: Names that only this migration writes: fields of the row that name the event's person.
OWN_NAMES: Mapping[str, str] = {
    "$amplitude_device_id": "device_id",
    "$amplitude_user_id": "user_id",
}

#: Names that PostHog, or this migration, acts upon. A customer's property of such a name was only
#: data in Amplitude; it is kept as `$amplitude_<name>` so that it stays only data.
ACTING_NAMES = frozenset(
    {
        *OWN_NAMES,
        "$anon_distinct_id",
        "$cookieless_mode",
        "$geoip_disable",
        "$group_key",
        "$group_set",
        "$group_type",
        "$groups",
        "$ignore_sent_at",
        "$process_person_profile",
        "$set",
        "$set_once",
        "$unset",
        "analytics_source",
        "historical_migration",
    }
)

#: Who sent the event: they stay, whatever the user leaves out.
IDENTITY_NAMES = frozenset({*OWN_NAMES, "$device_id"})


def problem_of_name(name: str) -> Rejected | None:
    """Return why PostHog would not store an event of this name as it is."""
    if len(name) > MAX_EVENT_NAME_LENGTH:
        return Rejected(
            "event_name_too_long",
            f"The name has {len(name)} characters; PostHog keeps {MAX_EVENT_NAME_LENGTH}. "
            "Rename it with `event_names`.",
        )
    if name in RESERVED_NAMES:
        return Rejected(
            "reserved_event_name",
            f"PostHog does not store {name} as an event. Rename it with `event_names`.",
        )
    return None


def problem_without_person(name: str) -> Rejected | None:
    """Return why PostHog would not store an event of this name and of no person."""
    if name not in NEED_A_PERSON:
        return None
    return Rejected(
        "reserved_event_name",
        f"PostHog does not store {name} as an event of no person. Rename it with `event_names`.",
    )


def unused_name(name: str, taken: Mapping[str, Any]) -> str:
    """Return under what name a value stands beside the property that has its own."""
    free = f"$amplitude_{name}"
    while free in taken:
        free = f"$amplitude_{free}"
    return free
