"""Every code that can stand in a rejects file: what it means, and what to do about it.

docs/troubleshooting.md says the same; a test holds the two together.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Code(NamedTuple):
    """What a code means for the user, and what to do."""

    meaning: str
    remedy: str


_RENAME = "Rename it with `event_names`."

CODES: Mapping[str, Code] = MappingProxyType(
    {
        "bad_line": Code(
            "a line of a batch file is no record, or a record nests too deep",
            "Find out what wrote the file; deselect a field that is nested so deeply. The line "
            "itself cannot be sent.",
        ),
        "missing_event_type": Code(
            "the row has no event name",
            "None: it cannot be an event. With another tap, check the field of `event` in "
            "`streams`.",
        ),
        "event_name_too_long": Code(
            "PostHog keeps 200 characters of a name",
            _RENAME,
        ),
        "reserved_event_name": Code(
            "PostHog acts on this name instead of storing it",
            _RENAME,
        ),
        "bad_object": Code(
            "text that is not JSON stands where Amplitude has an object",
            "Make the tap or the query write JSON, and read these rows again.",
        ),
        "no_distinct_id": Code(
            "the record names no person at all",
            "With another tap, name the field in `streams`.",
        ),
        "distinct_id_too_long": Code(
            "PostHog keeps 200 characters of an id",
            "Shorten it in the source, or with a stream map.",
        ),
        "bad_time": Code(
            "none of the record's times can be read",
            "The target never substitutes its own clock. Correct the time with a stream map.",
        ),
        "future_time": Code(
            "the time lies more than 23 hours ahead; PostHog would replace it",
            "A device had a wrong clock, and the record does not say when it was uploaded (for an "
            "Amplitude row with a `server_upload_time`, its next good time is used). Correct it "
            "with a stream map, run it again when the time has passed, or leave it. If all records "
            "are rejected so, the clock of this machine is behind: set it, and send the rejects "
            "again.",
        ),
        "event_too_large": Code(
            "the event is larger than 900 kB",
            "Remove large properties with a stream map.",
        ),
        "bad_event": Code(
            "a part of the event has a type that PostHog refuses",
            "See the reason in the line.",
        ),
        "refused_by_posthog": Code(
            "PostHog refused this one event when it was sent alone",
            "See the reason. If it looks wrong, report it.",
        ),
    }
)


_OF_ANOTHER_VERSION = Code("a code of another version", "See the reason in the line.")


def described(code: str) -> Code:
    """Return what a code means and what to do, also of one that is unknown."""
    return CODES.get(code, _OF_ANOTHER_VERSION)
