"""Builds the events the tests of the PostHog person model feed it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.posthog_persons import PersonModel

DAY_1 = "2024-01-01T10:00:00.000000Z"
DAY_2 = "2024-01-02T10:00:00.000000Z"


def seen(distinct_id: str, timestamp: str = DAY_1, /, **properties: Any) -> dict[str, Any]:
    """Make an ordinary event."""
    return event("viewed", distinct_id, timestamp, **properties)


def event(
    name: str, distinct_id: str, timestamp: str = DAY_1, /, **properties: Any
) -> dict[str, Any]:
    """Make an event; a property `_set` stands for `$set`."""
    named = {key.replace("_", "$", 1): value for key, value in properties.items() if key[0] == "_"}
    plain = {key: value for key, value in properties.items() if key[0] != "_"}
    return {
        "event": name,
        "distinct_id": distinct_id,
        "timestamp": timestamp,
        "properties": {**plain, **named},
    }


def identify(user: str, device: str, timestamp: str = DAY_1, **properties: Any) -> dict[str, Any]:
    """Make the `$identify` by which a PostHog SDK links a device to a user."""
    return event("$identify", user, timestamp, _anon_distinct_id=device, **properties)


def alias(into: str, other: str, timestamp: str = DAY_1, **properties: Any) -> dict[str, Any]:
    """Make a `$create_alias`: `other` is merged into `into`."""
    return event("$create_alias", into, timestamp, distinct_id=into, alias=other, **properties)


def after(*events: dict[str, Any]) -> PersonModel:
    """Feed a model."""
    model = PersonModel()
    for one in events:
        model.process(one)
    return model


LINKS = pytest.mark.parametrize("link", [identify, alias])
