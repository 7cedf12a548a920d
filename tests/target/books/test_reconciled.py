"""What PostHog was found to hold is kept until it is asked again; on SQLite and PostgreSQL."""

from __future__ import annotations

from contextlib import closing

import pytest

from target_posthog.books.reconciled import Found, Reconciled, Scope
from target_posthog.identity.ledger import Ledger

FIRST, SECOND = "2024-02-01T00:00:00Z", "2024-02-02T00:00:00Z"


def found(hour: str, event: str, events: int = 5, asked_at: str = FIRST) -> Found:
    """Return what PostHog holds of an event of one hour of 1 January 2024."""
    at = f"2024-01-01T{hour}" if hour else ""
    return Found(at, "2024-01-01", event, events, events, asked_at)


BEFORE = [found("", "bought"), found("05", "paid"), found("05", "viewed"), found("06", "viewed")]


def test_what_was_found_is_there_until_posthog_is_asked_again(ledger: Ledger) -> None:
    """A comparison of all takes the place of all."""
    kept = Reconciled(ledger)
    assert list(kept.found()) == []
    kept.replace(Scope(), BEFORE)
    assert list(Reconciled(ledger).found()) == BEFORE
    again = [found("05", "paid", 6, SECOND)]
    kept.replace(Scope(), again)
    assert list(kept.found()) == again


@pytest.mark.parametrize(
    ("scope", "stays"),
    [
        (Scope("2024-01-01T06"), BEFORE[:3]),
        (Scope(end="2024-01-01T06"), [BEFORE[0], BEFORE[3]]),
        (Scope("2024-01-01T05", "2024-01-01T06", {"viewed"}), [*BEFORE[:2], BEFORE[3]]),
        (Scope(events={"bought", "paid"}), BEFORE[2:]),
    ],
    ids=["from", "to", "hour and event", "events"],
)
def test_a_part_takes_the_place_of_itself(ledger: Ledger, scope: Scope, stays: list[Found]) -> None:
    """The rest stays as it was found before."""
    kept = Reconciled(ledger)
    kept.replace(Scope(), BEFORE)
    assert [one for one in BEFORE if not scope.holds(one.hour, one.event)] == stays
    kept.replace(scope, [])
    assert list(kept.found()) == stays


def test_projects_are_kept_apart(ledger_url: str) -> None:
    """One database serves several."""
    for key, events in (("phc_a", 1), ("phc_b", 2)):
        with closing(Ledger(ledger_url, key)) as opened:
            Reconciled(opened).replace(Scope(), [found("05", "paid", events)])
    with closing(Ledger(ledger_url, "phc_a")) as opened:
        assert [one.events for one in Reconciled(opened).found()] == [1]
