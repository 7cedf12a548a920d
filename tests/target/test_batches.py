"""Which events PostHog would refuse, and how the others are packed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from target_posthog.batches import (
    MAX_EVENT_BYTES,
    Item,
    Limits,
    body_of,
    by_age,
    halves,
    item_of,
    pack,
    problem_of,
)
from tests.target.deliveries import converted

LATEST = "2024-06-02T11:00:00.000000Z"


def item(number: int = 1, **changes: Any) -> Item:
    """Return an event on its way."""
    return item_of(converted(number, **changes), {"row": number})


def code_of(sent: Item) -> str | None:
    """Return the code under which an event is rejected before it is sent."""
    rejected = problem_of(sent, latest_time=LATEST)
    return None if rejected is None else rejected.code


def test_a_sound_event_has_no_problem() -> None:
    """The check lets through what PostHog takes."""
    assert code_of(item()) is None


@pytest.mark.parametrize("name", ["uuid", "event", "distinct_id", "timestamp"])
@pytest.mark.parametrize("value", ["", None, 5, ["a"]])
def test_an_event_without_a_required_text_is_bad(name: str, value: Any) -> None:
    """One such event would make PostHog refuse its whole batch."""
    assert code_of(item(**{name: value})) == "bad_event"


@pytest.mark.parametrize("properties", [None, [], "text", {"$cookieless_mode": "yes"}])
def test_properties_of_a_wrong_type_are_bad(properties: object) -> None:
    """One such event would make PostHog refuse its whole batch."""
    assert code_of(item(properties=properties)) == "bad_event"


def test_a_time_that_posthog_would_replace_is_rejected() -> None:
    """Its limit is 23 hours ahead; the time exactly there is still kept."""
    assert code_of(item(timestamp="2024-06-02T11:00:00.000001Z")) == "future_time"
    assert code_of(item(timestamp=LATEST)) is None


@pytest.mark.parametrize(("name", "code"), [("é" * 200, None), ("é" * 201, "event_name_too_long")])
def test_a_name_of_more_than_200_characters_is_rejected(name: str, code: str | None) -> None:
    """PostHog would cut it."""
    assert code_of(item(event=name)) == code


@pytest.mark.parametrize("count", [100, 101])
def test_a_name_is_as_long_as_javascript_counts_it(count: int) -> None:
    """An emoji is two units there; PostHog cuts with `substr`."""
    expected = "event_name_too_long" if count > 100 else None
    assert code_of(item(event="😀" * count)) == expected


def test_an_event_over_900_kb_is_rejected() -> None:
    """The limit itself still fits."""
    empty = len(item(properties={"text": ""}).body)
    largest = item(properties={"text": "x" * (MAX_EVENT_BYTES - empty)})
    assert len(largest.body) == MAX_EVENT_BYTES
    assert code_of(largest) is None
    assert code_of(item(properties={"text": "x" * (MAX_EVENT_BYTES - empty + 1)})) == (
        "event_too_large"
    )


def test_packing_keeps_the_order_and_the_number_of_events() -> None:
    """Each batch is as full as the limit on events allows."""
    items = [item(number) for number in range(7)]
    packed = list(pack(items, Limits(3, 10**6)))
    assert [len(batch) for batch in packed] == [3, 3, 1]
    assert [sent for batch in packed for sent in batch] == items


def test_packing_counts_bytes_with_their_commas() -> None:
    """Three events and two commas fit exactly; one byte less, and only two events do."""
    items = [item(number) for number in range(3)]
    whole = sum(len(sent.body) for sent in items) + 2
    assert [len(batch) for batch in pack(items, Limits(10, whole))] == [3]
    assert [len(batch) for batch in pack(items, Limits(10, whole - 1))] == [2, 1]


def test_an_event_over_the_limit_travels_alone() -> None:
    """It is PostHog who decides about it, and nobody else's event is at stake."""
    items = [item(1), item(2, properties={"text": "x" * 500}), item(3)]
    assert [len(batch) for batch in pack(items, Limits(10, 400))] == [1, 1, 1]


def test_nothing_makes_no_batch() -> None:
    """PostHog refuses a request without an event."""
    assert list(pack([], Limits(1, 1))) == []


def test_halves_are_never_empty_and_keep_the_order() -> None:
    """Else halving would not come to an end."""
    items = [item(number) for number in range(5)]
    for size in range(2, 6):
        first, second = halves(items[:size])
        assert first
        assert second
        assert [*first, *second] == items[:size]


def test_events_are_split_by_age() -> None:
    """The event at the border counts as recent."""
    old, border = item(1, timestamp="2024-05-30T11:59:59.999999Z"), item(2, timestamp=LATEST)
    assert by_age([border, old], LATEST) == ([old], [border])


def test_the_body_is_posthogs_envelope_without_sent_at() -> None:
    """PostHog would shift every timestamp by `sent_at`."""
    items = [item(1), item(2)]
    body = json.loads(body_of(items, api_key="phc_test", historical=True))
    assert body == {
        "api_key": "phc_test",
        "historical_migration": True,
        "batch": [items[0].event, items[1].event],
    }
    assert json.loads(body_of(items, api_key="k", historical=False))["historical_migration"] is (
        False
    )
