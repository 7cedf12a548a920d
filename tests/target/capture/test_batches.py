"""Which events PostHog would refuse, and how the others are packed."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest

from target_posthog.capture.batches import Limits, size_of
from target_posthog.identity.newest_rows import demoted, with_group_properties
from target_posthog.identity.observations import without_merge
from target_posthog.model import GroupState, Link, Rejected
from target_posthog.posthog.events import MAX_EVENT_BYTES, SOMEWHERE, OutgoingEvent, prepare
from tests.support.deliveries import LATEST, WIRE, batch_of, converted, events_of, item


def code_of(number: int = 1, **changes: Any) -> str | None:
    """Return the code under which an event is rejected before it is sent."""
    made = prepare(converted(number, **changes), {}, WIRE.fitted, LATEST)
    return made.code if isinstance(made, Rejected) else None


def key_of(person: str, *, link: Link | None = None, **properties: Any) -> tuple[str, str | None]:
    """Return what an event keeps its order with, and the user that it shows."""
    made = item(1, distinct_id=person, link=link, properties=properties)
    return made.ordering_key, made.user


def test_a_sound_event_goes_on_its_way() -> None:
    """The check lets through what PostHog takes, and nothing of it is lost."""
    made = item(1)
    event = converted(1).event
    assert json.loads(made.body) == event
    assert [made.uuid, made.name, made.person, made.timestamp] == [
        event[part] for part in ("uuid", "event", "distinct_id", "timestamp")
    ]
    assert made.record == {"row": 1}
    assert not made.is_derived


@pytest.mark.parametrize("name", ["uuid", "event", "distinct_id", "timestamp"])
@pytest.mark.parametrize("value", ["", None, 5, ["a"]])
def test_an_event_without_a_required_text_is_bad(name: str, value: Any) -> None:
    """One such event would make PostHog refuse its whole batch."""
    assert code_of(**{name: value}) == "bad_event"


@pytest.mark.parametrize("properties", [None, [], "text", {"$cookieless_mode": "yes"}])
def test_properties_of_a_wrong_type_are_bad(properties: object) -> None:
    """One such event would make PostHog refuse its whole batch."""
    assert code_of(properties=properties) == "bad_event"


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_cookieless_mode_is_fine(value: object) -> None:
    """Only another type does not fit PostHog's shape."""
    assert code_of(properties={"$cookieless_mode": value}) is None


def test_a_time_that_posthog_would_replace_is_rejected() -> None:
    """Its limit is 23 hours ahead; the time exactly there is still kept."""
    assert code_of(timestamp="2024-06-02T11:00:00.000001Z") == "future_time"
    assert code_of(timestamp=LATEST) is None


@pytest.mark.parametrize(("name", "code"), [("é" * 200, None), ("é" * 201, "event_name_too_long")])
def test_a_name_of_more_than_200_characters_is_rejected(name: str, code: str | None) -> None:
    """PostHog would cut it."""
    assert code_of(event=name) == code


@pytest.mark.parametrize("count", [100, 101])
def test_a_name_is_as_long_as_javascript_counts_it(count: int) -> None:
    """An emoji is two units there; PostHog cuts with `substr`."""
    expected = "event_name_too_long" if count > 100 else None
    assert code_of(event="😀" * count) == expected


def test_an_event_over_900_kb_is_rejected() -> None:
    """The limit itself still fits."""
    empty = len(item(1, properties={"text": ""}).body)
    largest = {"text": "x" * (MAX_EVENT_BYTES - empty)}
    assert len(item(1, properties=largest).body) == MAX_EVENT_BYTES
    assert code_of(properties={"text": largest["text"] + "x"}) == "event_too_large"


@pytest.mark.parametrize(
    ("properties", "key"),
    [
        ({"$device_id": "d"}, "d"),
        ({"$device_id": "d", "$anon_distinct_id": "a"}, "a"),
        ({"$device_id": 5}, "p"),
        ({"$device_id": ""}, "p"),
        ({}, "p"),
    ],
)
def test_an_event_keeps_its_order_with_its_device(properties: dict[str, Any], key: str) -> None:
    """Else with its person; an $identify of PostHog's own SDKs goes with the device it names."""
    assert key_of("p", **properties) == (key, None)


def test_a_linked_event_keeps_its_order_with_the_device_of_the_link() -> None:
    """The row's own property may have another form of the id."""
    properties: dict[str, Any] = {"$device_id": "other"}
    assert key_of("u", link=Link("u", "d"), **properties) == ("d", "u")


