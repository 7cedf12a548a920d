"""What a person reads: as the documents show it, bounded, and safe on a terminal."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from target_posthog.books.reconciled import Scope
from target_posthog.books.whole import Gap
from target_posthog.model import Link
from target_posthog.reconcile.cells import Cell
from target_posthog.reconcile.comparison import Compared, Comparison
from target_posthog.reconcile.people import People
from target_posthog.reconcile.result import BookFindings, Result
from target_posthog.reconcile.tables import as_csv, as_json
from target_posthog.reconcile.texts import as_text
from tests.support.documents import document

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = "2023-01-01T05"
BOOK = BookFindings(
    "2023-01-01T00", "2023-01-02T23", hours=48, streams=(), open=0, gaps=(), overlaps=()
)


def compared(event: str, booked: int, held: int, **changes: Any) -> Compared:
    """Return a cell."""
    cell = Cell(changes.pop("hour", HOUR), changes.pop("day", "2023-01-01"), event)
    missing, extra = max(0, booked - held), max(0, held - booked)
    return Compared(cell, booked, held, missing, extra, **changes)


def result(cells: Sequence[Compared], **changes: Any) -> Result:
    """Return a result of these cells."""
    made = Result(
        host="https://us.posthog.com",
        project_id="12345",
        asked_at="2023-02-01T00:00:00Z",
        scope=Scope(),
        book=BOOK,
        comparison=Comparison(cells),
        people=People(20),
        environment={"MELTANO_ENVIRONMENT": "prod"},
    )
    return replace(made, **changes)


def test_a_result_looks_as_the_guide_shows_it() -> None:
    """To the letter."""
    shown = next(
        block
        for block in document("docs/migrate.md").text.split("```text\n")
        if block.startswith("The book and project")
    )
    cells = [
        compared("Page Viewed", 113, 112, day="2022-12-31"),
        compared("Page Viewed", 621, 620),
        compared("Order Placed", 23_584, 23_584),
    ]
    assert as_text(result(cells)) == shown.partition("\n```")[0]


def test_what_only_seems_to_differ_is_explained() -> None:
    """And is not counted as a difference."""
    text = as_text(result([compared("a", 5, 5, moved=2, replayed=1, unmerged=4)]))
    for words in ("other hour", "replayed", "not merged yet  4"):
        assert words in text
    assert text.endswith("Both sides agree.")


def test_a_long_list_is_cut_and_names_are_harmless() -> None:
    """All of it is in the other forms."""
    cells = [compared(f"\x1b[31m{number}\n", 1, 0) for number in range(100)]
    text = as_text(result(cells))
    assert "… and 60 more; --json has all." in text
    assert "\x1b" not in text
    assert len(list(csv.DictReader(io.StringIO(as_csv(result(cells)))))) == 100
    assert len(json.loads(as_json(result(cells)))["differences"]) == 100


def test_people_and_the_book_are_told_of() -> None:
    """Who is two people, whom PostHog does not know, and what the book lacks."""
    people = People(1, separate=[Link("ann", "phone")], unknown=[Link("bob", "laptop")])
    book = replace(
        BOOK,
        gaps=[Gap("2023-01-01T06", "2023-01-01T06"), Gap("2023-01-01T09", "2023-01-01T12")],
        overlaps=["2023-01-01T01", "2023-01-01T02", "2023-01-01T03", "2023-01-01T04"],
        open=3,
    )
    found = result([compared("a", 1, 1)], people=people, book=book)
    text = as_text(found)
    for words in (
        "People: 1 of 3 joined devices are their user's person.",
        "  phone  ann",
        "  laptop  bob",
        "  meltano --environment=prod run --full-refresh tap-amplitude target-posthog",
        "identity.md#posthogs-rules",
        "no line of 2023-01-01T06Z: these hours were not read.",
        "no line of 2023-01-01T09Z to 2023-01-01T12Z: these hours were not read.",
        "4 hours from two taps, counted twice in it: 2023-01-01T01Z, 2023-01-01T02Z",
        "3 records without a fate",
        "TAP_AMPLITUDE_START_DATE=2023-01-01T09:00:00Z TAP_AMPLITUDE_END_DATE=2023-01-01T13",
        "Both sides do not agree.",
    ):
        assert words in text, text
    assert not found.agrees


def test_a_book_of_other_taps_alone_has_no_hours() -> None:
    """The command names what it cannot know."""
    book = replace(BOOK, first="", last="", hours=0, streams=("orders",))
    text = as_text(result([compared("Order placed", 3, 2, hour="")], book=book))
    assert "events without an hour." in text
    assert "meltano --environment=prod run --full-refresh TAP target-posthog" in text
    assert "export hours without a gap" not in text
