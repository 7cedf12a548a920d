"""Which records a preview shows, and how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_posthog.posthog.people import stored_id

if TYPE_CHECKING:
    from target_posthog.formats.trace import Trace
    from target_posthog.model import Json

#: The fields of a record by which somebody is looked for.
_IDS = ("user_id", "device_id", "amplitude_id", "distinct_id")
_NAMES = ("event_type", "event")


@dataclass(frozen=True)
class Wanted:
    """What is to be shown; None is anything.

    Attributes:
        count: how many records.
        hour: of this export hour, `2024-01-31T05`; of records without one, of this hour.
        event: whose events have this name, in Amplitude or in PostHog.
        user: of this user, device or person.
    """

    count: int
    hour: str | None = None
    event: str | None = None
    user: str | None = None

    def has(self, record: Json, trace: Trace, event: Json | None, hour: str) -> bool:
        """Return True if a record is to be shown.

        `trace` says which columns its fields have; `hour` is its export hour, or its event's.
        """
        if self.hour is not None and hour != self.hour:
            return False
        if self.event is not None and self.event not in _texts(
            record, trace, _NAMES, event, "event"
        ):
            return False
        return self.user is None or self.user in _texts(record, trace, _IDS, event, "distinct_id")


def _texts(
    record: Json, trace: Trace, fields: tuple[str, ...], event: Json | None, part: str
) -> set[str | None]:
    values = [record.get(trace.path_of(name)) for name in fields]
    return {stored_id(value) for value in values} | ({event[part]} if event else set())