@pytest.mark.parametrize(
    ("named", "user"), [("u", "u"), ("other", None), ("null", None), (None, None), (7, None)]
)
def test_a_user_without_a_device_is_known_by_its_row(named: object, user: str | None) -> None:
    """It must be the event's person; the id of a device or an illegal one is no user."""
    properties: dict[str, Any] = {"$amplitude_user_id": named}
    assert key_of("u", **properties)[1] == user


def test_the_body_is_posthogs_envelope_without_sent_at() -> None:
    """PostHog would shift every timestamp by `sent_at`."""
    body = json.loads(gzip.decompress(batch_of(item(1), item(2)).packed))
    assert body == {
        "api_key": "phc_test",
        "historical_migration": True,
        "batch": [converted(1).event, converted(2).event],
    }
    live = json.loads(gzip.decompress(batch_of(item(1), historical=False).packed))
    assert live["historical_migration"] is False


@pytest.mark.parametrize("count", [1, 99, 100, 101, 200, 250])
def test_a_body_is_whole_however_many_pieces_it_was_packed_in(count: int) -> None:
    """Events are compressed by the hundred."""
    batch = batch_of(*map(item, range(count)))
    assert batch.size == sum(len(one.body) + 1 for one in batch.items)
    assert events_of(batch) == [converted(number).event for number in range(count)]


def test_a_body_is_packed_once_and_is_the_same_in_every_try() -> None:
    """A try that PostHog has stored already must be told apart from none."""
    batch = batch_of(*map(item, range(5)))
    assert batch.packed is batch.packed


def test_a_part_is_packed_as_itself_and_keeps_what_it_waits_for() -> None:
    """Also of a batch that was packed and sent already."""
    batch = replace(batch_of(*map(item, range(5))), epoch=7)
    assert len(events_of(batch)) == 5
    for part, numbers in zip(batch.split(), (range(2), range(2, 5)), strict=True):
        assert part.size == sum(len(one.body) + 1 for one in part.items)
        assert events_of(part) == [converted(number).event for number in numbers]
        assert (part.epoch, part.keys, part.created_at) == (7, batch.keys, batch.created_at)


@pytest.mark.parametrize("historical", [True, False])
def test_what_was_packed_is_held_once_and_comes_back_for_a_part(*, historical: bool) -> None:
    """A body takes ten times the memory that it takes in the request."""
    items = [item(number, properties={"text": "é" * number}) for number in range(150)]
    bodies = [one.body for one in items]
    batch = batch_of(*items, historical=historical)
    size = size_of(items)
    assert batch.packed
    assert {one.body for one in items} == {b""}
    assert size_of(items) == size
    first, second = batch.split()
    assert [one.body for one in (*first.items, *second.items)] == bodies
    assert first.packed
    assert [one.body for one in second.items] == bodies[75:]


def test_an_event_that_was_changed_is_measured_anew() -> None:
    """Its worker measured what it was before."""
    group = GroupState("org", "acme", {"plan": "a"})
    properties = {"$set": {"plan": "a"}, "$anon_distinct_id": "d"}
    before = item(1, event="$identify", properties=properties)
    before.groups, before.sets, before.size = (group,), SOMEWHERE, len(before.body)
    assert size_of([before]) == len(before.body) + 1
    for after in (demoted(before), without_merge(before), with_group_properties(before, [group])):
        assert len(after.body) != len(before.body)
        assert size_of([after]) == len(after.body) + 1


def test_parts_are_never_empty_and_keep_the_order() -> None:
    """Else halving would not come to an end."""
    for size in range(2, 6):
        items = [item(number) for number in range(size)]
        first, second = batch_of(*items).split()
        assert first.items
        assert second.items
        assert [*first.items, *second.items] == items
        assert [*events_of(first), *events_of(second)] == [
            converted(number).event for number in range(size)
        ]


@pytest.mark.parametrize(("rate", "events"), [(None, 5000), (100, 100), (99.5, 99), (0.5, 1)])
def test_a_batch_holds_at_most_the_events_of_a_second(rate: float | None, events: int) -> None:
    """A rate is held evenly, and not in bursts of a whole batch."""
    assert Limits(5000, 10**6).at_rate(rate) == Limits(events, 10**6)


def test_a_batch_may_hold_less_than_its_rate_allows() -> None:
    """The rate is no reason for large batches."""
    assert Limits(50, 10**6).at_rate(100).max_events == 50


def test_the_record_may_be_the_line_that_it_came_in() -> None:
    """Most records are never looked at again, so nobody has to keep them decoded."""
    made = prepare(converted(1), b'{"row":1}', WIRE.fitted, LATEST)
    assert isinstance(made, OutgoingEvent)
    assert made.record == b'{"row":1}'
