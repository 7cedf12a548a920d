"""In free order, people and groups end as in order, whichever run sends what, and whenever."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.errors import FixConfiguration
from target_posthog.identity.ledger import Ledger
from target_posthog.identity.pass_agreement import PassAgreement
from target_posthog.model import Link
from tests.support.examples import examples
from tests.support.free_order import SETTINGS, ApplyingRun, CollectingRun, bodies
from tests.support.person_model import World, old_groups, old_people
from tests.support.reference_delivery import ReferenceDelivery
from tests.support.rows import row
from tests.target.identity.test_newest_of_any_order import HOURS, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.model import Json
    from tests.target.identity.test_newest_of_any_order import Step

#: In memory, without a file for each example.
MEMORY = "sqlite://"
SEEDS = st.integers(0, 2**32)


def people_of(world: World) -> dict[str, tuple[frozenset[str], Any]]:
    """Return of each id whose it is, and what is known of that person."""
    return {
        one: (ids, world.people.person_properties(one).get("plan"))
        for ids in world.people.people()
        for one in ids
    }


def in_order(rows: Sequence[Json], kind: Any) -> World:
    """Return PostHog after a run that reads row by row in the order of time."""
    world = World()
    ordered = sorted(
        rows, key=lambda one: (one["server_upload_time"], one["event_time"], one["event_id"])
    )
    assert ReferenceDelivery(world, kind).read([ordered], dies_at=None, saves=True)
    return world


def collected(ledger: Ledger, parts: Sequence[Sequence[Json]], kind: Any, choice: Random) -> None:
    """Read all parts by some runs at once, some of them twice, each in any order."""
    runs = [CollectingRun(ledger, kind) for _ in range(choice.randrange(1, 4))]
    again = [part for part in parts if choice.random() < 0.3]
    for part in choice.sample([*parts, *again], len(parts) + len(again)):
        choice.choice(runs).read(choice.sample(part, len(part)))


def applied(
    ledger: Ledger, parts: Sequence[Sequence[Json]], kind: Any, choice: Random
) -> list[Json]:
    """Send all parts by some runs at once, in stretches, with crashes; return what was sent."""
    sent: list[Json] = []
    runs = [ApplyingRun(ledger, kind) for _ in range(3)]
    stretches = [part[start : start + 3] for part in parts for start in range(0, len(part), 3)]
    for stretch in choice.sample(stretches, len(stretches)):
        while True:
            number = choice.randrange(len(runs))
            items = runs[number].completed(stretch)
            if choice.random() < 0.2:
                # It dies with some of them taken, which the ledger may know or not.
                taken = items[: choice.randrange(len(items) + 1)]
                sent += bodies(taken)
                if choice.random() < 0.5:
                    runs[number].accept(taken)
                runs[number] = ApplyingRun(ledger, kind)
                continue
            sent += bodies(items)
            runs[number].accept(items)
            break
    return sent


@examples(80)
@given(HOURS, st.sampled_from(["alias", "identify", "none"]), SEEDS)
def test_any_order_of_parts_runs_and_arrivals_ends_as_in_order(
    hours: list[list[Step]], kind: Any, seed: int
) -> None:
    """Collected by several runs, sent by several runs that die, and stored in any order.

    Each link and each group update is one event, whoever sends it: PostHog keeps one.
    """
    choice, parts = Random(seed), [file for files in rows_of(hours) for file in files if file]
    rows = [one for part in parts for one in part]
    ledger = Ledger(MEMORY, "phc_test")
    collected(ledger, parts, kind, choice)
    # Runs that know nothing of what others sent; nothing of theirs arrives.
    lost = [
        told
        for part in choice.sample(parts, len(parts))
        for told in bodies(ApplyingRun(ledger, kind).completed(choice.sample(part, len(part))))
    ]
    sent = applied(ledger, parts, kind, choice)
    ledger.close()
    assert_told_alike([*lost, *sent])
    choice.shuffle(sent)
    world = World()
    world.receive(sent)
    assert old_people(world, rows) == []
    assert old_groups(world, rows) == []
    assert people_of(world) == people_of(in_order(rows, kind))
    assert world.people.warnings == []
    assert {one["uuid"] for one in sent} >= {one["uuid"] for one in rows}


def assert_told_alike(events: Sequence[Json]) -> None:
    """Fail unless all that is told of a device or a group is the very same event."""
    told: dict[str, Json] = {}
    for one in events:
        properties = one["properties"]
        device = properties.get("alias") or properties.get("$anon_distinct_id")
        about = f"device {device}" if device else f"group {properties.get('$group_key')}"
        if one["event"] != "Play":
            assert told.setdefault(about, one) == one


def some_rows() -> list[Json]:
    """Return rows of two users of one device in two hours, the later hour's first."""
    day = "2024-01-01 0{}:00:00.000000".format
    return [
        row(1, user_id="u2", device_id="d", event_time=day(5), user_properties={"plan": "new"}),
        row(2, user_id="u1", device_id="d", event_time=day(3), user_properties={"plan": "old"}),
    ]


