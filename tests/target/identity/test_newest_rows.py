"""Which row of a person or a group is told, and what becomes of the others."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import msgspec
import pytest

from target_posthog.capture.protocols import wire_of
from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.amplitude.fast.convert import FastRows
from target_posthog.formats.options import Options
from target_posthog.identity import newest_rows
from target_posthog.identity.newest_rows import NewestRows, demoted, with_group_properties
from target_posthog.model import Converted, GroupState, Json, Link
from target_posthog.posthog.events import OutgoingEvent, prepare

FAR_AHEAD = "9999-12-31T23:59:59.999999Z"
WIRES = {"batch": wire_of("batch", "phc_x", "tests/1"), "v1": wire_of("v1", "phc_x", "tests/1")}
#: The ways to an event: the readable rules and either protocol, and the fast one.
WAYS = pytest.mark.parametrize("way", ["batch", "v1", "fast"])
LINK = Link("u1", "d1")


def event(
    minute: int = 0,
    user_id: str | None = None,
    *,
    way: str = "batch",
    options: Options | None = None,
    **fields: Any,
) -> OutgoingEvent:
    """Make the event of a row of device d1 that was ingested in this minute."""
    row: Json = {
        "event_type": "Play",
        "uuid": "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
        "user_id": user_id,
        "device_id": "d1",
        "event_time": "2024-01-01 10:00:00.000000",
        "server_upload_time": f"2024-01-01 10:{minute:02}:00.000000",
        "event_id": 1,
        "user_properties": {"minute": minute},
        **fields,
    }
    amplitude = Amplitude(options or Options())
    line, converted = json.dumps(row).encode(), amplitude.convert(row)
    if way == "fast":
        (fast,) = FastRows(amplitude).events_of([line])
        if fast is not None:
            return fast
    assert isinstance(converted, Converted)
    item = prepare(converted, line, WIRES["v1" if way == "v1" else "batch"].fitted, FAR_AHEAD)
    assert isinstance(item, OutgoingEvent)
    return item


def properties_of(item: OutgoingEvent) -> Json:
    """Return the properties of an event as it is sent."""
    properties: Json = json.loads(item.body)["properties"]
    return properties


def as_placed(row: int, **place: Any) -> OutgoingEvent:
    """Make the event of a row that sets its number, at a place in the order of rows."""
    return event(user_properties={"row": row}, **place)


FREE: Json = {"user_properties": {"plan": "free"}}
PAID: Json = {"user_properties": {"plan": "paid"}}
UPLOAD = {"server_upload_time": "2024-01-01 10:00:00.000000", "event_time": "2024-01-01 09:59:59"}
LATER = {"server_upload_time": "2024-01-01 10:00:00.001000", "event_time": "2020-01-01 00:00:00"}
FIRST: Json = {"event_time": "2024-01-01 09:00:00.001000", "event_id": 9}
SECOND: Json = {"event_time": "2024-01-01 09:00:00.002000", "event_id": 1}
ONCE, IGNORE = Options(user_properties="set_once"), Options(user_properties="ignore")


@pytest.mark.parametrize(
    ("rows", "outdated"),
    [
        # A row is measured by the newest told one, not by the last.
        ([event(minute) for minute in (10, 30, 20, 40, 35)], [2, 4]),
        # Each person has a newest row of their own.
        ([event(10, "u1"), event(5, "u2")], []),
        # What sets the same can stay as it is: PostHog keeps what it has.
        ([event(30, **FREE), event(20, **FREE), event(25, **PAID)], [2]),
        # The hour of an export is that of its upload; an event may be of any time.
        ([as_placed(1, **LATER), as_placed(0, **UPLOAD)], [1]),
        # Of one upload the time of the event decides, then its number.
        ([as_placed(1, **SECOND), as_placed(0, **FIRST)], [1]),
        ([as_placed(1, event_id=10), as_placed(0, event_id=9)], [1]),
        ([as_placed(1, event_id=1), as_placed(0, event_id=None)], [1]),
        # Without a place or a state it neither counts as old nor makes another one old.
        ([event(30), event(10, server_upload_time=None), event(20)], [2]),
        ([event(30), event(10, user_properties={}), event(20)], [2]),
        # These settings send no `$set`, so the order does not matter.
        *(([event(minute, options=one) for minute in (30, 10)], []) for one in (ONCE, IGNORE)),
    ],
)
def test_a_row_that_is_older_than_a_told_one_is_outdated(
    rows: list[OutgoingEvent], outdated: list[int]
) -> None:
    """By upload, then event time, then event id, whatever the others say."""
    newest = NewestRows()
    found = [newest.is_outdated(one.user or "d1", one) for one in rows]
    assert [number for number, is_old in enumerate(found) if is_old] == outdated


def test_memory_is_bounded_and_keeps_those_of_late() -> None:
    """Whoever had no row for long is forgotten."""
    rows = NewestRows(people=10)
    for number in range(100):
        rows.is_outdated(f"p{number}", event(30))
    assert rows.is_outdated("p95", event(10))
    assert not rows.is_outdated("p3", event(10))
    assert len(rows._people) <= 20


@WAYS
def test_a_demoted_event_has_the_users_properties_as_its_own(way: str) -> None:
    """All else is as it was."""
    whole = event(way=way, user_properties={"plan": "free", "initial_referrer": "a"})
    less = demoted(whole)
    expected = properties_of(whole)
    expected["user_properties"] = expected.pop("$set")
    assert properties_of(less) == expected
    assert expected["$set_once"] == {"$initial_referrer": "a"}
    assert not less.sets
    assert msgspec.structs.replace(less, body=whole.body, sets=whole.sets) == whole


@WAYS
@pytest.mark.parametrize(
    "customer",
    [
        {"user_properties": "our own"},
        {"user_properties": {"a": 1}},
        {"nested": {"$set": {"a": 1}}},
        {"nested": {"user_properties": {"a": 1}}},
        {"text": '"$set":{'},
        {"text": '"user_properties":{'},
        {'"$set":{': 1, '"user_properties"': 1},
    ],
)
def test_no_property_of_a_customer_is_renamed_or_overwritten(customer: Json, way: str) -> None:
    """Whatever in the event is called as what is looked for."""
    whole = event(way=way, event_properties=customer, user_properties={"plan": "free"})
    found = properties_of(demoted(whole))
    name = "$amplitude_user_properties" if "user_properties" in customer else "user_properties"
    assert found.pop(name) == {"plan": "free"}
    expected = properties_of(whole)
    del expected["$set"]
    assert found == expected
    assert customer.items() <= found.items()


def test_user_properties_that_nest_a_set_are_demoted_whole() -> None:
    """Only the event's own `$set` goes."""
    state = {"a": {"$set": {"b": 1}}, "user_properties": 1}
    found = properties_of(demoted(event(user_properties=state)))
    assert found["user_properties"] == state
    assert "$set" not in found


