"""What a comparison came to, for a person to read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.common.peer_words import escaped
from target_posthog.common.quantities import count
from target_posthog.reconcile.remedies import command_for_all
from target_posthog.settings import DOCUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from target_posthog.reconcile.comparison import Compared
    from target_posthog.reconcile.result import BookFindings, Result

#: Of each list: what a screen holds; --json and --csv have all.
_SHOWN = 40
_TOTALS = (
    ("booked", "in the book", "events that PostHog accepted"),
    ("held", "in PostHog", ""),
    ("missing", "missing", ""),
    ("extra", "extra", "in PostHog, not in the book"),
    ("moved", "other hour", "came in two hours; PostHog keeps the later version, in its hour"),
    ("replayed", "replayed", "were rejected, and sent by a replay"),
    ("unmerged", "not merged yet", "repeats that PostHog removes some time; they count once"),
    (
        "one_sided",
        "missing only",
        "look like events of other senders: what is extra of them cannot be seen",
    ),
)
#: Those that are said even when they are none.
_ALWAYS = frozenset({"booked", "held", "missing", "extra"})
_COLUMNS = ("hour", "day", "book", "PostHog", "missing", "extra", "event")
_TEXTS = frozenset({"hour", "day", "event"})


def as_text(result: Result) -> str:
    """Return the whole result."""
    parts = [
        _head(result),
        _totals(result),
        _differences(result),
        _commands(result),
        _people(result),
        _book(result.book),
        ["Both sides agree." if result.agrees else "Both sides do not agree."],
    ]
    return "\n\n".join("\n".join(lines) for lines in map(list, parts) if lines)


def _head(result: Result) -> Iterator[str]:
    book, scope = result.book, result.scope
    what = f"export hours {book.first}Z to {book.last}Z" if book.first else "events without an hour"
    named = f", {count(len(scope.events), 'event name')}" if scope.events else ""
    yield f"The book and project {result.project_id} at {result.host}: {what}{named}."


def _totals(result: Result) -> Iterator[str]:
    sums = {name: result.comparison.total(name) for name, _, _ in _TOTALS}
    shown = [total for total in _TOTALS if sums[total[0]] or total[0] in _ALWAYS]
    label_width = max(len(label) for _, label, _ in shown)
    width = max(len(f"{sums[name]:,}") for name, _, _ in shown)
    for name, label, note in shown:
        yield f"  {label:<{label_width}}  {sums[name]:>{width},}  {note}".rstrip()


def _differences(result: Result) -> Iterator[str]:
    differences = result.comparison.differences
    if not differences:
        return
    yield "Where they differ:"
    yield ""
    yield from _table([_COLUMNS, *map(_row, differences[:_SHOWN])])
    yield from _rest(len(differences))


def _row(compared: Compared) -> Sequence[str]:
    hour = f"{compared.cell.hour}Z" if compared.cell.hour else "-"
    numbers = [
        f"{number:,}"
        for number in (compared.booked, compared.held, compared.missing, compared.extra)
    ]
    return (hour, compared.cell.day, *numbers, escaped(compared.cell.event))


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    for row in rows:
        cells = [
            text.ljust(width) if name in _TEXTS else text.rjust(width)
            for text, width, name in zip(row, widths, _COLUMNS, strict=True)
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def _commands(result: Result) -> Iterator[str]:
    if not result.commands:
        return
    yield "Send them again; PostHog keeps once what it has already:"
    yield ""
    for command in result.commands:
        yield f"  {command}"
    if result.comparison.total("extra"):
        yield ""
        yield "PostHog cannot delete what is extra. Why it can be there:"
        yield f"  {DOCUMENTS}troubleshooting.md#more-in-posthog-than-in-the-book"


def _people(result: Result) -> Iterator[str]:
    people = result.people
    if people is None:
        return
    if not people.sampled:
        yield "People: the ledger has no joined devices."
        return
    yield f"People: {people.joined:,} of {people.sampled:,} joined devices are their user's person."
    lists = (
        (people.separate, "Two people in PostHog, who should be one"),
        (people.unknown, "PostHog does not know both ids"),
    )
    for links, words in lists:
        if links:
            yield f"{words} (device, user):"
            for link in links[:_SHOWN]:
                yield f"  {escaped(link.device_id)}  {escaped(link.user_id)}"
            yield from _rest(len(links))
    if people.apart:
        yield "Their links are sent again by the next run that reads such a device's events:"
        yield f"  {command_for_all(result.environment, 'tap-amplitude')}"
        yield "Why PostHog can refuse a link:"
        yield f"  {DOCUMENTS}identity.md#posthogs-rules"


def _book(book: BookFindings) -> Iterator[str]:
    for gap in book.gaps[:_SHOWN]:
        hours = gap.first if gap.first == gap.last else f"{gap.first}Z to {gap.last}"
        yield f"The book has no line of {hours}Z: these hours were not read."
    yield from _rest(len(book.gaps))
    if book.overlaps:
        yield (
            f"The book has {count(len(book.overlaps), 'hour')} from two taps, counted twice in it: "
            f"{_listed(book.overlaps)}."
        )
    if book.open:
        yield f"The book has {count(book.open, 'record')} without a fate: please report this."
    if not (book.gaps or book.overlaps or book.open):
        hours = f": {count(book.hours, 'export hour')} without a gap" if book.hours else ""
        yield f"The book is whole{hours}."


def _listed(hours: Sequence[str]) -> str:
    shown = ", ".join(f"{hour}Z" for hour in hours[:3])
    return f"{shown}, …" if len(hours) > 3 else shown  # noqa: PLR2004 - as above


def _rest(count: int) -> Iterable[str]:
    if count > _SHOWN:
        yield f"  … and {count - _SHOWN:,} more; --json has all."
