"""The check that all tests here rest on sees every way in which a migration can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import PosthogCapture
from tests.support.faithful import GROUP, LINK, assert_migrated

if TYPE_CHECKING:
    from tests.support.pipeline import Day

Events = list[dict[str, Any]]
Spoil = Callable[[Events], object]


def _first(events: Events, name: str = "", having: str = "") -> dict[str, Any]:
    """Give the first event of a name, or of the source's, that has a property."""
    return next(
        event
        for event in events
        if having in {"", *event["properties"]}
        and (event["event"] == name if name else event["event"] not in (LINK, GROUP))
    )


def _losing(name: str = "") -> Spoil:
    return lambda events: events.remove(_first(events, name))


def _doubling(**changes: str) -> Spoil:
    return lambda events: events.append(_first(events) | changes)


def _changing(**changes: Any) -> Spoil:
    return lambda events: _first(events).update(changes)


def _without(name: str) -> Spoil:
    return lambda events: _first(events, having=name)["properties"].pop(name)


def _turn_a_number_into_text(events: Events) -> None:
    properties = _first(events, having="amplitude_id")["properties"]
    properties["amplitude_id"] = str(properties["amplitude_id"])


def _drop_a_user_property(events: Events) -> None:
    _first(events, having="$set")["properties"]["$set"].popitem()


def _turn_a_link_round(events: Events) -> None:
    link = _first(events, LINK)
    user, device = link["distinct_id"], link["properties"]["alias"]
    link["distinct_id"] = link["properties"]["distinct_id"] = device
    link["properties"]["alias"] = user


def _glue_two_users(events: Events) -> None:
    one, *_, other = (event for event in events if event["event"] == LINK)
    one["properties"]["alias"] = other["distinct_id"]


_SPOILT: dict[str, Spoil] = {
    "an event is lost": _losing(),
    "a link is lost": _losing(LINK),
    "a group is lost": _losing(GROUP),
    "an event comes under another uuid, too": _doubling(
        uuid="0badf00d-0000-4000-8000-000000000000"
    ),
    "an event comes on another day, too": _doubling(timestamp="2024-02-27T00:00:00.000000Z"),
    "an event is sent as live": _changing(_historical=False),
    "a time is another": _changing(timestamp="2024-02-28T00:00:00.000000Z"),
    "a column is lost": _without("city"),
    "a property of the customer is lost": _without("[Amplitude] Page URL"),
    "a user property is lost": _drop_a_user_property,
    "a number is a text": _turn_a_number_into_text,
    "a link is turned round": _turn_a_link_round,
    "two users are one": _glue_two_users,
}


@pytest.mark.parametrize("spoil", _SPOILT.values(), ids=_SPOILT.keys())
def test_a_spoilt_migration_is_seen(spoil: Spoil, migrated: Day) -> None:
    """Whatever is lost, doubled, bent or glued together; as it came, it passes `test_happy_day`."""
    posthog = PosthogCapture()
    posthog.events = deepcopy(migrated.posthog.events)
    spoil(posthog.events)
    with pytest.raises(AssertionError):
        assert_migrated(posthog, migrated.export.rows, migrated.export.truth)