@pytest.mark.parametrize("by_place", [1, -1], ids=["the later first", "the earlier first"])
def test_a_device_is_its_first_users_though_the_second_is_sent_first(
    ledger: Ledger, by_place: int
) -> None:
    """Its link has the time of the first row, and the second user is counted as shared."""
    later, earlier = some_rows()
    for part in [later, earlier][::by_place]:
        CollectingRun(ledger).read([part])
    run = ApplyingRun(ledger)
    (only,) = bodies(run.completed([later]))
    assert only["distinct_id"] == "u2"
    assert run.counts.shared_devices == 1
    link, _ = bodies(run.completed([earlier]))
    assert (link["distinct_id"], link["properties"]["alias"]) == ("u1", "d")
    assert link["timestamp"] == "2024-01-01T03:00:00.000000Z"


def test_an_id_that_is_a_user_anywhere_is_nobodys_device(ledger: Ledger) -> None:
    """Also when the row that says so comes last: in order that could not be helped."""
    as_device = row(1, user_id="u1", device_id="u2")
    as_user = row(2, user_id="u2")
    CollectingRun(ledger).read([as_device, as_user])
    sent = bodies(ApplyingRun(ledger).completed([as_device]))
    assert [one["event"] for one in sent] == ["viewed"]


def test_whom_an_earlier_run_joined_stays_joined(ledger: Ledger) -> None:
    """The ledger's users come before any that the pass finds, also before earlier rows."""
    later, earlier = some_rows()
    ledger.claim([Link("u2", "d")])
    CollectingRun(ledger).read([later, earlier])
    sent = bodies(ApplyingRun(ledger).completed([earlier, later]))
    assert [one["distinct_id"] for one in sent if one["event"] == "$create_alias"] == ["u2"]


@pytest.mark.parametrize("more", [{"user_properties": {"plan": "newer"}}, {"user_id": "u0"}])
def test_a_row_that_the_pass_has_not_read_stops_the_run(ledger: Ledger, more: Json) -> None:
    """It came after its hour was read: a newer row of its person, or another first user."""
    later, earlier = some_rows()
    CollectingRun(ledger).read([later, earlier])
    late = later | {"event_id": 9, **more} if "user_properties" in more else earlier | more
    with pytest.raises(FixConfiguration, match="has not read a row of this hour"):
        ApplyingRun(ledger).completed([late])


def test_an_hour_that_the_pass_has_not_read_stops_the_run(ledger: Ledger) -> None:
    """Before anything of it is sent; once it is collected, it goes."""
    later, earlier = some_rows()
    CollectingRun(ledger).read([earlier])
    with pytest.raises(FixConfiguration, match="not read the hour 2024-01-01T05"):
        ApplyingRun(ledger).completed([later])
    CollectingRun(ledger).read([later])
    assert ApplyingRun(ledger).completed([later])


def test_a_pass_that_is_not_whole_is_not_applied(ledger: Ledger) -> None:
    """A run that died in an hour has noted newest rows that nobody would send."""
    CollectingRun(ledger).read(some_rows(), is_whole=False)
    with pytest.raises(FixConfiguration, match="2 hours were begun and not finished"):
        ApplyingRun(ledger)
    CollectingRun(ledger).read(some_rows())
    ApplyingRun(ledger)


def test_runs_that_collect_and_runs_that_apply_exclude_each_other(ledger: Ledger) -> None:
    """Whoever came first stops at its next step, and the other goes on."""
    later, earlier = some_rows()
    collects = CollectingRun(ledger)
    collects.read([earlier])
    applies = ApplyingRun(ledger)
    with pytest.raises(FixConfiguration, match="`free_order: apply` has begun"):
        collects.read([later])
    CollectingRun(ledger).read([later])
    with pytest.raises(FixConfiguration, match="`free_order: collect` has begun"):
        applies.completed([earlier])
    with pytest.raises(FixConfiguration, match="`free_order: apply` has begun"):
        collects.read([later])
    assert ApplyingRun(ledger).completed([later])


def test_a_pass_needs_the_same_settings_from_its_first_run_to_its_last(ledger: Ledger) -> None:
    """Else the newest row would not be known again; the message names the settings."""
    CollectingRun(ledger).read(some_rows())
    agreement = PassAgreement(ledger, {**SETTINGS, "user_properties": "2"})
    for begin in (agreement.open, agreement.close):
        with pytest.raises(FixConfiguration, match="another value of `user_properties`"):
            begin()


def test_settings_may_change_before_the_first_hour(ledger: Ledger) -> None:
    """A run that failed at once binds nobody to what it had."""
    first = CollectingRun(ledger)
    PassAgreement(ledger, {"user_properties": "2"}).open()
    with pytest.raises(FixConfiguration, match="another value of `user_properties`"):
        first.read(some_rows())
    CollectingRun(ledger).read(some_rows())
    ApplyingRun(ledger)


def test_there_is_nothing_to_apply_before_a_pass(ledger: Ledger) -> None:
    """An empty ledger is not a pass that found nobody."""
    with pytest.raises(FixConfiguration, match="no people pass"):
        ApplyingRun(ledger)


def test_records_without_a_place_are_refused(ledger: Ledger) -> None:
    """What tells of a person and not when would be applied as it comes."""
    bare = row(1)
    del bare["server_upload_time"]
    with pytest.raises(FixConfiguration, match="server_upload_time"):
        CollectingRun(ledger).read([bare | {"user_properties": {"plan": 1}}])
    with pytest.raises(FixConfiguration, match="server_upload_time"):
        ApplyingRun(ledger).completed([bare | {"user_properties": {"plan": 1}}])