def test_demoted_operations_take_nothing_away() -> None:
    """They stand on the event as Amplitude has them."""
    operations = {"$set": {"plan": "paid"}, "$unset": {"old": "-"}}
    whole = event(event_type="$identify", user_properties=operations)
    assert whole.sets
    found = properties_of(demoted(whole))
    assert found["user_properties"] == operations
    assert found.keys().isdisjoint({"$set", "$unset"})


def test_values_are_not_bent_on_the_slow_way() -> None:
    """Reading and writing again changes no number."""
    customer = {"user_properties": 1, "big": 2**63, "exact": 0.1, "whole": 1.0}
    found = demoted(event(event_properties=customer)).body
    assert b'"big":9223372036854775808' in found
    assert b'"exact":0.1,"whole":1.0' in found


@WAYS
def test_the_newest_row_of_a_device_wins_over_its_users_older_one(way: str) -> None:
    """PostHog keeps the user's value at a merge, and applies the event's `$set` after it."""
    rows = NewestRows()
    rows.is_outdated("d1", event(59, way=way))
    rows.is_outdated("u1", event(1, "u1", device_id="d2"))
    late = event(30, "u1")
    assert rows.join(LINK, late) == {"minute": 59}
    assert rows.is_outdated("u1", late)


NEW, OLD = False, True


