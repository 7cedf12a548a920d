"""However requests end: two events of a person never change places, nor does what joins people."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.capture.batches import Limits
from target_posthog.delivery import lane_keys
from target_posthog.delivery.identity_stage import IdentityStage
from target_posthog.model import Link
from tests.support.deliveries import MEMORY, FakeTransport, converted, delivery_to, take
from tests.support.examples import examples
from tests.support.rows import uuid_of
from tests.target.delivery.test_any_order import AnyOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_posthog.model import Converted, Json

#: A record: its device, and the user who is signed in, or nobody.
Record = tuple[int, int | None]
RECORDS = st.lists(
    st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 4))), max_size=60
)


class Seen(NamedTuple):
    """An event that PostHog took: a record's by its number, or a link by its device and user."""

    number: int | None
    device: str
    user: str | None


def run_of(
    records: Sequence[Record],
    *,
    count: int,
    pick: Callable[[int], int],
    limits: Limits,
    culprits: frozenset[str] = frozenset(),
    is_careful: bool = False,
    begins_with: int = 1,
) -> list[Seen]:
    """Deliver records over so many lanes, and return what PostHog took, in its order."""
    transport = FakeTransport(culprits=culprits)
    in_flight = AnyOrder(transport, pick)
    with (
        TemporaryDirectory() as name,
        delivery_to(
            transport, Path(name), limits=limits, in_flight=in_flight, max_lanes=count,
            max_reject_ratio=1, clock=lambda: in_flight.now, ledger_url=MEMORY,
        ) as delivery,
    ):  # fmt: skip
        # As after long waits.
        delivery.dispatcher._concurrency.count = min(begins_with, count)
        if is_careful:
            assert isinstance(delivery._identity, IdentityStage)
            delivery._identity._links.defer_links()
        for number, (device, user) in enumerate(records):
            take(delivery, {"row": number}, event_of(number, device, user))
            if pick(4) == 0:
                delivery.attend()
        delivery.flush()
        assert delivery.counts.open == 0
        assert in_flight.most_under_way <= count
    return [seen_of(event) for event in transport.accepted]


def event_of(number: int, device: int, user: int | None) -> Converted:
    """Return the event of a record, as an Amplitude row's."""
    device_id = f"d{device}"
    properties = {"$device_id": device_id, "number": number}
    if user is None:
        return converted(number, distinct_id=device_id, properties=properties)
    return converted(
        number, distinct_id=f"u{user}", properties=properties, link=Link(f"u{user}", device_id)
    )


def seen_of(event: Json) -> Seen:
    """Return what an event at PostHog is."""
    if event["event"] == "$create_alias":
        return Seen(None, event["properties"]["alias"], event["distinct_id"])
    person, device = event["distinct_id"], event["properties"]["$device_id"]
    return Seen(event["properties"]["number"], device, None if person == device else person)


def ids_of(seen: Sequence[Seen], owners: Mapping[str, str]) -> Iterator[tuple[Seen, set[str]]]:
    """Yield each event with the ids whose order it belongs to.

    A device that is shared belongs to its first user: what another does there is of that one.
    """
    told = set()
    for one in seen:
        owner = owners.get(one.device)
        if one.number is None:
            told.add(one.device)
        if one.user is None:
            yield one, {one.device, owner} if one.device in told and owner else {one.device}
        else:
            yield one, {one.device, one.user} if one.user == owner else {one.user}


def check_order(wanted: Sequence[Seen], got: Sequence[Seen]) -> None:
    """See that all that shares an id came in the wanted order."""
    assert sorted(map(str, got)) == sorted(map(str, wanted))
    owners = {one.device: one.user for one in wanted if one.number is None and one.user}
    places = {one: place for place, one in enumerate(got)}
    of_ids: dict[str, list[Seen]] = {}
    for one, ids in ids_of(wanted, owners):
        for each in ids:
            of_ids.setdefault(each, []).append(one)
    for each, expected in of_ids.items():
        assert sorted(expected, key=places.__getitem__) == expected, each


@examples(300)
@given(
    records=RECORDS,
    limits=st.builds(Limits, st.integers(1, 4), st.just(10**6)),
    count=st.sampled_from([1, 2, 4]),
    culprits=st.sets(st.integers(0, 59), max_size=2),
    is_careful=st.booleans(),
    begins_with=st.sampled_from([1, 2, 4]),
    most_moved=st.sampled_from([1, 2, 10_000]),
    data=st.data(),
)
def test_no_two_events_of_a_person_change_places(
    records: list[Record],
    limits: Limits,
    count: int,
    culprits: set[int],
    is_careful: bool,  # noqa: FBT001
    begins_with: int,
    most_moved: int,
    data: st.DataObject,
) -> None:
    """A link comes after all earlier events of its device and user, and before their later ones."""
    refused = frozenset(map(uuid_of, culprits))
    one_after_the_other = run_of(
        records, count=1, pick=lambda _: 0, limits=limits, culprits=refused, is_careful=is_careful
    )
    with patch.object(lane_keys, "_MOST_MOVED", most_moved):
        got = run_of(
            records,
            count=count,
            pick=lambda many: data.draw(st.integers(0, many - 1)),
            limits=limits,
            culprits=refused,
            is_careful=is_careful,
            begins_with=begins_with,
        )
    if count == 1:
        assert got == one_after_the_other
    check_order(one_after_the_other, got)
