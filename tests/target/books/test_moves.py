"""What replays make of rejected records, in whatever order: the book stays whole."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.books.bookkeeper import Bookkeeper
from target_posthog.books.moves import Fate, Move
from target_posthog.books.whole import totals_of
from target_posthog.identity.ledger import Ledger
from target_posthog.rejects.book_places import BookPlace, place_in
from tests.support.examples import examples
from tests.target.books.test_bookkeeper import DAY, VIEWED, before, origin, unit
from tests.target.books.test_table import book_of

if TYPE_CHECKING:
    from target_posthog.books.tables import WrittenLine

ACCEPTED = Fate("accepted", "", *VIEWED)
FATES = st.sampled_from(
    [
        ACCEPTED,
        Fate("accepted", "", DAY, "paid"),
        Fate("superseded", "", *VIEWED),
        Fate("skipped", "duplicate"),
        Fate("rejected", "bad_time"),
        Fate("rejected", "bad_event"),
        Fate("refused", "refused_by_posthog", *VIEWED),
    ]
)


def run_with_rejects(ledger: Ledger, hours: list[int], run: str = "one") -> list[BookPlace]:
    """Have a run write an hour each with two events and two rejects; return their places."""
    keeper, book = Bookkeeper(run), book_of(ledger, run)
    places: list[BookPlace | None] = []
    for number, hour in enumerate(hours):
        of_hour = unit(hour)
        keeper.take("events", [(origin(hour), *VIEWED, 3)])
        places.append(keeper.reject(of_hour, "bad_time", 2 * number))
        places.append(keeper.refuse(of_hour, VIEWED, "refused_by_posthog"))
        keeper.note(before(hour + 1))
        book.write(keeper.close())
    return [place for place in places if place is not None]


def was(place: BookPlace) -> Fate:
    """Return what a rejects file says became of a record."""
    if place.day:
        return Fate("refused", "refused_by_posthog", place.day, place.event)
    return Fate("rejected", "bad_time")


def lines_of(ledger: Ledger) -> dict[str, WrittenLine]:
    """Return the lines of the book, by hour of the day; every record has a fate."""
    lines = book_of(ledger).lines()
    assert totals_of(lines).open == 0
    kinds = list(book_of(ledger).kinds())
    for line in lines:
        ours = [kind for kind in kinds if kind.unit == line.unit]
        assert sum(kind.accepted for kind in ours) == line.accepted
        assert sum(kind.superseded for kind in ours) == line.superseded
        assert all(min(kind.exported, kind.accepted, kind.superseded) >= 0 for kind in ours)
        assert min((*line.rejected_by_code.values(), *line.skipped_by_rule.values(), 1)) > 0
    return {line.unit.hour[-2:]: line for line in lines}


def test_a_place_is_read_as_it_was_written() -> None:
    """And nothing else is taken for one: files are edited."""
    place = BookPlace("run", 3, 0, "events", "7", f"{DAY}T05")
    for one in (place, place._replace(day=DAY, event="viewed"), BookPlace("r", 1, 2, "orders")):
        assert place_in({"counted": one.as_json()}) == one
    wrongs: list[Any] = [None, 3, "x", [], {}, {**place.as_json(), "number": "3"}, {"run": "r"}]
    for wrong in wrongs:
        assert place_in({"counted": wrong}) is None
    assert place_in({"counted": {**place.as_json(), "more": 1}}) is None
    assert place_in({}) is None


def test_a_move_is_made_in_its_line_and_once(ledger: Ledger) -> None:
    """Of SQLite and of PostgreSQL; the run and its attempts stay what they were."""
    places = run_with_rejects(ledger, [5, 6])
    book = book_of(ledger, "replay")
    for _ in range(2):
        book.amend([Move(place, was(place), ACCEPTED) for place in places[:2]])
        lines = lines_of(ledger)
        assert (lines["05"].exported, lines["05"].accepted, lines["05"].rejected) == (4, 4, 0)
        assert (lines["06"].exported, lines["06"].accepted, lines["06"].rejected) == (4, 2, 2)
        assert (lines["05"].run, lines["05"].attempt) == ("one", 1)
    book.amend([Move(places[0], was(places[0]), Fate("rejected", "bad_time"))])
    assert lines_of(ledger)["05"].accepted == 4


def test_links_that_a_replay_told_are_in_the_line(ledger: Ledger) -> None:
    """The ledger has each sent once, so it counts once."""
    (place, _) = run_with_rejects(ledger, [5])
    book_of(ledger).amend([Move(place, was(place), ACCEPTED, links=1, groups=2)])
    assert (lines_of(ledger)["05"].links, lines_of(ledger)["05"].groups) == (1, 2)


def test_what_the_book_does_not_count_changes_nothing(ledger: Ledger) -> None:
    """A run whose state never was written, another project, an hour that was read again."""
    (stopped, *_) = run_with_rejects(ledger, [5], "earlier")
    run_with_rejects(ledger, [5], "later")
    unknown = BookPlace("never", 1, 0, "events", "7", f"{DAY}T05")
    for place in (stopped, unknown):
        book_of(ledger).amend([Move(place, was(place), ACCEPTED)])
        assert (lines_of(ledger)["05"].accepted, lines_of(ledger)["05"].rejected) == (2, 2)


@examples(50)
@given(st.lists(st.lists(st.tuples(st.integers(0, 5), FATES), max_size=8), max_size=6))
def test_any_replays_leave_every_record_one_fate(replays: list[list[tuple[int, Fate]]]) -> None:
    """The last that was made of it, but what PostHog has stays."""
    with closing(Ledger("sqlite://", "phc_test")) as ledger:
        places = run_with_rejects(ledger, [5, 6, 7])
        known = {index: was(place) for index, place in enumerate(places)}
        for moves in replays:
            book_of(ledger).amend([Move(places[n], was(places[n]), fate) for n, fate in moves])
            for number, fate in moves:
                if known[number].what not in {"accepted", "superseded"}:
                    known[number] = fate
        lines = lines_of(ledger)
        assert [line.exported for line in lines.values()] == [4, 4, 4]
        totals = totals_of(lines.values())
        expected = [fate.what for fate in known.values()]
        assert totals.accepted == 6 + expected.count("accepted")
        assert totals.superseded == expected.count("superseded")
        assert totals.skipped.total() == expected.count("skipped")
        assert totals.rejected.total() == expected.count("rejected") + expected.count("refused")