@pytest.mark.parametrize(
    "steps",
    [
        # The user or the row is newer: PostHog then ends right by itself.
        [
            ("d1", event(10), NEW),
            ("u1", event(20, "u1", device_id="d2"), NEW),
            (LINK, event(5, "u1"), None),
            ("d3", event(30, device_id="d3"), NEW),
            (Link("u1", "d3"), event(40, "u1", device_id="d3"), None),
            ("u1", event(40, "u1", device_id="d3"), NEW),
        ],
        # Nothing is known of the device: the user's rows stay as new as they are.
        [("u1", event(20, "u1"), NEW), (LINK, event(30, "u1"), None), ("u1", event(10, "u1"), OLD)],
        # PostHog may have joined them before the link is told: an earlier try may have told it.
        [
            ("u1", event(20, "u1", device_id="d2"), NEW),
            ("u1", event(10), OLD),
            ("u1", event(59), NEW),
            ("u1", event(30, "u1", device_id="d2"), OLD),
            (LINK, event(40, "u1"), {"minute": 59}),
        ],
        # The user's place is not yet that of a device which it claims.
        [("d1", event(59), NEW), ("u1", event(10), OLD), (LINK, event(20, "u1"), {"minute": 59})],
        # The row's own `$set` is the same.
        [
            ("d1", event(59, **FREE), NEW),
            (LINK, event(30, "u1", **FREE), None),
            ("u1", event(30, "u1", **FREE), NEW),
        ],
        # What it sets is on the user's person already.
        [("u1", event(59, "u1"), NEW), (LINK, event(30, "u1"), None)],
    ],
    ids=[
        *("the user is newer", "nothing is known", "claimed", "claimed later", "alike"),
        "of both",
    ],
)
def test_a_link_sets_what_is_known_of_its_device_alone(
    steps: list[tuple[str | Link, OutgoingEvent, Any]],
) -> None:
    """If that is newer than what the user has, and than its row."""
    rows = NewestRows()
    for who, one, answer in steps:
        found = rows.join(who, one) if isinstance(who, Link) else rows.is_outdated(who, one)
        assert found == answer


def test_nothing_is_kept_of_a_device_that_is_joined() -> None:
    """Its events go to the user's person; there is no link to come."""
    rows = NewestRows()
    assert not rows.is_outdated("u1", event(59), is_joined=True)
    assert rows.join(LINK, event(20, "u1")) is None


@WAYS
@pytest.mark.parametrize(
    "fields",
    [
        {"user_properties": {"a": {"$set": {"b": 1}}, "c": 'x"}'}},
        {"event_properties": {"nested": {"$set": {"b": 1}}}, "user_properties": {"c": [1.0]}},
        {"user_properties": {"text": "é\u2028\U0001f600", "initial_referrer": "a"}},
    ],
)
def test_a_link_carries_exactly_what_the_row_set(fields: Json, way: str) -> None:
    """It is found in the JSON, whatever stands around it."""
    rows = NewestRows()
    newest = event(59, way=way, **fields)
    rows.is_outdated("d1", newest)
    assert rows.join(LINK, event(1, "u1")) == properties_of(newest)["$set"]


def test_what_is_kept_of_devices_is_bounded_and_then_the_users_rows_count() -> None:
    """Of two old states the newer one is left."""
    rows = NewestRows(device_bytes=3000)
    for number in range(100):
        rows.is_outdated(f"d{number}", event(59, device_id=f"d{number}"))
        assert rows._devices._held <= 3000
    late = event(30, "u1", device_id="d3")
    assert rows.join(Link("u1", "d3"), late) is None
    assert not rows.is_outdated("u1", late)
    assert rows.join(Link("u1", "d99"), event(20, "u1", device_id="d99")) == {"minute": 59}


def test_a_stretch_goes_out_as_its_rows_one_by_one_would() -> None:
    """However many rows of a person are in it, under whichever id."""
    named = [(30, None), (10, None), (40, "u1"), (20, None), (35, "u1"), (50, None), (45, None)]
    owned: list[dict[str, tuple[str, bool]]] = [{}, {"d1": ("u1", False)}, {"d1": ("u1", True)}]
    for users in owned:
        alone, together = NewestRows(), NewestRows()
        items = [event(minute, user) for minute, user in named]
        people = [
            (one.user, False) if one.user else users.get("d1", ("d1", False)) for one in items
        ]
        outdated = [
            alone.is_outdated(person, one, is_joined=is_joined)
            for one, (person, is_joined) in zip(items, people, strict=True)
        ]
        told = list(together.attributed(items, users, set()))
        assert [not one.sets for one in told] == outdated
        assert [one.ordering_key for one in told] == [person for person, _ in people]
        together.settle()
        late = event(1, "u2", device_id="d1")
        assert together.join(Link("u2", "d1"), late) == alone.join(Link("u2", "d1"), late)


def test_a_device_of_a_stretch_is_joined_with_its_newest_row_there() -> None:
    """Before the stretch is settled, as after it."""
    for is_settled in (False, True):
        rows = NewestRows()
        list(rows.attributed([event(minute) for minute in (10, 20, 30)], {}, set()))
        if is_settled:
            rows.settle()
        assert rows.join(LINK, event(5, "u1")) == {"minute": 30}


