"""Ids that name a person, and the event that joins a device to its user. Pure.

The reasoning, with PostHog's merge rules, is in `docs/identity.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.common.derived_uuids import derived_uuid
from target_posthog.model import Json, Link, Rejected, Source
from target_posthog.posthog.library import marks_of

if TYPE_CHECKING:
    from target_posthog.settings import IdentityEvents

#: PostHog cuts longer ids on /batch/ and drops them on v1 (rust/capture, v0_request.rs and
#: v1/analytics/types.rs): either way the person would not be found again.
MAX_DISTINCT_ID_LENGTH = 200

_ILLEGAL_IN_POSTHOG = {
    # Refused in merges (nodejs person-merge-service.ts); the second part loses its person in
    # capture v1. Both lists are partly case-insensitive; we take all of both that way, because
    # an id on them is a programming error whatever its case.
    "anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email",
    "undefined", "true", "false", "[object object]", "nan", "none", "null", "0",
    "00000000-0000-0000-0000-000000000000", "anonymous-user", "backend", "system", "user",
}  # fmt: skip
_ILLEGAL_IN_AMPLITUDE = {
    # Refused at ingestion today (Amplitude docs, HTTP V2 API, "device ID and user ID"); the list
    # grew with time, so old rows can hold them.
    "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown",
    "00000000-0000-0000-0000-000000000000", "{}", "lmy47d", "0", "-1",
}  # fmt: skip
ILLEGAL_IDS = frozenset(_ILLEGAL_IN_POSTHOG | _ILLEGAL_IN_AMPLITUDE)


def legal_id(value: object) -> str | None:
    """Return an id as text, or None when it names nobody.

    Blank ids and ids on PostHog's or Amplitude's illegal list, also in quotes, name nobody: an
    event sent under `"null"` would make one person of everybody who was logged out.
    """
    text = stored_id(value)
    if text is None:
        return None
    bare = text.strip()
    quoted = len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\""
    bare = (bare[1:-1].strip() if quoted else bare).lower()
    return None if not bare or bare in ILLEGAL_IDS else text


def stored_id(value: object) -> str | None:
    """Return an id as the text that PostHog stores, or None when it is neither text nor number.

    PostHog stores U+FFFD for NUL (rust/capture, v0_request.rs). A number is the same id however
    it is written: some taps make 42.0 of 42.
    """
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if is_whole else value)


def problem_of_person(person: str | None, *, absent: str) -> Rejected | None:
    """Return why PostHog would not find this person again."""
    if person is None:
        return Rejected("no_distinct_id", absent)
    if len(person) > MAX_DISTINCT_ID_LENGTH:
        return Rejected(
            "distinct_id_too_long",
            f"The id has {len(person)} characters; PostHog keeps {MAX_DISTINCT_ID_LENGTH}.",
        )
    return None


def joined(user: str, device: str, source: Source = "amplitude") -> Link | None:
    """Return the link of two legal ids, or None when they are one or too long for PostHog."""
    if user == device or max(len(user), len(device)) > MAX_DISTINCT_ID_LENGTH:
        return None
    return Link(user, device, source)


def identity_event(kind: IdentityEvents, pair: Link, timestamp: str) -> Json:
    """Return the event that merges the device's person into the user's.

    The user is always `distinct_id`: PostHog merges the other id into it and refuses when that
    other one already is somebody. So a second device joins its user, and a shared device never
    joins two users (nodejs person-merge-service.ts). `timestamp` is that of the record that showed
    the pair, RFC 3339.
    """
    if kind == "alias":
        name = "$create_alias"
        merge = {"distinct_id": pair.user_id, "alias": pair.device_id}
    else:
        name = "$identify"
        merge = {"$anon_distinct_id": pair.device_id}
    return {
        "uuid": derived_uuid(name, pair.user_id, pair.device_id),
        "event": name,
        "distinct_id": pair.user_id,
        "timestamp": timestamp,
        "properties": merge | marks_of(pair.source),
    }


#: What PostHog merges into the event's person, by the event's name (nodejs,
#: person-merge-service.ts).
MERGED_IDS = {"$identify": "$anon_distinct_id", "$create_alias": "alias"}


def merged_by(event: Json) -> Any:
    """Return the id that an event asks PostHog to merge into its person, or None."""
    return event["properties"].get(MERGED_IDS.get(event["event"]))
