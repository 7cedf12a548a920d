"""Whether PostHog holds what Amplitude had: every row once, and of every row everything.

The rules are written down here a second time, from the rows' side, and nothing of the target is
used: so a field that its conversion forgets is missed here.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tests.support.person_model import World, old_groups, old_people

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.fakes.posthog_capture import PosthogCapture
    from tools.sample_export import Row, Truth

Json = dict[str, Any]

#: Events that the migration adds.
LINK, GROUP = "$create_alias", "$groupidentify"

_EVENT_TIMES = ("event_time", "client_event_time", "server_received_time", "server_upload_time")
_ROW_TIMES = frozenset(
    {*_EVENT_TIMES, "client_upload_time", "processed_time", "user_creation_time"}
)
#: Columns that have a place of their own in a PostHog event.
_PLACED = frozenset(
    {
        *("event_type", "event_time", "uuid", "user_id", "device_id"),
        *("event_properties", "user_properties", "group_properties"),
    }
)
#: Under which further names a column must be found, unless a customer's property has the name.
_ALSO_AS = {
    "ip_address": ("$ip",),
    "user_id": ("$amplitude_user_id",),
    "device_id": ("$device_id", "$amplitude_device_id"),
    "event_id": ("$amplitude_event_id",),
    "session_id": ("$amplitude_session_id",),
}
#: What a web event may have of the user's properties: PostHog knows the visit's campaign by it.
_CAMPAIGN = (
    *("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"),
    *("gclid", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "twclid", "ttclid"),
    *("li_fat_id", "rdt_cid"),
)
_MARKS = {"$geoip_disable": True, "analytics_source": "amplitude", "historical_migration": True}
_SURROGATE = re.compile("[\ud800-\udfff]")
_DAY = timedelta(hours=24)


def assert_migrated(posthog: PosthogCapture, rows: Iterable[Row], truth: Truth) -> None:
    """Fail unless PostHog holds exactly these rows, whole, and knows who is who.

    Args:
        posthog: Where they went.
        rows: All rows that must be there.
        truth: Who is who in them.
    """
    pairs = list(matched(posthog, rows))
    for row, event in pairs:
        assert differences(row, event, truth) == [], (row, event)
    assert_sessions_kept_apart(pairs)
    assert_groups_told(posthog, pairs)
    assert_people_known(posthog, truth)
    assert_all_end_with_their_newest_row(posthog, [row for row, _ in pairs])


def matched(posthog: PosthogCapture, rows: Iterable[Row]) -> Iterator[tuple[Row, Json]]:
    """Find the one event of each row; fail if one is missing, doubled, or nobody's."""
    events = [event for event in posthog.held().values() if event["event"] not in (LINK, GROUP)]
    numbers = Counter(_number_in(event) for event in events)
    assert [number for number, times in numbers.items() if times > 1] == []
    by_number = {_number_in(event): event for event in events}
    by_insert_id = {event["properties"].get("$insert_id"): event for event in events}
    missing = []
    for row in rows:
        number = _uuid_of(row)
        event = by_number.pop(number, None) if number else by_insert_id[row["$insert_id"]]
        if event is None:
            missing.append(row)
            continue
        by_number.pop(_number_in(event), None)
        yield row, event
    assert missing == []
    assert list(by_number.values()) == [], "events that no row asked for"


def differences(row: Row, event: Json, truth: Truth) -> list[str]:
    """Name everything in which a stored event is not what its row asks for.

    Args:
        row: As Amplitude exported it.
        event: As PostHog stored it.
        truth: Which ids are somebody's.
    """
    properties = event["properties"]
    wanted = _wanted_properties(row)
    if "$set" in wanted and "$set" not in properties:
        # A newer row of the person came before; see `assert_all_end_with_their_newest_row`.
        wanted["user_properties"] = wanted.pop("$set")
    wrong = [
        f"property {name}"
        for name, value in wanted.items()
        if name not in properties or _text(properties[name]) != _text(value)
    ]
    head = {
        "event": row["event_type"],
        "distinct_id": _person_of(row, truth),
        "timestamp": _time_of(row),
        "uuid": _uuid_of(row) or event["uuid"],
        "_historical": True,
    }
    wrong += [name for name, value in head.items() if event[name] != value]
    user = row["user_properties"] or {}
    campaign = {name for name in _CAMPAIGN if properties.get(name) == user.get(name)}
    strangers = properties.keys() - wanted.keys() - {"title", *_old_groups_of(row)} - campaign
    wrong += [f"stranger {name}" for name in strangers if not name.startswith("$")]
    if not _session_fits(row, event):
        wrong.append("$session_id")
    return wrong


def assert_sessions_kept_apart(pairs: Sequence[tuple[Row, Json]]) -> None:
    """Fail unless each session of each device has one id of its own."""
    ids = {
        ((row["device_id"], row["session_id"]), event["properties"]["$session_id"])
        for row, event in pairs
        if "$session_id" in event["properties"]
    }
    assert len(ids) == len({session for session, _ in ids}) == len({name for _, name in ids})


