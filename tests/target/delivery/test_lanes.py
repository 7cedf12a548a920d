"""Which batches may go at which moment, and when more requests go side by side."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from target_posthog.capture.batches import Limits
from target_posthog.delivery.concurrency import AdaptiveConcurrency
from target_posthog.delivery.lane_keys import LaneKeys
from target_posthog.delivery.lanes import Lanes
from tests.support.deliveries import OLD, WIRE, item
from tests.support.rows import uuid_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from target_posthog.capture.batches import Batch
    from target_posthog.posthog.events import OutgoingEvent

WIDE = Limits(1000, 10**6)


def lanes_of(count: int = 1, limits: Limits = WIDE) -> Lanes:
    """Return empty lanes."""
    return Lanes(count, limits, WIRE)


def add(
    lanes: Lanes, numbers: Iterable[int], *, key: str = "d", historical: bool = True
) -> list[bool]:
    """Put events of one device into the lanes; tell for each whether it is new there."""
    return [
        lanes.add(
            item(number, properties={"$device_id": key}), historical=historical, created_at=OLD
        )
        == "added"
        for number in numbers
    ]


def begun(lanes: Lanes, *, everything: bool = False) -> list[tuple[int, list[int]]]:
    """Start what may go; return the lane and the numbers of the events of each batch."""
    batches = ready_of(lanes) if everything else lanes.ready()
    return [(number, numbers_in(batch)) for number, batch in batches]


def ready_of(lanes: Lanes) -> Iterator[tuple[int, Batch]]:
    """Start what may go, full or not."""
    lanes.build_all()
    return lanes.ready()


def numbers_in(batch: Batch) -> list[int]:
    """Return the numbers of the events of a batch."""
    number_of = {uuid_of(number): number for number in range(100)}
    return [number_of[one.uuid] for one in batch.items]


def lane_of(key: str, count: int) -> int:
    """Return the lane of a key among so many."""
    return LaneKeys(count, lambda *_: False).number_of(key)


def keys_of_two_lanes() -> tuple[str, str]:
    """Return two devices that do not share a lane when there are two."""
    found: dict[int, str] = {}
    for number in range(50):
        lanes = lanes_of(2)
        add(lanes, [1], key=f"d{number}")
        ((lane, _),) = begun(lanes, everything=True)
        found.setdefault(lane, f"d{number}")
    return found[0], found[1]


def test_a_batch_goes_when_it_is_full_and_the_rest_when_all_must() -> None:
    """Not one request for each event."""
    lanes = lanes_of(limits=Limits(3, 10**6))
    add(lanes, range(2))
    assert not lanes.has_full_batch
    assert begun(lanes) == []
    add(lanes, [2])
    assert lanes.has_full_batch
    assert begun(lanes) == [(0, [0, 1, 2])]
    assert not lanes.has_full_batch
    add(lanes, [3])
    lanes.done(0)
    assert begun(lanes) == []
    assert begun(lanes, everything=True) == [(0, [3])]


def test_a_batch_is_full_by_its_bytes_too() -> None:
    """Each event counts with its comma; the last one needs none."""
    size = len(item(1, properties={"$device_id": "d"}).body) + 1
    for limit, first in ((3 * size - 1, [0, 1, 2]), (3 * size - 2, [0, 1])):
        lanes = lanes_of(limits=Limits(1000, limit))
        add(lanes, range(4))
        assert begun(lanes) == [(0, first)]


def test_an_event_larger_than_a_batch_goes_alone() -> None:
    """Whether it is too large is for PostHog to say."""
    lanes = lanes_of(limits=Limits(1000, 1))
    add(lanes, range(2))
    assert begun(lanes) == [(0, [0])]
    lanes.done(0)
    assert begun(lanes) == [(0, [1])]


def test_a_lane_has_one_batch_under_way() -> None:
    """The next one would overtake it."""
    lanes = lanes_of(limits=Limits(2, 10**6))
    add(lanes, range(2))
    assert begun(lanes) == [(0, [0, 1])]
    assert lanes.under_way == 1
    assert not lanes.must_wait
    add(lanes, [2, 3])
    assert begun(lanes, everything=True) == []
    assert lanes.must_wait
    assert numbers_in(lanes.done(0)) == [0, 1]
    assert lanes.under_way == 0
    assert not lanes.must_wait
    assert begun(lanes) == [(0, [2, 3])]


def test_lanes_go_side_by_side() -> None:
    """Devices of two lanes do not wait for each other; those of one do."""
    lanes, (first, second) = lanes_of(2, Limits(2, 10**6)), keys_of_two_lanes()
    add(lanes, [0, 1], key=first)
    add(lanes, [2, 3], key=second)
    assert sorted(begun(lanes)) == [(0, [0, 1]), (1, [2, 3])]
    assert lanes.under_way == 2
    add(lanes, [4, 5], key=second)
    assert lanes.must_wait
    lanes.done(0)
    assert not lanes.must_wait
    assert begun(lanes, everything=True) == []
    lanes.done(1)
    assert begun(lanes) == [(1, [4, 5])]


def test_one_lane_keeps_the_order_of_all_events() -> None:
    """A small run arrives as the tap wrote it."""
    lanes = lanes_of()
    for number in range(20):
        add(lanes, [number], key=f"d{number}")
    assert begun(lanes, everything=True) == [(0, list(range(20)))]


def test_an_id_with_nul_shares_a_lane_with_what_is_stored_for_it() -> None:
    """PostHog and the ledger have U+FFFD in its place, so both are one device."""
    lanes = lanes_of(64)
    add(lanes, [0], key="a\0b")
    add(lanes, [1], key="a\ufffdb")
    ((_, numbers),) = begun(lanes, everything=True)
    assert numbers == [0, 1]


def test_the_very_event_is_held_once() -> None:
    """PostHog keeps one of them anyway."""
    lanes = lanes_of()
    assert add(lanes, [1, 2, 1]) == [True, True, False]
    assert begun(lanes, everything=True) == [(0, [1, 2])]


@pytest.mark.parametrize(("spare_bytes", "put"), [(1, "replaces"), (0, "added")])
def test_a_longer_version_replaces_the_one_before_if_the_batch_can_hold_it(
    spare_bytes: int, put: str
) -> None:
    """Else it goes in the next one, behind it."""
    short, long = item(1), item(1, properties={"text": "x" * 50})
    lanes = lanes_of(limits=Limits(1000, len(long.body) + spare_bytes))
    assert lanes.add(short, historical=True, created_at=OLD) == "added"
    assert lanes.add(long, historical=True, created_at=OLD) == put
    sent = []
    while batches := list(ready_of(lanes)):
        ((_, batch),) = batches
        sent += [one.body for one in batch.items]
        lanes.done(0)
    assert sent == ([long.body] if put == "replaces" else [short.body, long.body])


def add_all(lanes: Lanes, numbers: Iterable[int], *, historical: bool = True) -> bool:
    """Put events of one device into the lanes together; tell whether they went there."""
    items = [item(number, properties={"$device_id": "d"}) for number in numbers]
    return lanes.add_all(items, historical=historical, created_at=OLD)


def test_many_events_go_into_a_lane_together_as_long_as_no_batch_is_full() -> None:
    """The last event of a batch fills it, which is `add`'s part."""
    lanes = lanes_of(limits=Limits(4, 10**6))
    assert add_all(lanes, [0, 1])
    assert add_all(lanes, [2])
    assert not add_all(lanes, [3])
    assert not lanes.has_full_batch
    assert begun(lanes, everything=True) == [(0, [0, 1, 2])]


