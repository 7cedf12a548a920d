"""The check that all tests here rest on sees every way in which a migration can be wrong."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import PosthogCapture
from tests.support.faithful import GROUP, LINK, assert_migrated

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.pipeline import Migrated
    from tools.sample_export import SampleExport

Events = list[dict[str, Any]]


def _first(events: Events, name: str = "", having: str = "") -> dict[str, Any]:
    """Give the first event of a name, or of the source's, that has a property."""
    return next(
        event
        for event in events
        if having in {"", *event["properties"]}
        and (event["event"] == name if name else event["event"] not in (LINK, GROUP))
    )


def _lose_one(events: Events) -> None:
    events.remove(_first(events))


def _double_one_under_another_uuid(events: Events) -> None:
    events.append(_first(events) | {"uuid": "0badf00d-0000-4000-8000-000000000000"})


def _double_one_on_another_day(events: Events) -> None:
    events.append(_first(events) | {"timestamp": "2024-02-27T00:00:00.000000Z"})


def _drop_a_column(events: Events) -> None:
    del _first(events, having="city")["properties"]["city"]


def _drop_a_property_of_the_customer(events: Events) -> None:
    del _first(events, having="[Amplitude] Page URL")["properties"]["[Amplitude] Page URL"]


def _turn_a_number_into_text(events: Events) -> None:
    properties = _first(events, having="amplitude_id")["properties"]
    properties["amplitude_id"] = str(properties["amplitude_id"])


def _drop_a_user_property(events: Events) -> None:
    _first(events, having="$set")["properties"]["$set"].popitem()


def _send_as_live(events: Events) -> None:
    _first(events)["_historical"] = False


def _shift_a_time(events: Events) -> None:
    _first(events)["timestamp"] = "2024-02-28T00:00:00.000000Z"


def _lose_a_link(events: Events) -> None:
    events.remove(_first(events, LINK))


def _turn_a_link_round(events: Events) -> None:
    link = _first(events, LINK)
    user, device = link["distinct_id"], link["properties"]["alias"]
    link["distinct_id"] = link["properties"]["distinct_id"] = device
    link["properties"]["alias"] = user


def _glue_two_users(events: Events) -> None:
    one, *_, other = (event for event in events if event["event"] == LINK)
    one["properties"]["alias"] = other["distinct_id"]


def _forget_a_group(events: Events) -> None:
    events.remove(_first(events, GROUP))


@pytest.mark.parametrize(
    "spoil",
    [
        _lose_one,
        _double_one_under_another_uuid,
        _double_one_on_another_day,
        _drop_a_column,
        _drop_a_property_of_the_customer,
        _turn_a_number_into_text,
        _drop_a_user_property,
        _send_as_live,
        _shift_a_time,
        _lose_a_link,
        _turn_a_link_round,
        _glue_two_users,
        _forget_a_group,
    ],
)
def test_a_spoilt_migration_is_seen(
    spoil: Callable[[Events], None], migrated: Migrated, export: SampleExport
) -> None:
    """Whatever is lost, doubled, bent or glued together; as it came, it passes `test_happy_day`."""
    posthog = PosthogCapture()
    posthog.events = deepcopy(migrated.posthog.events)
    spoil(posthog.events)
    with pytest.raises(AssertionError):
        assert_migrated(posthog, export.rows, export.truth)