def assert_groups_told(posthog: PosthogCapture, pairs: Iterable[tuple[Row, Json]]) -> None:
    """Fail unless every state of a group that a row says was told, or stands on its event.

    Not when: with several requests under way a row may come before what it says of its groups.
    """
    pairs = list(pairs)
    updates = [event["properties"] for event in posthog.events if event["event"] == GROUP]
    told = {(one["$group_type"], one["$group_key"], _text(one["$group_set"])) for one in updates}
    kept = {
        (*group, state) for _, event in pairs for group, state in _group_states(event["properties"])
    }
    said = {(*group, state) for row, _ in pairs for group, state in _group_states(row)}
    assert said - told - kept == set()


def assert_all_end_with_their_newest_row(posthog: PosthogCapture, rows: Sequence[Row]) -> None:
    """Fail unless each person and each group is in PostHog as its newest row says."""
    world = World()
    world.receive(posthog.events)
    assert old_people(world, rows) == []
    assert old_groups(world, rows) == []


def assert_people_known(posthog: PosthogCapture, truth: Truth) -> None:
    """Fail unless each device is joined to its first user, and no two users are one person."""
    persons = posthog.persons()
    numbers = {persons.person_of(user) for user in truth.users}
    assert len(numbers) == len(truth.users), "users were glued together"
    nameless = {frozenset({f"amplitude:{name}"}) for name in truth.nameless_amplitude_ids}
    assert set(persons.people()) == truth.person_groups() | nameless
    assert persons.warnings == []
    links = {
        (event["properties"]["alias"], event["distinct_id"])
        for event in posthog.events
        if event["event"] == LINK
    }
    assert links == set(truth.owner_of_device.items())


def _wanted_properties(row: Row) -> Json:
    customer = row["event_properties"] or {}
    wanted: Json = {}
    for name, value in row.items():
        if _is_empty(value):
            continue
        if name not in _PLACED:
            kept = (_moment(value) or value) if name in _ROW_TIMES else value
            wanted[f"$amplitude_{name}" if name in customer else name] = kept
        for other in _ALSO_AS.get(name, ()):
            wanted[other] = value
    if row.get("uuid") and _uuid_of(row) is None:
        wanted["$amplitude_uuid"] = row["uuid"]
    user = row["user_properties"] or {}
    first = {
        "$initial_" + name[len("initial_") :]: value
        for name, value in user.items()
        if name.startswith("initial_") and value != "EMPTY"
    }
    groups = {kind: keys[0] for kind, keys in (row.get("groups") or {}).items()}
    placed = {"$set": user, "$set_once": first, "$groups": groups}
    return wanted | {n: v for n, v in placed.items() if v} | _MARKS | customer


def _old_groups_of(row: Row) -> set[str]:
    """Return what an event may have of its row's groups, when a newer row of them came before."""
    return {"group_properties"} if row.get("group_properties") else set()


def _group_states(row: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    for kind, groups in (row.get("group_properties") or {}).items():
        for key, properties in groups.items():
            yield (kind, key), _text(properties)


def _person_of(row: Row, truth: Truth) -> str:
    if row["user_id"] in truth.users:
        return str(row["user_id"])
    if row["device_id"] in truth.users_of_device:
        return str(row["device_id"])
    return f"amplitude:{row['amplitude_id']}"


def _time_of(row: Row) -> str | None:
    return next((moment for name in _EVENT_TIMES if (moment := _moment(row.get(name)))), None)


def _session_fits(row: Row, event: Json) -> bool:
    """Whether the session's id is a UUIDv7 of its first millisecond, or rightly not there."""
    made = event["properties"].get("$session_id")
    start = row.get("session_id")
    if not isinstance(start, int) or start <= 0 or not (row["device_id"] or "").strip():
        return made is None
    began = datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=start)
    happened = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
    if not began <= happened < began + _DAY:
        return made is None
    return made is not None and UUID(made).version == 7 and UUID(made).int >> 80 == start


def _uuid_of(row: Mapping[str, Any]) -> str | None:
    """Give the row's uuid as PostHog writes it; None when the row has no proper one."""
    try:
        return str(UUID(row.get("uuid") or ""))
    except ValueError:
        return None


def _number_in(event: Json) -> str:
    number: str = event["uuid"]
    return number


def _moment(value: Any) -> str | None:
    """Give a time in the one form that everything is written in; None when it is none."""
    try:
        return datetime.fromisoformat(value).isoformat(timespec="microseconds") + "Z"
    except (TypeError, ValueError):
        return None


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", {}, [])


def _text(value: Any) -> str:
    """Write a value so that only equal values of equal types give equal text."""
    return json.dumps(_as_json_can(value), sort_keys=True)


def _as_json_can(value: Any) -> Any:
    """Put in place of what JSON in UTF-8 cannot hold what the migration documents for it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value}"
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_as_json_can(item) for item in value]
    if isinstance(value, dict):
        return {_as_json_can(name): _as_json_can(item) for name, item in value.items()}
    return value