def test_twins_do_not_go_into_a_lane_together() -> None:
    """Neither beside each other nor into the batch that holds the other."""
    lanes = lanes_of()
    assert not add_all(lanes, [1, 2, 1])
    assert add_all(lanes, [1, 2])
    assert not add_all(lanes, [3, 2])
    assert begun(lanes, everything=True) == [(0, [1, 2])]


@pytest.mark.parametrize("is_by_bytes", [False, True])
def test_many_events_do_not_take_the_last_room_of_all_lanes(*, is_by_bytes: bool) -> None:
    """Something must begin then, whichever batch it is that grows."""
    two = 2 * (len(item(0, properties={"$device_id": "d"}).body) + 1)
    lanes = lanes_of(limits=Limits(1000, two) if is_by_bytes else Limits(2, 10**6))
    add(lanes, [0, 1])
    assert begun(lanes) == [(0, [0, 1])]
    add(lanes, [2])
    assert not add_all(lanes, [3], historical=False)
    lanes.done(0)
    assert add_all(lanes, [3], historical=False)


def test_another_event_under_the_same_uuid_begins_a_new_batch() -> None:
    """PostHog keeps both, and v1 takes no uuid twice in one request."""
    lanes = lanes_of()
    for name in ("a", "b"):
        assert lanes.add(item(1, event=name), historical=True, created_at=OLD) == "added"
    assert lanes.has_full_batch
    batches = []
    for _ in range(2):
        ((_, batch),) = ready_of(lanes)
        batches.append([one.name for one in batch.items])
        lanes.done(0)
    assert batches == [["a"], ["b"]]


