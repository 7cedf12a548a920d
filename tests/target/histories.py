"""Histories as a tap sends them, and what PostHog must hold of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.target.singer import record, row, schema, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.target.singer import Json

IDENTITIES = {"$create_alias", "$identify"}


def with_states(sent: Sequence[Json], every: int, first: int = 0) -> list[Json]:
    """Return a tap's messages: rows from `first` on, and a state after every few of them.

    A tap that goes on from a state writes that one first.
    """
    messages = [*([state({"at": first})] if first else []), schema()]
    for number in range(first, len(sent)):
        messages.append(record(sent[number]))
        if (number + 1) % every == 0 or number + 1 == len(sent):
            messages.append(state({"at": number + 1}))
    return messages


def keys_of(sent: Sequence[Json]) -> set[tuple[str, str, str, str]]:
    """Return what PostHog tells the events of these rows apart by."""
    return {
        (
            one["uuid"],
            one["event_type"],
            one.get("user_id") or one["device_id"],
            one["event_time"][:10],
        )
        for one in sent
    }


def held_events(capture: PosthogCapture) -> set[tuple[str, str, str, str]]:
    """Return the keys of what PostHog holds, without what tells who is who."""
    return {key for key in capture.held() if key[1] not in IDENTITIES}


def identities(capture: PosthogCapture) -> list[Json]:
    """Return every identity event that PostHog holds, in order."""
    return [event for event in capture.held().values() if event["event"] in IDENTITIES]


def people(count: int) -> list[Json]:
    """Return rows of ten users with a device each, whose first events are anonymous."""
    return [
        row(
            number,
            user_id=None if number < 10 else f"user-{number % 10}",
            device_id=f"device-{number % 10}",
        )
        for number in range(count)
    ]
