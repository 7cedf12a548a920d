"""Books for reports, among them of names that try to break a page."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from target_posthog.books.lines import Kind, Line, Unit
from target_posthog.books.reconciled import Found, Reconciled, Scope
from target_posthog.books.table import Book
from target_posthog.identity.ledger import Ledger
from target_posthog.model import Link

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
HOSTILE = (
    "</script><script>alert(1)</script>",
    "</style></title><img src=x onerror=alert(2)>",
    "-->]]><svg onload=alert(3)>",
    "\u0639\u0631\u0628\u0649 \u062d\u062f\u062b",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \u202e evil",
    "n" * 200,
    "w " * 100,
    "",
    "&lt;b&gt;\"'`{}",
    "a\x00b\x1b[31m\n",
)
USUAL = ("Page Viewed", "Signed Up", "Order Placed")


def write_book(url: str, *, hours: int, names: Sequence[str] = USUAL, missing: int = 0) -> None:
    """Write a book of some hours, a rejected and a skipped record in each.

    Args:
        url: of the ledger.
        hours: how many hours, from `FIRST` on.
        names: of the events.
        missing: one hour that is left out.
    """
    shuffled = random.Random(7)
    now = [FIRST]
    with closing(Ledger(url, "phc_test")) as ledger:
        book = Book(ledger, "one", lambda: now[0])
        for number in range(hours):
            if missing and number == missing:
                continue
            moment = FIRST + timedelta(hours=number)
            kinds = {Kind(f"{moment:%Y-%m-%d}", name): shuffled.randint(1, 99) for name in names}
            line = Line(events=Counter(kinds), links=2, groups=1)
            line.rejected["bad_time"] += 1
            line.skipped["skip_events"] += 3
            now[0] += timedelta(seconds=7)
            book.write([(Unit("events", "7", f"{moment:%Y-%m-%dT%H}"), line)])
        # A user claims its own id, too.
        ledger.claim([Link("u1", "d1"), Link("u2", "d2"), Link("u1", "u1"), Link("u3", "u3")])
        ledger.accept(["d1"])
        ledger.note_shared([Link("u3", "d1"), Link("u4", "d1")])


def compare_book(url: str, *, lacking: int = 0, before: str = "") -> None:
    """Write what PostHog holds: all that was accepted but for some events of the first cell.

    Args:
        url: of the ledger.
        lacking: how many events.
        before: only of export hours before this one.
    """
    with closing(Ledger(url, "phc_test")) as ledger:
        found = [
            Found(kind.unit.hour, *kind.kind, kind.accepted, 1, "2024-06-02T10:00:00Z")
            for kind in Book(ledger, "", lambda: FIRST).kinds()
            if not before or kind.unit.hour < before
        ]
        found[0] = replace(found[0], events=found[0].events - lacking)
        Reconciled(ledger).replace(Scope(), found)
