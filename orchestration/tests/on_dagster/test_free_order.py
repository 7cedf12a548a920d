"""Free order: ranges in any order, in two rounds; the first sends nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from migration.on_dagster.assets import FREE_POOL, KEY, PEOPLE_KEY, key_for
from migration.settings import Order

from .conftest import World

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def round_of(world: World) -> Callable[[Order], World]:
    """Give the same migration in another order, on the same Dagster."""
    return lambda order: World(world.instance, replace(world.settings, order=order), world.meltano)


@pytest.mark.parametrize("order", [Order.COLLECT, Order.APPLY])
def test_hours_go_in_any_order(order: Order, round_of: Callable[[Order], World]) -> None:
    """None waits for the one before."""
    world = round_of(order)
    assert world.move("2024-02-28T08", "2024-02-28T11").success
    assert world.move("2024-02-28T00", "2024-02-28T03").success
    assert world.states == [
        f"{order.value}-hours-20240228T08-20240228T12",
        f"{order.value}-hours-20240228T00-20240228T04",
    ]
    assert len(world.done) == 8


def test_what_is_only_read_is_not_delivered(round_of: Callable[[Order], World]) -> None:
    """The rounds are two assets, and the book is of the second."""
    collecting = round_of(Order.COLLECT)
    collecting.move("2024-02-28T00", "2024-02-28T03")
    assert collecting.books_asked == []
    assert round_of(Order.APPLY).done == []
    assert len(collecting.instance.get_materialized_partitions(PEOPLE_KEY)) == 4
    assert not collecting.instance.get_materialized_partitions(KEY)


def test_in_order_what_was_sent_freely_counts(round_of: Callable[[Order], World]) -> None:
    """New hours go on where the history ended."""
    round_of(Order.APPLY).move("2024-02-28T00", "2024-02-28T03")
    assert round_of(Order.ASCENDING).move("2024-02-28T04", "2024-02-28T07").success


@pytest.mark.parametrize("order", [Order.COLLECT, Order.APPLY])
def test_as_many_ranges_run_as_a_pool_of_their_own_says(
    order: Order, round_of: Callable[[Order], World]
) -> None:
    """That of hours in order stays at one."""
    world = round_of(order)
    events = world.defs.resolve_assets_def(key_for(world.settings))
    assert events.op.pool == FREE_POOL
    assert events.dependency_keys == set()


@pytest.mark.parametrize(
    ("order", "schedules"), [(Order.ASCENDING, 1), (Order.COLLECT, 0), (Order.APPLY, 0)]
)
def test_new_hours_go_in_order(
    order: Order, schedules: int, round_of: Callable[[Order], World]
) -> None:
    """The schedule belongs to that order alone."""
    repository = round_of(order).defs.get_repository_def()
    assert len(repository.schedule_defs) == schedules
