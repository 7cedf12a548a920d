"""Which records a preview shows, and how many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_posthog.errors import FixConfiguration
from target_posthog.posthog.people import stored_id

if TYPE_CHECKING:
    from target_posthog.formats.trace import Trace
    from target_posthog.model import Json

_HOUR = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d)(?::00){0,2}Z?", re.ASCII)
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


def hour_of(given: str | None) -> str | None:
    """Return an hour as `2024-01-31T05`.

    Raises:
        FixConfiguration: it is none.
    """
    if given is None:
        return None
    found = _HOUR.fullmatch(given.strip())
    if found is None:
        raise FixConfiguration(
            "--hour is not an hour.", "Give one of UTC, such as --hour 2024-01-31T05."
        )
    return f"{found[1]}T{found[2]}"