def test_live_and_historical_events_do_not_share_a_request() -> None:
    """The flag is the request's; older events go first."""
    lanes = lanes_of()
    add(lanes, [0], historical=False)
    add(lanes, [1])
    ((_, batch),) = ready_of(lanes)
    assert (numbers_in(batch), batch.historical) == ([1], True)
    lanes.done(0)
    ((_, batch),) = ready_of(lanes)
    assert (numbers_in(batch), batch.historical) == ([0], False)


def test_a_full_live_batch_lets_the_historical_events_before_it_go_first() -> None:
    """Else a person's older state would come last."""
    lanes = lanes_of(limits=Limits(2, 10**6))
    add(lanes, [0])
    add(lanes, [1, 2], historical=False)
    assert begun(lanes) == [(0, [0])]
    lanes.done(0)
    assert begun(lanes) == [(0, [1, 2])]


def test_a_full_historical_batch_does_not_push_live_events_out() -> None:
    """They may still grow."""
    lanes = lanes_of(limits=Limits(2, 10**6))
    add(lanes, [0], historical=False)
    add(lanes, [1, 2])
    assert begun(lanes) == [(0, [1, 2])]
    lanes.done(0)
    assert begun(lanes) == []
    assert begun(lanes, everything=True) == [(0, [0])]


def test_what_is_put_back_goes_before_all_that_waits() -> None:
    """The halves of a refused batch, in their order."""
    lanes = lanes_of(limits=Limits(4, 10**6))
    add(lanes, range(4))
    ((_, batch),) = lanes.ready()
    add(lanes, range(4, 8))
    lanes.done(0)
    lanes.put_back(0, batch.split())
    for expected in ([0, 1], [2, 3], [4, 5, 6, 7]):
        assert begun(lanes) == [(0, expected)]
        lanes.done(0)
    assert begun(lanes, everything=True) == []


def test_a_lane_where_nothing_is_under_way_has_nothing_to_end() -> None:
    """A mistake in the count would lose a batch."""
    lanes = lanes_of()
    add(lanes, [0])
    with pytest.raises(ValueError, match="nothing is under way in lane 0"):
        lanes.done(0)


def test_lanes_that_hold_enough_let_the_fullest_go() -> None:
    """Many lanes would otherwise fill the memory before one of them has a full batch."""
    limits = Limits(10, 10**6)
    lanes, (first, second) = lanes_of(2, limits), keys_of_two_lanes()
    # Three batches of room: a full one under way in each lane, and ten more.
    add(lanes, range(10), key=first)
    add(lanes, range(10, 20), key=second)
    assert len(begun(lanes)) == 2
    add(lanes, range(20, 25), key=first)
    assert not lanes.must_wait
    add(lanes, range(25, 30), key=second)
    assert lanes.has_full_batch
    assert lanes.must_wait
    assert begun(lanes) == []
    lanes.done(0)
    assert not lanes.must_wait
    add(lanes, range(30, 34), key=first)
    assert begun(lanes) == []
    add(lanes, range(34, 35), key=first)
    add(lanes, range(35, 40), key=first)
    assert begun(lanes) == [(0, [20, 21, 22, 23, 24, 30, 31, 32, 33, 34])]


def test_idle_lanes_without_room_begin_the_fullest() -> None:
    """Nothing could be added, so none of them might ever be full."""
    lanes, (first, second) = lanes_of(2, Limits(2, 30)), keys_of_two_lanes()
    # An event is larger than all the room.
    add(lanes, [0], key=first)
    assert begun(lanes) == [(0, [0])]
    add(lanes, [1], key=second)
    assert begun(lanes) == [(1, [1])]


