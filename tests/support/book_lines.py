"""Lines of a book that no run has written."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from target_posthog.books.lines import Unit
from target_posthog.books.tables import WrittenLine


def book_line(
    hour: str,
    *,
    app: str = "7",
    stretch: str = "",
    stream: str = "events",
    skipped: int = 1,
    rejected: int = 1,
    **changes: Any,
) -> WrittenLine:
    """Return a line of three records with three fates, unless `changes` say otherwise."""
    made = WrittenLine(
        Unit(stream, app, hour, stretch),
        *(3, 1, 0, skipped, rejected),
        Counter(skip_events=skipped),
        Counter(bad_time=rejected),
        *(2, 1, "run", 1, "2024-02-01T00:00:00Z"),
    )
    return replace(made, **changes)
