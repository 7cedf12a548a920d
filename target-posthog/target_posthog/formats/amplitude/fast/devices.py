"""What the rows of a device share: device, place, user, session; converted once, kept as JSON.

Most of a row says nothing about the event itself, and is the same text in row after row. Pure.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from target_posthog.cache import Memo
from target_posthog.formats.amplitude.compiled_fields import DEVICE_FIELDS, PLACE_FIELDS
from target_posthog.formats.amplitude.groups import first_groups
from target_posthog.formats.amplitude.identity import person_of_ids
from target_posthog.formats.amplitude.origins import app_part
from target_posthog.formats.amplitude.person_properties import first_values, person_updates
from target_posthog.formats.amplitude.row_plans import (
    RARE_FIELDS,
    RowPlan,
)
from target_posthog.formats.amplitude.sessions import session_at
from target_posthog.json_codec import UNREADABLE, dumps
from target_posthog.posthog.events import NO_STATE, state_of
from target_posthog.posthog.library import MIGRATION_MARKS

if TYPE_CHECKING:
    from target_posthog.formats.amplitude.compiled_fields import PlatformFields
    from target_posthog.formats.amplitude.convert import Amplitude
    from target_posthog.formats.amplitude.sessions import Session
    from target_posthog.model import Json, Link

#: The fields that the rows of a device share, but for `user_properties`.
SHARED_FIELDS = (
    *DEVICE_FIELDS,
    *PLACE_FIELDS,
    *("amplitude_id", "app", "data", "device_id", "groups", "ip_address", "location_lat"),
    *("location_lng", "plan", "session_id", "user_creation_time", "user_id"),
    *RARE_FIELDS,
)
#: Tells values apart as JSON does, so that 1 is neither 1.0 nor true, and is made faster. Raw JSON
#: stands in it as it is.
encoded = msgspec.msgpack.Encoder().encode
_APP = SHARED_FIELDS.index("app")
_IDS = ("user_id", "device_id", "amplitude_id", "session_id", "groups")
#: How many devices are remembered, and how long what they are known by may be.
_MOST, _LONGEST = 2048, 2000


class DeviceContext(msgspec.Struct, frozen=True, gc=False):
    """What becomes of the fields that the rows of a device and its user share.

    Attributes:
        distinct_id: whose the events are.
        link: the pair of user and device, when PostHog can join the two.
        user: the user, when the rows name one.
        ordering_key: what the events keep their order with: the device, else the person.
        session: the session, when they have one that PostHog can have.
        properties: of each event; its own go before them.
        updates: those of them that go before its own.
        between: the JSON of an event between its name and its time.
        end: the JSON of the properties, up to the event's end.
        sets: how long `end` is from its `$set` on; 0 when they set nothing on the person.
        state: what tells that from other states; see `newness`.
        app: the first part of their origin; see `origins`.
    """

    distinct_id: str
    link: Link | None
    user: str | None
    ordering_key: str
    session: Session | None
    properties: Json
    updates: Json
    between: bytes
    end: bytes
    sets: int
    state: bytes
    app: bytes


class DeviceContexts:
    """Builds device contexts."""

    def __init__(self, amplitude: Amplitude) -> None:
        self._fields = fields = amplitude.fields
        self._user_properties = amplitude.options.user_properties
        self._plan = plan = RowPlan(fields, SHARED_FIELDS)
        self._ids = itemgetter(*map(SHARED_FIELDS.index, _IDS))
        self._found = itemgetter(*map(SHARED_FIELDS.index, plan.sources))
        self._converted = itemgetter(*map(SHARED_FIELDS.index, plan.converted))
        self._session = SHARED_FIELDS.index("session_id")
        self._session_names = [name for _, name in fields.copies_of(("session_id",))]
        self._devices: Memo[bytes, tuple[Json, PlatformFields]] = Memo(_MOST)

    def build(self, values: tuple[Any, ...], user_properties: bytes) -> DeviceContext | None:
        """Return the context of a device, or None when its rows cannot go the fast way.

        Args:
            values: those of `SHARED_FIELDS`.
            user_properties: the JSON of the row's.
        """
        user_id, device_id, amplitude_id, session_id, groups = self._ids(values)
        person, user = person_of_ids(user_id, device_id, amplitude_id), _object(user_properties)
        if person.problem is not None or user is None:
            return None
        properties, platform = self._fields_of(values, session_id)
        updates = self._add_user(properties, platform, user)
        if groups:
            properties.update(first_groups({"groups": groups}))
        properties.update(updates)
        try:
            written = orjson.dumps(properties)
            # What goes before other properties is written behind them, `$set` first.
            sets = len(orjson.dumps(updates)) if "$set" in updates else 0
            state = state_of(orjson.dumps(updates["$set"])) if sets else NO_STATE
        except TypeError:
            # An integer beyond 64 bits, or more than 254 levels: what gets through is not too deep.
            return None
        link, key = person.link, device_id if isinstance(device_id, str) else None
        return DeviceContext(
            person.distinct_id,
            link,
            person.distinct_id if person.is_user else None,
            (key if link is None else link.device_id) or person.distinct_id,
            session_at(session_id, device_id),
            properties,
            updates,
            b',"distinct_id":%b,"timestamp":"' % dumps(person.distinct_id),
            b",%b}" % written[1:],
            sets,
            state,
            app_part(values[_APP]),
        )

    def _fields_of(
        self, values: tuple[Any, ...], session_id: object
    ) -> tuple[Json, PlatformFields]:
        """Return the properties that follow from all fields, and the platform.

        Two contexts in three are of a known device in its next session, or with other properties
        of its user.
        """
        if not isinstance(session_id, int):
            return self._converted_fields(values)
        key = encoded((values[: self._session], values[self._session + 1 :]))
        known = self._devices.get(key)
        if known is None:
            known = self._converted_fields(values)
            if len(key) <= _LONGEST:
                self._devices.remember(key, known)
        fields, platform = known
        properties = fields.copy()
        for name in self._session_names:
            properties[name] = session_id
        return properties, platform

    def _converted_fields(self, values: tuple[Any, ...]) -> tuple[Json, PlatformFields]:
        converted = zip(self._plan.converted, self._converted(values), strict=True)
        row = {name: value for name, value in converted if value is not None}
        return self._plan.properties_of(row, self._found(values))

    def _add_user(self, properties: Json, platform: PlatformFields, user: Json) -> Json:
        """Add what the user's properties tell about the events; return what goes before that."""
        plan = self._fields.user_plan(platform, user)
        if plan.adds:
            plan.add_to(properties, user)
        first = first_values(user, plan.initial)
        return {**person_updates(user, first, self._user_properties), **MIGRATION_MARKS}


def _object(text: bytes) -> Json | None:
    """Return the object of a text, an empty one for null; None when it is something else."""
    try:
        value = msgspec.json.decode(text)
    except UNREADABLE:
        return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None
