"""Whatever order the rows of an hour come in: every person and group ends with its newest row.

Made-up lives of several users on several devices go, file by file and hour by hour, through the
real conversion and the real decisions to a model of PostHog's people and groups. A run may die at
any event; then the hour is read again, in another order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.model import Converted
from tests.support.examples import examples
from tests.support.person_model import World, old_groups, old_people
from tests.support.reference_delivery import CONVERTER, ReferenceDelivery
from tools.sample_export import generate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.model import Json

USERS, DEVICES, GROUPS = ["u1", "u2"], ["d1", "d2"], ["acme", "other"]
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
            groups = {"org": {step.group: {"level": number % 4}}} if step.group else {}
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


@examples(700)
@given(HOURS, CRASHES, st.sampled_from(["alias", "identify", "none"]), st.booleans(), st.booleans())
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
    delivery = ReferenceDelivery(world, kind, knows_ahead, after)
    for files in export:
        while crashes:
            dies_at, saves = crashes.pop()
            if delivery.read(files, dies_at=dies_at, saves=saves):
                break
            files = files[::-1]  # noqa: PLW2901 - read again in another order
        else:
            assert delivery.read(files, dies_at=None, saves=True)
    for what in delivery.noted:
        note(what)
    rows = [row for files in export for file in files for row in file]
    assert old_people(world, rows) == []
    assert old_groups(world, rows) == []
    assert all(event["properties"] for event in world.events)


@pytest.mark.slow
def test_everybody_in_the_sample_export_ends_with_the_newest_row() -> None:
    """Its rows lie in several files an hour, as Amplitude's do, and hold every odd value."""
    by_hour: dict[str, list[list[Json]]] = defaultdict(lambda: [[] for _ in range(FILES)])
    rng = Random(1)
    for row in generate(days=1, people=80).rows:
        if isinstance(CONVERTER.convert(row), Converted):
            by_hour[row["server_upload_time"][:13]][rng.randrange(FILES)].append(row)
    rows = [row for files in by_hour.values() for file in files for row in file]
    for knows_ahead in (False, True):
        world = World()
        delivery = ReferenceDelivery(world, knows_ahead=knows_ahead)
        for hour in sorted(by_hour):
            assert delivery.read(by_hour[hour], dies_at=None, saves=True)
        assert old_people(world, rows) == []
        assert old_groups(world, rows) == []
        assert min(delivery.noted["outdated"], delivery.noted["a link that sets"]) > 0
