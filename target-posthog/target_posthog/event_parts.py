"""The parts that PostHog knows an event by, held against what it takes."""

from __future__ import annotations

from target_posthog.amplitude.event_names import RESERVED_NAMES
from target_posthog.amplitude.identity import MAX_DISTINCT_ID_LENGTH
from target_posthog.conversion import Rejected

#: PostHog cuts longer names on /batch/ and drops the event on v1.
MAX_EVENT_NAME_LENGTH = 200


def problem_of_name(name: str) -> Rejected | None:
    """Return why PostHog would not store an event of this name as it is."""
    if len(name) > MAX_EVENT_NAME_LENGTH:
        return Rejected(
            "event_name_too_long",
            f"The name has {len(name)} characters; PostHog keeps {MAX_EVENT_NAME_LENGTH}. "
            "Rename it with event_names.",
        )
    if name in RESERVED_NAMES:
        return Rejected(
            "reserved_event_name",
            f"PostHog does not store {name} as an event. Rename it with event_names.",
        )
    return None


def problem_of_person(person: str | None, *, absent: str) -> Rejected | None:
    """Return why PostHog would not find this person again.

    Args:
        person: the `distinct_id`.
        absent: what to say when there is none.
    """
    if person is None:
        return Rejected("no_distinct_id", absent)
    if len(person) > MAX_DISTINCT_ID_LENGTH:
        return Rejected(
            "distinct_id_too_long",
            f"The id has {len(person)} characters; PostHog keeps {MAX_DISTINCT_ID_LENGTH}.",
        )
    return None
