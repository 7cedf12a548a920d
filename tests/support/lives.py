"""The lives of many people as an export has them: hours of files, rows in no order, who is whose.

Rows of one person lie in all files of an hour, on several devices, before and after the login;
some devices are shared, some people have none. What is right follows from the rows alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from tests.support.person_model import World, old_groups, old_people
from tests.support.rows import START, row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.support.singer import Json

FILES = 3
#: How many rows a person has, and how many of them are uploaded together at most.
_ROWS_OF_A_PERSON, _ROWS_OF_A_SESSION = 20, 8
_GROUPS = 40


@dataclass(frozen=True)
class _Person:
    """Whoever uses devices.

    Attributes:
        user: its id; None for one who never signs in.
        devices: its own, and perhaps one of somebody else; none for a server's user.
    """

    user: str | None
    devices: Sequence[str]


@dataclass(frozen=True)
class Lives:
    """Some hours of them.

    Attributes:
        hours: the rows of each file of each hour, in the order in which they are read.
    """

    hours: Sequence[Sequence[Sequence[Json]]]

    @classmethod
    def of(cls, seed: int, *, hours: int, rows: int, bare_share: float = 0.1) -> Lives:
        """Return the lives of people in so many hours of so many rows each.

        Args:
            seed: decides what comes.
            hours: how many.
            rows: in each of them.
            bare_share: how many of the rows have no user properties.
        """
        choice = Random(seed)
        people = list(_people(choice, hours * rows // _ROWS_OF_A_PERSON))
        made = []
        number = 0
        for hour in range(hours):
            files: list[list[Json]] = [[] for _ in range(FILES)]
            moments = sorted(choice.randrange(3600) for _ in range(rows // 4))
            for moment in moments:
                person = people[int(len(people) * choice.random() ** 2)]
                for one in _session(choice, person, number, hour * 3600 + moment):
                    if choice.random() < bare_share:
                        one["user_properties"] = {}
                    choice.choice(files).append(one)
                    number += 1
            for file in files:
                choice.shuffle(file)
            made.append(files)
        return cls(made)

    @property
    def rows(self) -> list[Json]:
        """All rows, in the order in which they are read."""
        return [one for files in self.hours for file in files for one in file]

    @property
    def in_time(self) -> Lives:
        """The same hours, each as one file whose rows are in the order of `0011-newest-row`."""
        return Lives(
            [[sorted((one for file in files for one in file), key=_time)] for files in self.hours]
        )

    def hour(self, number: int) -> Lives:
        """Return one hour of them."""
        return Lives([self.hours[number]])

    def first_users(self) -> dict[str, str]:
        """Return the first user of each device that has one."""
        first: dict[str, str] = {}
        for one in self.rows:
            if "device_id" in one and "user_id" in one:
                first.setdefault(one["device_id"], one["user_id"])
        return first

    def people(self) -> set[frozenset[str]]:
        """Return the ids of each person."""
        first = self.first_users()
        ids: dict[str, set[str]] = defaultdict(set)
        for one in self.rows:
            if "user_id" in one:
                ids[one["user_id"]].add(one["user_id"])
            if "device_id" in one:
                device: str = one["device_id"]
                # Of a shared device, the first user's alone.
                ids[first.get(device, device)].add(device)
        return {frozenset(one) for one in ids.values()}


def assert_well_told(events: Iterable[Json], lives: Lives) -> World:
    """Fail unless everybody ended with the newest row, is who it was, and has every event.

    Args:
        events: what PostHog took, in its order, repeats included.
        lives: what was to be told.
    """
    world, rows = World(), lives.rows
    world.receive(events)
    assert old_people(world, rows) == []
    assert old_groups(world, rows) == []
    assert set(world.people.people()) == lives.people()
    assert world.people.warnings == []
    own = {event["uuid"] for event in world.events if event["event"] == "viewed"}
    assert own == {one["uuid"] for one in rows}
    return world


def _time(one: Json) -> tuple[str, str, int]:
    return one["server_upload_time"], one["event_time"], one["event_id"]


def _people(choice: Random, count: int) -> Iterator[_Person]:
    shared = "d-nobody"
    for number in range(count):
        kind = choice.random()
        devices = [f"d{number}-{n}" for n in range(choice.choice([1, 1, 2, 3]))]
        if kind < 0.15:
            yield _Person(None, devices[:1])
            continue
        if kind < 0.25:
            yield _Person(f"u{number}", [])
            continue
        if kind < 0.4:
            devices.append(shared)
        shared = devices[0]
        yield _Person(f"u{number}", devices)


def _session(choice: Random, person: _Person, number: int, second: int) -> Iterator[Json]:
    """Yield the rows that are uploaded together: some before the login, some after it."""
    device = choice.choice(person.devices) if person.devices else None
    length = choice.randrange(1, _ROWS_OF_A_SESSION)
    login = choice.choice([0, 0, choice.randrange(length + 1)]) if device else 0
    uploaded = START + timedelta(seconds=second, microseconds=choice.randrange(1000) * 1000)
    happened = uploaded - timedelta(seconds=choice.choice([1, 60, 100_000]))
    for step in range(length):
        # Some happen in the same moment.
        happened += timedelta(milliseconds=choice.choice([0, 700]))
        made = row(
            number + step,
            user_id=person.user if step >= login else None,
            device_id=device,
            event_time=f"{happened:%Y-%m-%d %H:%M:%S.%f}",
            server_upload_time=f"{uploaded:%Y-%m-%d %H:%M:%S.%f}",
            event_id=number + step,
            user_properties={"plan": (number + step) % 97, "visits": number + step},
        )
        if choice.random() < 0.1:
            group = f"g{choice.randrange(_GROUPS)}"
            made["groups"] = {"org": [group]}
            made["group_properties"] = {"org": {group: {"seats": number + step}}}
        if choice.random() < 0.05:
            made["a_new_field"] = step
        yield made
