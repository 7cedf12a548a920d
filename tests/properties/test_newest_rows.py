"""Whatever order the rows of an hour come in: every person and group ends with its newest row.

Made-up lives of several users on several devices go, file by file and hour by hour, through the
real conversion and the real decisions to a model of PostHog's people and groups. A small driver
stands for the delivery. A run may die at any event; then the hour is read again, in another order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from target_posthog.amplitude.convert import Options, convert
from target_posthog.amplitude.groups import group_event
from target_posthog.amplitude.identity import IdentityEvents, identity_event
from target_posthog.batches import Item, item_of
from target_posthog.codec import loads
from target_posthog.conversion import Converted, Json
from target_posthog.newest_rows import NewestRows, demoted, with_group_properties
from tests.properties.person_model import World, old_groups, old_people
from tests.target.deliveries import WIRE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

USERS, DEVICES, GROUPS = ["u1", "u2"], ["d1", "d2"], ["acme", "other"]
FAR_AHEAD = "9999-12-31T23:59:59.999999Z"
FILES = 3


@dataclass(frozen=True)
class Step:
    """A row to be made.

    Attributes:
        user, device: whose.
        minute: when it was uploaded; several rows may go together.
        file: in which of the hour's files it is.
        state: what is known of the user; few different ones, so that they also stay the same.
        group: its group, if it tells one.
    """

    user: str | None
    device: str | None
    minute: int
    file: int
    state: int | None
    group: str | None


STEPS = st.builds(
    Step,
    st.none() | st.sampled_from(USERS),
    st.sampled_from(DEVICES),
    st.integers(0, 5),
    st.integers(0, FILES - 1),
    st.sampled_from([0, 1, 2, 3, 4, None]),
    st.sampled_from([None, None, *GROUPS]),
)
HOURS = st.lists(st.lists(STEPS, min_size=3, max_size=9), min_size=1, max_size=3)
#: At which event of the run a try of an hour dies, and whether the ledger then knows which links
#: PostHog took.
CRASHES = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=3)


def rows_of(hours: Sequence[Sequence[Step]]) -> list[list[list[Json]]]:
    """Return the rows of each file of each hour, in the order in which they are read."""
    number, export = 0, []
    for hour, steps in enumerate(hours):
        files: list[list[Json]] = [[] for _ in range(FILES)]
        for step in steps:
            number += 1
            groups = {"org": {step.group: {"level": number}}} if step.group else {}
            files[step.file].append(
                {
                    "event_type": "Play",
                    "uuid": f"00000000-0000-4000-8000-{number:012}",
                    "user_id": step.user,
                    "device_id": step.device,
                    # The clock of the device may be wrong by hours, either way.
                    "event_time": f"2024-01-01 {10 + (7 * number) % 13:02}:00:00.000000",
                    "server_upload_time": f"2024-01-01 {hour:02}:{step.minute:02}:00.000000",
                    "event_id": number,
                    "user_properties": {} if step.state is None else {"plan": step.state},
                    "group_properties": groups,
                }
            )
        export.append(files)
    return export


@dataclass
class Driver:
    """Does what a delivery does, without requests.

    Attributes:
        world: PostHog.
        kind: how it is told who is who.
        knows_ahead: claims all devices of a file before its first event is told, as a stretch of
            rows is looked up at once.
        after: tells a link just after the row that shows it.
        owners: whose each device is: what the ledger knows.
        accepted: the devices whose link PostHog took, as far as the ledger knows.
    """

    world: World
    kind: IdentityEvents = "alias"
    knows_ahead: bool = False
    after: bool = False
    owners: dict[str, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    rows: NewestRows = field(default_factory=NewestRows)
    joined: set[str] = field(default_factory=set)

    def read(self, files: Sequence[Sequence[Json]], *, dies_at: int | None, saves: bool) -> bool:
        """Read an hour in one try; tell whether it came to its end.

        Args:
            files: the rows of each file.
            dies_at: at which event the process is killed.
            saves: whether the ledger then knows all links that PostHog took.
        """
        told = (one for file in files for one in self._told_of(list(map(_item, file))))
        for count, one in enumerate(told):
            if count == dies_at:
                self._begin_anew()
                return False
            self.world.receive([one])
            if saves:
                self.accepted |= self.joined & self.world.people.who_is_who().keys()
        self.accepted |= self.joined
        return True

    def _begin_anew(self) -> None:
        """Go on as a new process, which knows only what is in the ledger."""
        self.rows, self.joined = NewestRows(), set(self.accepted)

    def _told_of(self, items: Sequence[Item]) -> Iterator[Json]:
        if self.knows_ahead:
            for item in items:
                self._claim(item)
        for item in items:
            yield from self._told(item)

    def _told(self, item: Item) -> Iterator[Json]:
        """Yield the events that PostHog gets for one row."""
        self._claim(item)
        if not self.after:
            yield from self._links_of(item)
        person = self.owners.get(item.person, item.person)
        if self.rows.is_outdated(person, item, is_joined=item.person in self.joined):
            note("outdated")
            item = demoted(item)
        outdated = self.rows.outdated_groups(item)
        if outdated:
            note("outdated group")
            item = with_group_properties(item, outdated)
        yield loads(item.body)
        for group in item.groups:
            yield group_event(group, item.person, item.timestamp)
        if self.after:
            yield from self._links_of(item)

    def _claim(self, item: Item) -> None:
        if item.link is not None and self.kind != "none":
            self.owners.setdefault(item.link.device_id, item.link.user_id)

    def _links_of(self, item: Item) -> Iterator[Json]:
        """Yield the event that joins the row's device to its owner, if it is to be told now."""
        link = item.link
        if link is None or self.kind == "none" or link.device_id in self.joined:
            return
        if self.owners[link.device_id] != link.user_id:
            return
        event = identity_event(self.kind, link, item.timestamp)
        state = self.rows.join(link, item)
        if state is not None:
            note("a link sets something")
            event["properties"] = {**event["properties"], "$set": state}
        self.joined.add(link.device_id)
        yield event


def _item(row: Json) -> Item:
    converted = convert(row, Options())
    assert isinstance(converted, Converted)
    item = item_of(converted, json.dumps(row).encode(), WIRE, FAR_AHEAD)
    assert isinstance(item, Item)
    return item


@settings(max_examples=1500, deadline=None)
@given(
    HOURS,
    CRASHES,
    st.sampled_from(["alias", "identify", "none"]),
    st.booleans(),
    st.booleans(),
)
def test_everybody_ends_with_the_newest_row(
    hours: list[list[Step]],
    crashes: list[tuple[int, bool]],
    kind: Any,
    knows_ahead: bool,  # noqa: FBT001 - hypothesis gives it
    after: bool,  # noqa: FBT001
) -> None:
    """Files one after the other, rows out of order within an hour, late links, and crashes."""
    if crashes:
        # What was told before a crash is known for sure only by the next row.
        hours = [[replace(one, state=one.state or 0) for one in steps] for steps in hours]
    world, export, crashes = World(), rows_of(hours), list(crashes)
    driver = Driver(world, kind, knows_ahead, after)
    for files in export:
        while crashes:
            dies_at, saves = crashes.pop()
            if driver.read(files, dies_at=dies_at, saves=saves):
                break
            files = files[::-1]  # noqa: PLW2901 - read again in another order
        else:
            assert driver.read(files, dies_at=None, saves=True)
    rows = [row for files in export for file in files for row in file]
    assert old_people(world, rows) == []
    assert old_groups(world, rows) == []
    assert all(event["properties"] for event in world.events)
