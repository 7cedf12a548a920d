"""Records of any other tap: which field is the person, the time and the id, by the usual names.

A stream is an event: its name is the event's name, its fields are the event's properties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_posthog.amplitude.event_ids import canonical_uuid, derived_uuid
from target_posthog.amplitude.identity import MAX_DISTINCT_ID_LENGTH, legal_id
from target_posthog.amplitude.times import to_rfc3339
from target_posthog.conversion import Conversion, Converted, Json, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PERSON_NAMES = ("distinct_id", "user_id", "person_id", "customer_id", "anonymous_id", "device_id")
TIME_NAMES = ("timestamp", "event_time", "occurred_at", "created_at", "time", "updated_at", "date")
UUID_NAMES = ("uuid", "event_id", "message_id")


@dataclass(frozen=True)
class StreamFields:
    """How one stream's records become events.

    Attributes:
        stream: the stream's name.
        key_properties: its key; makes the uuid when the record has none.
    """

    stream: str
    key_properties: Sequence[str]

    def convert(self, record: Mapping[str, Any]) -> Conversion:
        """Return the record as an event, or why it cannot be one."""
        person = _first(legal_id(record.get(name)) for name in PERSON_NAMES)
        if person is None:
            return Rejected("no_distinct_id", f"None of {', '.join(PERSON_NAMES)} names a person.")
        if len(person) > MAX_DISTINCT_ID_LENGTH:
            return Rejected("distinct_id_too_long", f"The id has {len(person)} characters.")
        timestamp = _first(_time(record.get(name)) for name in TIME_NAMES)
        if timestamp is None:
            return Rejected("bad_time", f"None of {', '.join(TIME_NAMES)} is a time.")
        event: Json = {
            "uuid": self._uuid(record),
            "event": self.stream,
            "distinct_id": person,
            "timestamp": timestamp,
            "properties": {**record, "$geoip_disable": True},
        }
        return Converted(event)

    def _uuid(self, record: Mapping[str, Any]) -> str:
        own = _first(canonical_uuid(record.get(name)) for name in UUID_NAMES)
        if own is not None:
            return own
        keys = [record.get(name) for name in self.key_properties]
        row = {name: value for name, value in record.items() if not name.startswith("_sdc_")}
        return derived_uuid("record", self.stream, row if None in keys or not keys else keys)


def _time(value: Any) -> str | None:
    """Return a time, or the start of a day, as RFC 3339."""
    return to_rfc3339(value) or (
        to_rfc3339(f"{value}T00:00:00") if isinstance(value, str) else None
    )


def _first(candidates: Iterable[str | None]) -> str | None:
    return next((candidate for candidate in candidates if candidate is not None), None)
