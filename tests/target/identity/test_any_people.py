"""Whatever people do with their devices, and wherever a run dies: nobody becomes somebody else.

Made-up lives go through the real conversion, links and ledger to a model of PostHog's persons.
Several workers share the ledger; each step of each can be the last before a crash, after which the
hour is read again in another order.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hypothesis import event, given
from hypothesis import strategies as st

from target_posthog.delivery.identity_stage import IdentityStage
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.resolver import IdentityResolver
from target_posthog.model import Converted
from target_posthog.posthog.events import OutgoingEvent, prepare
from target_posthog.progress.counts import Counts
from tests.fakes.posthog_persons import PersonModel
from tests.support.deliveries import WIRE
from tests.support.examples import examples
from tests.support.reference_delivery import CONVERTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.settings import IdentityEvents

Row = dict[str, Any]

USERS = ["u1", "u2", "u3", "u4"]
DEVICES = ["d1", "d2", "d3"]
ILLEGAL = ["anonymous", "null", " ", "0", '"none"', "UNKNOWN"]
#: Ids that are a user's and some device's: apps that set the device id to the user id make them.
BOTH = ["u1", "u2"]

#: Who uses which device; None is logged out. A life is the events of an hour, in order.
PAIRS = st.tuples(
    st.one_of(st.none(), st.sampled_from(USERS), st.sampled_from(ILLEGAL)),
    st.one_of(st.none(), st.sampled_from(DEVICES), st.sampled_from(ILLEGAL)),
)
HOURS = st.lists(st.lists(PAIRS, max_size=10), min_size=1, max_size=4)
#: The steps after which a worker may die, of each try of each hour.
CRASHES = st.lists(st.sampled_from(["claimed", "sent", "accepted", "done"]), min_size=0, max_size=6)
KINDS = st.sampled_from(["alias", "identify", "none"])


@dataclass
class Posthog:
    """PostHog's persons, with all that was sent, in order of arrival."""

    model: PersonModel
    events: list[Row]

    def take(self, items: Sequence[OutgoingEvent]) -> None:
        """Take a batch."""
        for item in items:
            event: Row = json.loads(item.body)
            self.events.append(event)
            self.model.process(event)


def rows_of(hour: int, pairs: Sequence[tuple[str | None, str | None]]) -> list[OutgoingEvent]:
    """Return the events of an hour as they go to the links; rows without any id go nowhere."""
    items = []
    for number, (user, device) in enumerate(pairs):
        row = {
            "event_type": "viewed",
            "user_id": user,
            "device_id": device,
            "event_time": f"2024-01-01 {hour:02}:00:{number:02}.000000",
            "uuid": f"00000000-0000-4000-8000-{hour:06}{number:06}",
            "amplitude_id": 7_000 + hour * 100 + number,
        }
        conversion = CONVERTER.convert(row)
        assert isinstance(conversion, Converted)
        item = prepare(conversion, row, WIRE.fitted, "2030")
        assert isinstance(item, OutgoingEvent)
        items.append(item)
    return items


def worker(
    url: str, kind: IdentityEvents, items: list[OutgoingEvent], crashes: list[str], posthog: Posthog
) -> Iterator[str]:
    """Deliver the hour of one worker, with pauses after each step; after a crash, all of it again.

    Yields:
        The step that was just done.
    """
    order = Random(len(items))
    while True:
        crash = crashes.pop() if crashes else "done"
        with closing(Ledger(url, "phc_test")) as ledger:
            links = IdentityResolver(ledger, kind)
            todo = IdentityStage(links, WIRE, Counts()).completed(list(items))
            yield "claimed"
            if crash != "claimed":
                half = len(todo) // 2 if crash == "sent" else len(todo)
                posthog.take(todo[:half])
                yield "sent"
                if crash != "sent":
                    links.accept([item.link for item in todo if item.is_derived and item.link], [])
                    yield "accepted"
                    if crash != "accepted":
                        return
        # The export of an hour is not byte-stable: another download has another order.
        items = order.sample(items, len(items))