def test_lanes_double_once_waiting_for_slow_answers_has_cost_a_tenth_of_a_second() -> None:
    """Then twice as many requests go side by side, and it is as long again before four do."""
    concurrency = AdaptiveConcurrency(8)
    counts = []
    for _ in range(8):
        concurrency.waited(0.06, response_took=0.06)
        counts.append(concurrency.count)
    assert counts == [1] + [2] * 2 + [4] * 2 + [8] * 3


def test_there_are_never_more_lanes_than_allowed() -> None:
    """However long it takes."""
    for most, counts in ((6, [2, 4, 4]), (1, [1])):
        concurrency = AdaptiveConcurrency(most)
        for expected in counts:
            concurrency.waited(100, response_took=100)
            assert concurrency.count == expected


def test_quick_answers_open_no_lane() -> None:
    """A server nearby is busy; more requests at once would not make it quicker."""
    concurrency = AdaptiveConcurrency(8)
    for _ in range(1000):
        concurrency.waited(0.04, response_took=0.04)
    assert concurrency.count == 1


def test_waiting_for_an_agreed_speed_opens_no_lane() -> None:
    """Only the time in which the answer was on its way counts."""
    concurrency = AdaptiveConcurrency(8)
    concurrency.waited(30, response_took=0.1)
    assert concurrency.count == 1


def keyed(number: int, key: str) -> OutgoingEvent:
    """Return an event that keeps its order with a key."""
    made = item(number)
    made.ordering_key = key
    return made


def key_in(lane: int, kind: str, count: int = 4) -> str:
    """Return a key whose own lane is this one."""
    return next(key for key in (f"{kind}{n}" for n in range(1000)) if lane_of(key, count) == lane)


def put(lanes: Lanes, number: int, key: str) -> None:
    """Put an event of a key into its lane."""
    assert lanes.add(keyed(number, key), historical=True, created_at=OLD) == "added"


def test_what_follows_a_device_goes_behind_what_waits_of_it() -> None:
    """In whichever state that is: growing, full or under way."""
    device, user = key_in(0, "d"), key_in(1, "u")
    for waits in ("growing", "full", "under way"):
        lanes = lanes_of(4, Limits(1 if waits != "growing" else 9, 10**6))
        put(lanes, 0, device)
        if waits == "under way":
            assert begun(lanes) == [(0, [0])]
        lanes.join(device, user)
        put(lanes, 1, user)
        if waits == "growing":
            assert begun(lanes, everything=True) == [(0, [0, 1])]
            continue
        if waits == "full":
            assert begun(lanes) == [(0, [0])]
        assert begun(lanes, everything=True) == []
        lanes.done(0)
        assert begun(lanes, everything=True) == [(0, [1])]


@pytest.mark.parametrize("order", list(permutations((0, 2, 3))))
@pytest.mark.parametrize("own", [0, 1])
def test_what_follows_devices_in_different_lanes_waits_for_all_of_them(
    own: int, order: Sequence[int]
) -> None:
    """Behind the last it would not wait for the others, even before anything of it has come."""
    user = key_in(own, "u")
    lanes = lanes_of(4, Limits(1, 10**6))
    for number, lane in enumerate((0, 2, 3)):
        put(lanes, number, key_in(lane, "d"))
    assert sorted(begun(lanes)) == [(0, [0]), (2, [1]), (3, [2])]
    for lane in (0, 2, 3):
        lanes.join(key_in(lane, "d"), user)
    put(lanes, 3, user)
    for lane in order:
        assert begun(lanes) == []
        lanes.done(lane)
    assert begun(lanes) == [(0, [3])]


def test_a_half_that_is_put_back_is_waited_for_too() -> None:
    """The device's event may stand in the other one; to wait for both is safe."""
    device, user = key_in(0, "d"), key_in(1, "u")
    lanes = lanes_of(4, Limits(2, 10**6))
    put(lanes, 0, device)
    put(lanes, 1, key_in(0, "other"))
    ((_, batch),) = lanes.ready()
    lanes.done(0)
    lanes.put_back(0, batch.split())
    lanes.join(device, user)
    put(lanes, 2, user)
    assert begun(lanes, everything=True) == [(0, [0])]


