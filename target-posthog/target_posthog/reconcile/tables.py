"""What a comparison came to, for machines: JSON, and CSV for a spreadsheet. Pure."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.model import Link
    from target_posthog.reconcile.comparison import Compared
    from target_posthog.reconcile.people import People
    from target_posthog.reconcile.result import Result

_NUMBERS = ("booked", "held", "missing", "extra", "moved", "replayed", "unmerged", "one_sided")
_COLUMNS = ("hour", "day", "event", *_NUMBERS, "command")


def as_json(result: Result) -> str:
    """Return the result, with all that differs."""
    comparison, book, scope = result.comparison, result.book, result.scope
    content = {
        "agrees": result.agrees,
        "project_id": result.project_id,
        "host": result.host,
        "asked_at": result.asked_at,
        "scope": {
            "from": _hour(scope.first),
            "to": _hour(scope.end),
            "events": sorted(scope.events),
        },
        "totals": {name: comparison.total(name) for name in _NUMBERS},
        "differences": [_row(difference, result) for difference in comparison.differences],
        "commands": result.commands,
        "people": None if result.people is None else _people(result.people),
        "book": {
            "first_hour": _hour(book.first),
            "last_hour": _hour(book.last),
            "hours": book.hours,
            "open": book.open,
            "gaps": [{"first": _hour(gap.first), "last": _hour(gap.last)} for gap in book.gaps],
            "overlaps": [_hour(hour) for hour in book.overlaps],
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def as_csv(result: Result) -> str:
    """Return a line for each hour, day and event, also where both sides agree."""
    written = io.StringIO()
    writer = csv.DictWriter(written, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(compared, result) for compared in result.comparison.cells)
    return written.getvalue().rstrip("\n")


def _row(compared: Compared, result: Result) -> dict[str, Any]:
    return {
        "hour": _hour(compared.cell.hour),
        "day": compared.cell.day,
        "event": compared.cell.event,
        **{name: getattr(compared, name) for name in _NUMBERS},
        "command": result.command_for(compared) or None,
    }


def _people(people: People) -> dict[str, Any]:
    return {
        "sampled": people.sampled,
        "joined": people.joined,
        "separate": _pairs(people.separate),
        "unknown": _pairs(people.unknown),
    }


def _pairs(links: Sequence[Link]) -> list[dict[str, str]]:
    return [{"device_id": link.device_id, "user_id": link.user_id} for link in links]


def _hour(hour: str) -> str | None:
    """Return an export hour in RFC 3339; None where there is none."""
    return f"{hour}:00:00Z" if hour else None
