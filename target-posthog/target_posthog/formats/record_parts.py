"""What a record of another tap is called and when it happened, by the first field that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.formats.ids import UnfitError, described
from target_posthog.formats.selectors import Source
from target_posthog.model import Rejected, is_empty
from target_posthog.posthog.times import storable_time

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME_NAMES = ("timestamp", "event_time", "occurred_at", "created_at", "time", "updated_at", "date")

USUAL_TIME = Source(TIME_NAMES)


def name_in(source: Source, record: Mapping[str, Any]) -> str:
    """Return the name of a record's event; numbers are names, too.

    Raises:
        UnfitError: no field names it.
    """
    for _, read in source.readers:
        value = read(record)
        if isinstance(value, str):
            if value.strip():
                return value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    raise UnfitError(Rejected("missing_event_type", f"None of {source} names the event."))


def time_in(source: Source, record: Mapping[str, Any]) -> str:
    """Return the time in the first field that holds something, never that of another field.

    Raises:
        UnfitError: there is none, or it cannot be read.
    """
    for candidate, read in source.readers:
        value = read(record)
        time = storable_time(value)
        if time is not None:
            return time
        if is_empty(value) or value is False or (isinstance(value, str) and value.isspace()):
            continue
        reason = f"{described(candidate)} is not a time that can be read, or lies before 1900."
        raise UnfitError(Rejected("bad_time", reason))
    raise UnfitError(Rejected("bad_time", f"None of {source} holds a time."))