def test_what_follows_nothing_that_waits_keeps_its_own_lane() -> None:
    """Else all would end in one lane."""
    device, user = key_in(0, "d"), key_in(1, "u")
    lanes = lanes_of(4)
    lanes.join(device, user)
    put(lanes, 0, user)
    assert begun(lanes, everything=True) == [(1, [0])]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_follows_what_waits_in_another_lane_waits_for_both(order: tuple[int, int]) -> None:
    """The other lanes go on meanwhile."""
    device, user, other = key_in(0, "d"), key_in(1, "u"), key_in(2, "d")
    lanes = lanes_of(4, Limits(1, 10**6))
    put(lanes, 0, device)
    put(lanes, 1, user)
    assert sorted(begun(lanes)) == [(0, [0]), (1, [1])]
    lanes.join(device, user)
    put(lanes, 2, user)
    put(lanes, 3, other)
    assert begun(lanes) == [(2, [3])]
    for lane in order:
        assert begun(lanes) == []
        lanes.done(lane)
    assert begun(lanes) == [(1, [2])]


def test_a_half_that_is_put_back_holds_what_waits_for_it_in_another_lane() -> None:
    """Until both halves are settled."""
    device, user = key_in(0, "d"), key_in(1, "u")
    lanes = lanes_of(4, Limits(2, 10**6))
    put(lanes, 0, device)
    put(lanes, 1, key_in(0, "other"))
    put(lanes, 2, user)
    ((_, batch),) = lanes.ready()
    lanes.join(device, user)
    put(lanes, 3, user)
    lanes.done(0)
    lanes.put_back(0, batch.split())
    assert sorted(begun(lanes, everything=True)) == [(0, [0]), (1, [2])]
    lanes.done(1)
    lanes.done(0)
    assert begun(lanes) == [(0, [1])]
    lanes.done(0)
    assert begun(lanes) == [(1, [3])]


def test_lanes_that_wait_for_each_other_all_end() -> None:
    """Each waits only for what was there before."""
    first, second = key_in(0, "a"), key_in(1, "b")
    lanes = lanes_of(4)
    put(lanes, 0, first)
    put(lanes, 1, second)
    lanes.join(first, second)
    put(lanes, 2, second)
    lanes.join(second, first)
    put(lanes, 3, first)
    assert sorted(begun(lanes, everything=True)) == [(0, [0]), (1, [1])]
    lanes.done(0)
    lanes.done(1)
    assert begun(lanes) == [(1, [2])]
    lanes.done(1)
    assert begun(lanes) == [(0, [3])]


