"""Whatever the limits and whichever events PostHog refuses: nothing is lost, nothing doubled."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.batches import Limits
from target_posthog.model import Json, Link
from tests.support.deliveries import (
    MEMORY,
    OLD,
    FakeTransport,
    converted,
    delivery_to,
    envelope_bytes,
    rejected_lines,
    take,
)
from tests.support.examples import examples
from tests.support.rows import uuid_of

if TYPE_CHECKING:
    from target_posthog.delivery.delivery import Delivery

# An event by the length of one property; None is one that is found bad before it is sent.
SIZES = st.lists(st.one_of(st.none(), st.integers(0, 400)), max_size=40)
LIMITS = st.builds(Limits, st.integers(1, 12), st.integers(1, 3000))
TOO_LATE = "9999-01-01T00:00:00.000000Z"


@examples(150)
@given(
    sizes=SIZES,
    limits=LIMITS,
    culprits=st.sets(st.integers(0, 39)),
    ways_limit=st.one_of(st.none(), st.integers(1, 1500)),
    flush_after=st.sets(st.integers(0, 39)),
    historical=st.sampled_from(["true", "false"]),
)
def test_every_event_is_accepted_or_rejected_exactly_once(
    sizes: list[int | None],
    limits: Limits,
    culprits: set[int],
    ways_limit: int | None,
    flush_after: set[int],
    historical: str,
) -> None:
    """In the order in which it came, and in bodies within the limits."""
    transport = FakeTransport(
        culprits=frozenset(map(uuid_of, culprits)),
        max_bytes=None if ways_limit is None else ways_limit + envelope_bytes(),
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        decisions: Json = {"historical_migration": historical, "max_reject_ratio": 1}
        with delivery_to(
            transport, folder, limits=limits, ledger_url=MEMORY, **decisions
        ) as delivery:
            for number, size in enumerate(sizes):
                when = TOO_LATE if size is None else OLD
                properties = {"text": "x" * (size or 0)}
                event = converted(number, properties=properties, timestamp=when)
                take(delivery, {"row": number}, event)
                if number in flush_after:
                    delivery.flush()
                    assert delivery.counts.open == 0
            delivery.flush()
            counts = delivery.counts
        rejected = rejected_lines(folder)

    accepted = [event["uuid"] for event in transport.accepted]
    refused = [uuid_of(line["record"]["row"]) for line in rejected]
    assert sorted([*accepted, *refused]) == sorted(uuid_of(n) for n in range(len(sizes)))
    assert accepted == sorted(accepted, key=[uuid_of(n) for n in range(len(sizes))].index)
    assert (counts.exported, counts.accepted) == (len(sizes), len(accepted))
    assert counts.rejected.total() == len(refused)
    for body in transport.bodies:
        events = json.loads(body)["batch"]
        assert 1 <= len(events) <= limits.max_events
        assert len(events) == 1 or len(body) <= limits.max_bytes + envelope_bytes()


@examples(60)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30),
    limits=LIMITS,
    died_after=st.integers(0, 30),
    knows_the_answers=st.booleans(),
)
def test_each_device_is_joined_once_to_its_first_user(
    pairs: list[tuple[int, int]],
    limits: Limits,
    died_after: int,
    knows_the_answers: bool,  # noqa: FBT001
) -> None:
    """Before the record that showed the two; also over a run that died and its repeat.

    What PostHog took is told again only when the run died before it knew so, and by the same event.
    """
    links = [Link(f"user-{user}", f"device-{device}") for user, device in pairs]
    transport = FakeTransport()
    with TemporaryDirectory() as name:
        for stop in (died_after, None):
            with delivery_to(transport, Path(name), limits=limits) as delivery:
                for number, link in enumerate(links[:stop]):
                    take(delivery, {}, converted(number, link=link, distinct_id=link.user_id))
                if stop is None:
                    delivery.flush()
                elif knows_the_answers:
                    hear_all_answers(delivery, transport)

    owners: dict[str, str] = {}
    for link in links:
        owners.setdefault(link.device_id, link.user_id)
    told = [event for event in transport.accepted if event["event"] == "$create_alias"]
    seen = {event["properties"]["alias"]: event for event in told}
    assert {alias: event["distinct_id"] for alias, event in seen.items()} == owners
    assert all(event == seen[event["properties"]["alias"]] for event in told)
    if knows_the_answers:
        assert len(told) == len(seen)
    first_shown = {links[n].device_id: uuid_of(n) for n in reversed(range(len(links)))}
    order = [event["uuid"] for event in transport.accepted]
    for event in told:
        shown_by = first_shown[event["properties"]["alias"]]
        assert order.index(event["uuid"]) < order.index(shown_by)


def hear_all_answers(delivery: Delivery, transport: FakeTransport) -> None:
    """Let a delivery know what became of all that it has sent."""
    sent = -1
    while sent != len(transport.bodies):
        sent = len(transport.bodies)
        delivery.attend()
