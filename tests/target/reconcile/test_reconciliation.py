"""What is not there yet is waited for, for as long as the user wants; the result is kept."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.books.lines import Kind, Line, Unit
from target_posthog.books.reconciled import Found, Reconciled, Scope
from target_posthog.books.table import Book
from target_posthog.model import Link
from target_posthog.reconcile.people import People
from target_posthog.reconcile.reconciliation import Reconciliation
from target_posthog.reconcile.wanted import Wanted

if TYPE_CHECKING:
    from target_posthog.identity.ledger import Ledger

DAY, HOUR = "2024-01-01", "2024-01-01T05"
LINKS = [Link("ann", "phone"), Link("ann", "tablet"), Link("bob", "laptop")]


class Ingestion:
    """A PostHog that finds one more of the events with each question; its clock is the waiting.

    Args:
        events: how many events it will find.
        begins: how many it finds at first.
    """

    def __init__(self, events: int, begins: int) -> None:
        self._events = events
        self._found = begins
        self.now = datetime(2024, 2, 1, tzinfo=timezone.utc)
        self.waits: list[float] = []
        self.queries: list[str] = []
        self.persons = {
            one: link.user_id for link in LINKS for one in (link.user_id, link.device_id)
        }

    def rows(self, query: str) -> list[list[Any]]:
        """Answer as PostHog would."""
        self.queries.append(query)
        if "person_distinct_ids" in query:
            return [[one, person] for one, person in self.persons.items()]
        found = min(self._found, self._events)
        self._found += 1
        return [[HOUR, DAY, "viewed", found, found + 1]]

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """A ledger with three joined devices."""
    ledger.claim(LINKS)
    ledger.accept([link.device_id for link in LINKS])
    return ledger


def reconciliation(
    ledger: Ledger, ingestion: Ingestion, *, wait: float = 0, people: int = 0
) -> Reconciliation:
    """Return a comparison of a book with ten events."""
    book = Book(ledger, "run", lambda: ingestion.now)
    # Of the one run of this book the line is told anew, whatever it told before.
    line = Line(goes_on=True)
    line.events[Kind(DAY, "viewed")] = 10
    book.write([(Unit("events", "7", HOUR), line)])
    wanted = Wanted(Scope(), "server_upload_time", name_us=True, people=people, wait_seconds=wait)
    return Reconciliation(
        ledger, book, ingestion, wanted, utc_now=lambda: ingestion.now, sleep=ingestion.sleep
    )


def test_what_is_missing_is_asked_for_again(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """With growing pauses, until it is there; each wait is told."""
    ingestion = Ingestion(10, begins=7)
    with caplog.at_level(logging.INFO):
        comparison, _ = reconciliation(ledger, ingestion, wait=300).run()
    assert comparison.total("missing") == 0
    assert ingestion.waits == [10, 20, 40]
    assert caplog.records[0].message == (
        "3 of 10 events are not in PostHog yet. Asking again in 10 s, for up to 300 s (--wait)."
    )


def test_the_wait_has_a_bound(ledger: Ledger) -> None:
    """And no wait is none; repeats are not waited for."""
    ingestion = Ingestion(10, begins=1)
    comparison, _ = reconciliation(ledger, ingestion, wait=100).run()
    assert comparison.total("missing") == 5
    assert ingestion.waits == [10, 20, 40, 30]
    now = Ingestion(10, begins=9)
    assert reconciliation(ledger, now).run()[0].total("missing") == 1
    assert (now.waits, len(now.queries)) == ([], 1)
    there = Ingestion(10, begins=10)
    assert reconciliation(ledger, there, wait=100).run()[0].total("unmerged") == 1
    assert there.waits == []


def test_the_result_is_kept_beside_the_book(ledger: Ledger) -> None:
    """With the time of the last answer."""
    reconciliation(ledger, Ingestion(10, begins=9), wait=10).run()
    assert list(Reconciled(ledger).found()) == [
        Found(HOUR, DAY, "viewed", 10, 11, "2024-02-01T00:00:10Z")
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, People(3)),
        ({"tablet": "x"}, People(2, separate=[LINKS[1]])),
        ({"laptop": None}, People(2, unknown=[LINKS[2]])),
    ],
    ids=["joined", "separate", "unknown"],
)
def test_devices_are_compared_with_their_users(
    ledger: Ledger, change: dict[str, str | None], expected: People
) -> None:
    """The links of those that are not one person are open again, for the next run."""
    ingestion = Ingestion(10, begins=10)
    ingestion.persons |= {one: person for one, person in change.items() if person}
    for one in [one for one, person in change.items() if person is None]:
        del ingestion.persons[one]
    found = reconciliation(ledger, ingestion, people=20).run()[1]
    assert (found.joined, found.separate, found.unknown) == (
        expected.joined,
        list(expected.separate),
        list(expected.unknown),
    )
    owners = ledger.owners([link.device_id for link in LINKS])
    assert [one for one, owner in owners.items() if not owner.accepted] == list(change)


def test_people_that_posthog_does_not_know_yet_are_waited_for(ledger: Ledger) -> None:
    """As events are."""
    ingestion = Ingestion(10, begins=10)
    gone = ingestion.persons.pop("phone")

    def arrive(seconds: float) -> None:
        ingestion.waits.append(seconds)
        ingestion.persons["phone"] = gone

    ingestion.sleep = arrive  # type: ignore[method-assign]
    _, people = reconciliation(ledger, ingestion, wait=60, people=20).run()
    assert (people.joined, ingestion.waits) == (3, [10])