def test_lanes_that_wait_for_each_other_know_what_they_hold() -> None:
    """A third one may be joined meanwhile."""
    lanes = lanes_of(4)
    for number in range(4):
        put(lanes, number, key_in(number % 2, "ab"[number // 2]))
    lanes.join(key_in(0, "a"), key_in(1, "a"))
    lanes.join(key_in(1, "b"), key_in(0, "b"))
    lanes.keys.forget_moved()
    lanes.join(key_in(0, "c"), key_in(1, "c"))
    put(lanes, 4, key_in(1, "c"))
    assert sorted(begun(lanes, everything=True)) == [(0, [0, 2]), (1, [1, 3])]
    lanes.done(0)
    lanes.done(1)
    assert begun(lanes) == [(1, [4])]


@pytest.mark.parametrize("waits", ["growing", "full", "under way"])
def test_a_new_lane_begins_behind_what_waits_in_the_one_that_it_halves(waits: str) -> None:
    """Nothing of a person is overtaken, and nobody waits for an empty lane."""
    stays, goes = key_in(0, "d", 2), key_in(1, "d", 2)
    lanes = lanes_of(1, Limits(1 if waits != "growing" else 9, 10**6))
    put(lanes, 0, goes)
    if waits == "under way":
        assert begun(lanes) == [(0, [0])]
    lanes.double()
    put(lanes, 1, goes)
    put(lanes, 2, stays)
    if waits != "under way":
        assert begun(lanes) == [(0, [0])]
    assert begun(lanes, everything=True) == []
    lanes.done(0)
    assert sorted(begun(lanes)) == [(0, [2]), (1, [1])]


def test_lanes_that_double_twice_at_once_keep_the_order_of_all() -> None:
    """The third and fourth wait for the first and the second, and that one for the first."""
    lanes = lanes_of(1, Limits(1, 10**6))
    put(lanes, 0, "any")
    assert begun(lanes) == [(0, [0])]
    lanes.double()
    lanes.double()
    for number in range(4):
        put(lanes, 1 + number, key_in(number, "d"))
    assert begun(lanes) == []
    lanes.done(0)
    assert sorted(begun(lanes)) == [(number, [1 + number]) for number in range(4)]


def test_who_is_joined_while_lanes_double_goes_behind_what_waited_in_the_lane_before() -> None:
    """What waits of the user is not in the lane of its key any more, and counts all the same."""
    user = next(f"u{n}" for n in range(1000) if lane_of(f"u{n}", 4) == 2)
    device = key_in(1, "d")
    lanes = lanes_of(2, Limits(1, 10**6))
    put(lanes, 0, user)
    put(lanes, 1, device)
    assert sorted(begun(lanes)) == [(0, [0]), (1, [1])]
    lanes.double()
    lanes.join(device, user)
    put(lanes, 2, user)
    lanes.done(1)
    assert begun(lanes) == []
    lanes.done(0)
    assert begun(lanes) == [(2, [2])]


def test_a_key_that_was_moved_is_forgotten_once_nothing_of_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run may see millions of people; while something waits, the lane stays."""
    monkeypatch.setattr("target_posthog.delivery.lane_keys._MOST_MOVED", 1)
    lanes = lanes_of(4, Limits(100, 10**6))
    users = [key for key in (f"u{n}" for n in range(100)) if lane_of(key, 4) == 1][:3]
    put(lanes, 0, key_in(0, "d"))
    for user in users:
        lanes.join(key_in(0, "d"), user)
    put(lanes, 1, users[0])
    lanes.keys.forget_moved()
    for number, user in enumerate(users[:2], 2):
        put(lanes, number, user)
    assert sorted(begun(lanes, everything=True)) == [(0, [0, 1, 2]), (1, [3])]
    assert set(lanes.keys._moved) == {users[0]}


def test_few_keys_that_were_moved_are_not_looked_at() -> None:
    """It costs time, and they may not have come yet."""
    lanes = lanes_of(4)
    put(lanes, 0, key_in(0, "d"))
    lanes.join(key_in(0, "d"), key_in(1, "u"))
    lanes.keys.forget_moved()
    put(lanes, 1, key_in(1, "u"))
    assert begun(lanes, everything=True) == [(0, [0, 1])]


@pytest.mark.parametrize("is_growing", [False, True])
def test_what_waits_goes_in_parts_once_a_bound_is_known(*, is_growing: bool) -> None:
    """Also what was full before, and nothing new grows beyond it."""
    size = len(keyed(0, "d").body) + 1
    lanes = lanes_of(limits=Limits(100 if is_growing else 8, 10**6))
    for number in range(8):
        put(lanes, number, "d")
    lanes.limits = replace(lanes.limits, max_bytes=2 * size)
    sent = []
    for _ in range(4):
        ((_, batch),) = ready_of(lanes)
        assert batch.size <= 2 * size
        sent += numbers_in(batch)
        lanes.done(0)
    assert sent == list(range(8))
    for number in range(8, 13):
        put(lanes, number, "d")
    while batches := list(ready_of(lanes)):
        ((_, batch),) = batches
        assert len(batch.items) <= 2
        sent += numbers_in(batch)
        lanes.done(0)
    assert sent == list(range(13))


def test_the_oldest_epoch_is_that_of_whatever_is_not_settled() -> None:
    """Growing, built, under way or put back."""
    lanes, (first, second) = lanes_of(2, Limits(2, 10**6)), keys_of_two_lanes()
    assert lanes.oldest is None
    for number, (key, epoch) in enumerate([(first, 3), (first, 4), (second, 5), (second, 6)]):
        lanes.add(keyed(number, key), historical=True, created_at=OLD, epoch=epoch)
    assert lanes.oldest == 3
    batches = dict(ready_of(lanes))
    assert lanes.oldest == 3
    lane = next(lane for lane, batch in batches.items() if numbers_in(batch) == [0, 1])
    lanes.done(lane)
    assert lanes.oldest == 5
    lanes.put_back(lane, batches[lane].split())
    assert lanes.oldest == 3