def test_no_event_of_a_stretch_is_held_once_it_is_settled() -> None:
    """Only what it set is, within the bound."""
    rows = NewestRows()
    named = [*((minute, None) for minute in (10, 20, 30)), (40, "u1"), (50, "u1")]
    list(rows.attributed([event(minute, user) for minute, user in named], {}, set()))
    # What a user's row sets needs no joining.
    assert list(rows._devices.unsettled) == [hash("d1")]
    rows.settle()
    assert not rows._devices.unsettled
    assert 0 < rows._devices._held < 1000


def with_group(minute: int, **properties: Any) -> OutgoingEvent:
    """Make the event of a row of a group."""
    groups = {"org": {"acme": {"minute": minute}}}
    return event(minute, group_properties=groups, **properties)


ACME: Json = {"group_properties": {"org": {"acme": {"plan": "free"}}}}


@pytest.mark.parametrize(
    ("rows", "outdated"),
    [
        # As it is with people.
        ([with_group(minute) for minute in (10, 30, 20)], {2: {"minute": 20}}),
        # PostHog knows a state that says the same; it need not stand on the event.
        ([event(30, **ACME), event(20, **ACME), with_group(25)], {2: {"minute": 25}}),
        # A key alone names no group.
        ([with_group(30), event(20, group_properties={"team": {"acme": {"a": 1}}})], {}),
    ],
    ids=["older", "the same", "other types"],
)
def test_a_group_state_that_is_older_than_a_told_one_is_outdated(
    rows: list[OutgoingEvent], outdated: dict[int, Json]
) -> None:
    """Of the group that it is of."""
    newest = NewestRows()
    found = {number: newest.outdated_groups(one) for number, one in enumerate(rows)}
    states = {number: [GroupState("org", "acme", state)] for number, state in outdated.items()}
    assert {number: one for number, one in found.items() if one} == states


@WAYS
def test_outdated_group_properties_stand_on_the_event(way: str) -> None:
    """In the form that Amplitude has them in; the others are still told."""
    groups = {"org": {"acme": {"a": 1}, "other": {"b": 2}}, "team": {"x": {"c": 3}}}
    whole = event(way=way, group_properties=groups)
    outdated = [one for one in whole.groups if one.group_key != "other"]
    less = with_group_properties(whole, outdated)
    assert [one.group_key for one in less.groups] == ["other"]
    expected = properties_of(whole)
    expected["group_properties"] = {"org": {"acme": {"a": 1}}, "team": {"x": {"c": 3}}}
    assert properties_of(less) == expected


def test_a_customers_own_group_properties_stay() -> None:
    """Ours go beside them."""
    whole = event(
        event_properties={"group_properties": "our own"},
        group_properties={"org": {"acme": {"a": 1}}},
    )
    found = properties_of(with_group_properties(whole, whole.groups))
    assert found["group_properties"] == "our own"
    assert found["$amplitude_group_properties"] == {"org": {"acme": {"a": 1}}}


def test_the_usual_row_is_demoted_without_reading_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each such event costs as much as its conversion."""
    monkeypatch.delattr(newest_rows, "loads")
    usual = event(way="fast", event_properties={"nested": {"$set": {"a": 1}}})
    assert usual.sets > 0
    assert b'"user_properties":{"minute":0}' in demoted(usual).body
    assert not NewestRows().is_outdated("d1", usual)


def test_a_property_of_the_event_that_covers_ours_changes_nothing() -> None:
    """Then the event's JSON is written anew, and `$set` stands elsewhere in it."""
    clash = event(
        way="fast",
        platform="Web",
        user_properties={"utm_source": "a"},
        event_properties={"utm_source": "b"},
    )
    found = properties_of(demoted(clash))
    assert found["user_properties"] == {"utm_source": "a"}
    assert found["utm_source"] == "b"
    assert "$set" not in found


def test_an_event_can_be_outdated_for_its_person_and_its_group() -> None:
    """One after the other, whichever comes first."""
    whole = event(group_properties={"org": {"acme": {"a": 1}}})
    expected = properties_of(whole)
    expected["user_properties"] = expected.pop("$set")
    expected["group_properties"] = {"org": {"acme": {"a": 1}}}
    assert properties_of(demoted(with_group_properties(whole, whole.groups))) == expected
    assert properties_of(with_group_properties(demoted(whole), whole.groups)) == expected


def test_a_person_takes_less_than_200_bytes() -> None:
    """200,000 at most are remembered: 40 MB."""
    rows, row = NewestRows(), event(1, "u1")
    tracemalloc.start()
    try:
        for number in range(12_500):
            order = row.order[:-16] + number.to_bytes(16, "big")
            rows.is_outdated(f"user-{number:032}", msgspec.structs.replace(row, order=order))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows._people) == 12_500
    assert held < 200 * 12_500
