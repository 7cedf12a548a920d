"""Which time an event has: Amplitude's own, in UTC, to the microsecond.

Amplitude exports `YYYY-MM-DD HH:MM:SS.ffffff` without a zone, always UTC; our tap writes RFC 3339.
PostHog replaces a time that it cannot read by the time of arrival, without a word
(PostHog/posthog rust/common/types/src/timestamp.rs), so only checked times are sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from target_posthog.common import amplitude_columns
from target_posthog.model import is_empty
from target_posthog.posthog.times import FIRST_TIME, any_time, number_time, to_rfc3339, to_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIME_FIELDS = frozenset(amplitude_columns.TIME_FIELDS)

#: The first that can be read and can be meant is the event's time. `event_time` is the client's
#: clock corrected by Amplitude for the device's error (Amplitude docs, "Amazon S3 export",
#: event_time); a clock of another year is corrected by nothing.
EVENT_TIME_SOURCES = (
    "event_time",
    "client_event_time",
    "server_received_time",
    "server_upload_time",
)


def event_time(row: Mapping[str, Any]) -> str | None:
    """Return the event's time as RFC 3339, or None when none of the row's times can be.

    Decided from the row alone: a rule that asks for the time of the run would give the same row
    another time in the next run, and PostHog would keep both.
    """
    found = source_of_time(row)
    return None if found is None else found[1]


def source_of_time(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the field that has the event's time, and the time; see `event_time`."""
    uploaded = any_time(row.get("server_upload_time"))
    for source in EVENT_TIME_SOURCES:
        time = any_time(row.get(source))
        if time is not None and not cannot_be(time, uploaded):
            return source, time
    return None


#: The length of `2024-01-31`.
_DAY = 10


def cannot_be(time: str, uploaded: str | None) -> bool:
    """Return True if an event cannot have been at this time.

    Either PostHog stores none so early, such as the `0001-01-01` that programs write for none, or
    it is over a day after the upload.

    Both times are as `to_rfc3339` writes them.
    """
    if time < FIRST_TIME:
        return True
    # Times of one form are in order as texts. On the same day it is less than a day.
    if uploaded is None or time <= uploaded or time[:_DAY] == uploaded[:_DAY]:
        return False
    try:
        latest = datetime.fromisoformat(uploaded[:-1]) + timedelta(days=1)
    except OverflowError:  # the last day of year 9999
        return False
    return time > to_text(latest)


def add_times(properties: dict[str, Any], names: Sequence[str], found: Sequence[Any]) -> None:
    """Add times under their names, each as RFC 3339 or, when it cannot be read, as it is.

    Null ones are left out.
    """
    for name, value in zip(names, found, strict=True):
        if not is_empty(value):
            properties[name] = to_rfc3339(value) or number_time(value) or value
