"""The agreed speed over several runs that share a ledger in PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from target_posthog.identity.ledger import Ledger
from target_posthog.identity.shared_rate_limit import RATES, SharedRateLimiter
from tests.support.rows import row
from tests.support.side_by_side import side_by_side

if TYPE_CHECKING:
    from tests.support.target import Target

Open = Callable[..., SharedRateLimiter]


@pytest.fixture
def run_at(postgresql_url: str) -> Iterator[Open]:
    """Open the limiter of another run, as another machine does."""
    ledgers: list[Ledger] = []

    def open_run(
        rate: float, *, sleep: Callable[[float], object] = time.sleep, project: str = "phc_one"
    ) -> SharedRateLimiter:
        ledgers.append(Ledger(postgresql_url, project))
        return SharedRateLimiter(ledgers[-1], rate, sleep=sleep)

    yield open_run
    for ledger in ledgers:
        ledger.close()


def free_at(postgresql_url: str) -> float:
    """Return when the next request may begin, by the server's clock."""
    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        found = connection.execute(sa.select(RATES.c.free_at)).scalar_one()
    engine.dispose()
    return float(found)


def test_the_first_request_goes_at_once_and_the_next_when_it_is_paid_for(run_at: Open) -> None:
    """1,000 events at 1 a second are a thousand seconds, whichever run sent them."""
    first, second = run_at(1), run_at(1)
    assert first.take_turn(1000) == 0
    assert 900 < second.take_turn(500) <= 1000
    assert 1400 < first.take_turn(1) <= 1500


def test_runs_at_the_same_time_pay_for_each_request_once(run_at: Open, postgresql_url: str) -> None:
    """The turns of three runs follow each other without a gap and without an overlap."""
    runs = [run_at(1) for _ in range(3)]
    assert runs[0].take_turn(1000) == 0
    begin = free_at(postgresql_url)
    side_by_side(*(lambda run=run: [run.take_turn(10) for _ in range(20)] for run in runs))
    assert free_at(postgresql_url) - begin == pytest.approx(3 * 20 * 10, abs=1e-3)


def test_idle_time_is_not_saved(run_at: Open, postgresql_url: str) -> None:
    """After a pause the next request pays from now on."""
    limiter = run_at(1000)
    limiter.take_turn(1)
    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(sa.update(RATES).values(free_at=RATES.c.free_at - 3600))
    engine.dispose()
    long_ago = free_at(postgresql_url)
    assert limiter.take_turn(1) == 0
    assert free_at(postgresql_url) - long_ago > 3000


def test_projects_do_not_wait_for_each_other(run_at: Open) -> None:
    """The speed was agreed on for one project."""
    run_at(1).take_turn(1000)
    assert run_at(1, project="phc_other").take_turn(1000) == 0


def test_a_wait_sleeps_in_parts_until_its_turn(run_at: Open) -> None:
    """What was slept is what was left, and it counts as waited."""
    slept: list[float] = []
    limiter = run_at(1, sleep=slept.append)
    limiter.wait(3)
    assert slept == []
    limiter.wait(1)
    assert 2 < sum(slept) <= 3
    assert max(slept) <= 1
    assert limiter.waited == sum(slept)


def test_a_run_takes_its_turns_from_the_ledger(target: Target, postgresql_url: str) -> None:
    """Only where a speed was agreed on."""
    target.config["ledger_url"] = postgresql_url
    target.send([row(1)]).checked()
    engine = sa.create_engine(postgresql_url)
    assert not sa.inspect(engine).has_table(RATES.name)
    engine.dispose()
    target.send([row(1)], max_events_per_second=1000).checked()
    assert free_at(postgresql_url) > 0


def test_a_stopped_run_does_not_wait(run_at: Open) -> None:
    """Whatever its turn is."""
    slept: list[float] = []
    limiter = run_at(1, sleep=slept.append)
    limiter.wait(1000)
    limiter.wait(1, stopped=lambda: True)
    assert slept == []