def lived(
    hours: list[list[tuple[str | None, str | None]]],
    kind: IdentityEvents,
    crashes: list[str],
    workers: int,
    seed: int,
) -> tuple[Posthog, dict[str, str]]:
    """Deliver all hours, up to `workers` at a time; return PostHog and the devices' owners."""
    posthog = Posthog(PersonModel(), [])
    chance = Random(seed)
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/ledger.db"
        waiting = [rows_of(number, pairs) for number, pairs in enumerate(hours)]
        at_work: list[Iterator[str]] = []
        while waiting or at_work:
            while waiting and len(at_work) < workers:
                at_work.append(worker(url, kind, waiting.pop(0), crashes, posthog))
            chosen = chance.choice(at_work)
            if next(chosen, None) is None:
                at_work.remove(chosen)
        with closing(Ledger(url, "phc_test")) as ledger:
            owners = ledger.owners([*DEVICES, *USERS])
    return posthog, {device: owner.user_id for device, owner in owners.items()}


def users_by_device(hours: list[list[tuple[str | None, str | None]]]) -> dict[str, list[str]]:
    """Return who was seen on each device, in order; without ids that name nobody."""
    shown: dict[str, list[str]] = defaultdict(list)
    for user, device in (pair for hour in hours for pair in hour):
        if user in USERS and device in DEVICES:
            assert user is not None
            assert device is not None
            shown[device].append(user)
    return shown


@examples(120)
@given(
    hours=HOURS, kind=KINDS, crashes=CRASHES, workers=st.integers(1, 3), seed=st.integers(0, 1000)
)
def test_no_two_users_become_one_and_each_device_joins_its_first_user(
    hours: list[list[tuple[str | None, str | None]]],
    kind: IdentityEvents,
    crashes: list[str],
    workers: int,
    seed: int,
) -> None:
    """The first is the one whose claim came first; with one worker, the first in the export."""
    posthog, owners = lived(hours, kind, list(crashes), workers, seed)
    for person in posthog.model.people():
        assert len(person & set(USERS)) <= 1, person
        if kind == "none":
            assert len(person) == 1
    if kind == "none":
        return
    shown = users_by_device(hours)
    for device, users in shown.items():
        owner = owners[device]
        assert owner in users
        assert posthog.model.person_of(device) == posthog.model.person_of(owner)
        if workers == 1:
            assert owner == users[0]
        event(f"users of a device: {len(set(users))}")
    for device in set(DEVICES) - shown.keys():
        assert [one for one in posthog.model.people() if device in one and len(one) > 1] == []
    assert posthog.model.warnings == []


@examples(60)
@given(
    before=st.lists(st.tuples(st.sampled_from(BOTH), st.just(None)), max_size=4),
    hours=st.lists(
        st.lists(
            st.tuples(st.one_of(st.none(), st.sampled_from(USERS)), st.sampled_from([*BOTH, "d1"])),
            max_size=8,
        ),
        min_size=1,
        max_size=3,
    ),
    crashes=CRASHES,
    kind=st.sampled_from(["alias", "identify"]),
)
def test_a_device_that_has_a_users_id_joins_nobody_else(
    before: list[tuple[str | None, str | None]],
    hours: list[list[tuple[str | None, str | None]]],
    crashes: list[str],
    kind: IdentityEvents,
) -> None:
    """When the user was seen first, or in the same batch; later nothing can part the two."""
    posthog, owners = lived([before, *hours], kind, list(crashes), 1, 0)
    seen_first: dict[str, str] = {}
    for hour in [before, *hours]:
        for name in (user for user, _ in hour if user is not None):
            seen_first.setdefault(name, name)
        for user, device in hour:
            if user is not None and device is not None:
                seen_first.setdefault(device, user)
    lost = {one for one, owner in seen_first.items() if one in USERS and owner != one}
    for person in posthog.model.people():
        assert len(person & (set(USERS) - lost)) <= 1, (person, lost)
    assert {one: owners[one] for one in seen_first} == seen_first


def test_an_id_that_is_first_a_device_and_later_a_user_is_one_person() -> None:
    """The limit: PostHog knows one kind of id, and nothing parts what was joined."""
    posthog, _ = lived([[("u1", "u2")], [("u2", None)]], "alias", [], 1, 0)
    assert posthog.model.people() == [frozenset({"u1", "u2"})]
