"""Who is who in PostHog after a story, told in each of the ways that docs/identity.md compares."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

from target_posthog.capture.protocols import BatchWire
from target_posthog.delivery.identity_stage import IdentityStage
from target_posthog.formats.amplitude.convert import Amplitude
from target_posthog.formats.options import Options
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.resolver import IdentityResolver
from target_posthog.model import Converted
from target_posthog.posthog.events import OutgoingEvent, prepare
from target_posthog.progress.counts import Counts
from tests.fakes.posthog_persons import PersonModel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from target_posthog.settings import IdentityEvents

#: Ways that are not the target's: PostHog's guide, and ours without "one device, one user".
GUIDE = "the guide's call"
EVERY_PAIR = "a link for every pair"

WIRE = BatchWire("phc_test")

Story = list[tuple["str | None", str]]


def people_after(story: Story, way: str, folder: Path) -> set[str]:
    """Return the people that PostHog holds after a story.

    Args:
        story: (user id or None, device id) of each event, in order.
        way: `alias`, `identify`, `none`, `GUIDE` or `EVERY_PAIR`.
        folder: where the ledger goes.

    Returns:
        Each person as its sorted ids, such as `d1 u1`.
    """
    model = PersonModel()
    if way in (GUIDE, EVERY_PAIR):
        events = _told_for_every_pair(story, device_first=way == GUIDE)
    else:
        events = _sent(story, way, folder)  # type: ignore[arg-type] # the document names the way
    for event in events:
        model.process(event)
    return {" ".join(sorted(person)) for person in model.people()}


def _rows(story: Story) -> list[dict[str, Any]]:
    return [
        {
            "event_type": "view",
            "user_id": user,
            "device_id": device,
            "event_time": f"2024-01-01 00:00:{second:02}.000000",
            "uuid": f"00000000-0000-4000-8000-{second:012}",
        }
        for second, (user, device) in enumerate(story)
    ]


def _sent(story: Story, way: IdentityEvents, folder: Path) -> Iterable[dict[str, Any]]:
    """Return what the target sends."""
    items = []
    for row in _rows(story):
        conversion = Amplitude(Options()).convert(row)
        assert isinstance(conversion, Converted)
        items.append(prepare(conversion, row, WIRE.fitted, "2030"))
    with closing(Ledger(f"sqlite:///{folder / way}.db", "phc_test")) as ledger:
        sound = [item for item in items if isinstance(item, OutgoingEvent)]
        stage = IdentityStage(IdentityResolver(ledger, way), WIRE, Counts())
        return [json.loads(item.body) for item in stage.completed(sound)]


def _told_for_every_pair(story: Story, *, device_first: bool) -> Iterable[dict[str, Any]]:
    """Return what a script sends that tells every (user, device) pair once.

    Args:
        story: what happened.
        device_first: as `posthog.alias(previous_id=device_id, distinct_id=user_id)` of
            posthog-python does, which puts the device into `distinct_id` and the user into
            `alias`; else the other way round.
    """
    told: set[str] = set()
    for row in _rows(story):
        user, device = row["user_id"], row["device_id"]
        if user and f"{user} {device}" not in told:
            told.add(f"{user} {device}")
            into, merged = (device, user) if device_first else (user, device)
            properties = {"distinct_id": into, "alias": merged}
            yield {**_event(row, into), "event": "$create_alias", "properties": properties}
        yield _event(row, user or device)


def _event(row: dict[str, Any], person: str) -> dict[str, Any]:
    return {
        "uuid": row["uuid"],
        "event": row["event_type"],
        "distinct_id": person,
        "timestamp": row["event_time"],
        "properties": {},
    }
