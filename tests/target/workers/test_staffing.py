"""How many workers there are by default, and when records go to them."""

from __future__ import annotations

import pytest

from target_posthog.workers import pool, staffing
from target_posthog.workers.pool import workers_of
from target_posthog.workers.staffing import Staffing
from tests.support.deliveries import WIRE
from tests.support.target_settings import settings_of


@pytest.mark.parametrize(
    ("processors", "given", "workers", "takes_records"),
    [
        (1, None, 1, False),
        (2, None, 1, True),
        (8, None, 7, True),
        (1, 2, 2, True),
        (8, 1, 1, False),
        (2, 5, 5, True),
    ],
)
def test_one_processor_is_left_to_the_target(
    processors: int,
    given: int | None,
    workers: int,
    takes_records: bool,  # noqa: FBT001 - of the table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless the user says how many workers there are; 1 of them takes no records."""
    for module in (pool, staffing):
        monkeypatch.setattr(module, "processors", lambda: processors)
    monkeypatch.setattr(pool.Pool, "can_fork", lambda: True)
    settings = settings_of(**({} if given is None else {"workers": given}))
    assert workers_of(settings) == workers
    staff = Staffing(settings, WIRE, is_preview=False)
    assert staff.pays_for_records(1_000_000, 1_000_000_000) is takes_records
