"""The sections of the page, each a heading, a chart where it helps, and the numbers as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.common.quantities import count
from target_posthog.rejects.codes import described
from target_posthog.rejects.listing_texts import shown_record
from target_posthog.report.charts import days_chart, main_days, names_chart, pace_chart
from target_posthog.report.figures import MOST_NAMES, MOST_SHOWN
from target_posthog.report.html import Column, Markup, behind, code, element, joined, name, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_posthog.rejects.listing import Example
    from target_posthog.report.charts import Chart
    from target_posthog.report.figures import Day, Figures

    #: Draws a chart; see `drawing`.
    Draw = Callable[[Chart, str], str]

#: A drawing for the desk and for paper, and one for a phone, of which the page shows one.
_WIDTHS = {"wide": 900, "narrow": 350}
_SKIPPED = {
    "skip_events": "the name of the event is in the setting `skip_events`",
    "stream_maps": "a stream map removed the record or its stream",
    "unmapped_streams": "the stream has no entry in `streams`",
    "duplicate": "the same event again, byte for byte",
    "person_profiles": "a record of a group without a person, with `person_profiles` at `never`",
    "already_told": "PostHog knew the link or a later state of the group by then",
    "meltano_test_stream": "Meltano's own test record",
}


def sections(figures: Figures, draw: Draw) -> Iterator[tuple[str, str, Markup]]:
    """Yield the sections: an id, a heading and the content."""
    yield "totals", "Totals", _totals(figures)
    yield "days", "Days", _days(figures, draw)
    yield "events", "Events", _events(figures, draw)
    yield "rejected", "Rejected", _rejected(figures)
    yield "skipped", "Skipped", _skipped(figures)
    yield "people", "People", _people(figures)
    yield "hours", "Export hours", _hours(figures)
    yield "speed", "Speed", _speed(figures, draw)


def _totals(figures: Figures) -> Markup:
    totals = figures.totals
    rows: list[tuple[str, int, object]] = [
        ("Exported", totals.exported, "records that the tap handed over"),
        ("Accepted", totals.accepted, "events that PostHog took and keeps"),
        ("Superseded", totals.superseded, "older versions of an event that PostHog keeps once"),
        ("Skipped", totals.skipped.total(), "left out by a rule that you set, or repeats"),
        ("Rejected", totals.rejected.total(), "in the rejects files, each with its reason"),
        ("Open", totals.open, "without a fate, which must be none"),
    ]
    columns = [Column("Fate", is_number=False), Column("Records"), Column("Share"), _WHAT]
    return table(
        "Exported = accepted + superseded + skipped + rejected",
        columns,
        [(fate, count, _share(count, totals.exported), what) for fate, count, what in rows],
    )


_WHAT = Column("What", is_number=False)


def _days(figures: Figures, draw: Draw) -> Markup:
    days = figures.days
    if not days:
        return _nothing("The book has no events.")
    note = "By the time of the event. Records that never became events have no day."
    shown = main_days(days)
    if outside := sum(day.exported for day in days) - sum(day.exported for day in shown):
        note += (
            f" The chart is of {shown[0].day} to {shown[-1].day}: {count(outside, 'event')} "
            f"{'lies' if outside == 1 else 'lie'} outside, and the table has them."
        )
    whole = _table_of_days("Events by day", days, figures)
    return joined(
        [
            element("p", note, class_="quiet"),
            _drawing(lambda width: days_chart(shown, width), draw),
            *_differences(figures),
            behind(len(days), "day", whole),
        ]
    )


def _differences(figures: Figures) -> Iterator[Markup]:
    """Yield a table of the days on which PostHog holds something else."""
    differ = [day for day in figures.days if day.missing or day.extra]
    if differ:
        caption = f"Days on which PostHog holds more or less: {len(differ):,}"
        yield _table_of_days(_of_first(caption, len(differ)), differ[:MOST_SHOWN], figures)


def _table_of_days(caption: str, days: Sequence[Day], figures: Figures) -> Markup:
    columns = [Column("Day (UTC)", is_number=False)]
    columns += map(Column, ("Exported", "Accepted", "Superseded"))
    if figures.asked_at is None:
        rows = [(day.day, day.exported, day.accepted, day.superseded) for day in days]
        return table(caption, columns, rows)
    columns += map(Column, ("Compared", "In PostHog", "Missing", "Extra"))
    return table(caption, columns, map(_row_of_day, days))


def _row_of_day(day: Day) -> Sequence[object]:
    known = (day.day, day.exported, day.accepted, day.superseded)
    if day.held is None:
        return (*known, 0, "not asked", "-", "-")
    return (*known, day.compared, day.held, day.missing, day.extra)


def _events(figures: Figures, draw: Draw) -> Markup:
    names = figures.names
    if not names:
        return _nothing("The book has no events.")
    columns = [Column("Event", is_number=False)]
    columns += map(Column, ("Exported", "Accepted", "Superseded"))
    shown = names[:MOST_NAMES]
    rows = [
        (name(counted.name), counted.exported, counted.accepted, counted.superseded)
        for counted in shown
    ]
    rest = [element("p", f"Not shown: {count(figures.other_names, 'more name')}.")]
    return joined(
        [
            _drawing(lambda width: names_chart(shown, width), draw),
            behind(len(rows), "name", table("Events by name", columns, rows)),
            *(rest if figures.other_names else ()),
        ]
    )


def _rejected(figures: Figures) -> Markup:
    rejected, files = figures.totals.rejected, figures.rejects.in_files
    codes = sorted({*rejected, *files}, key=lambda name: (-rejected[name], name))
    if not codes:
        return _nothing("Nothing was rejected.")
    columns = [Column("Code", is_number=False), Column("In the book"), Column("In files now")]
    rows = [(element("code", reject), rejected[reject], files[reject]) for reject in codes]
    note = (
        "`target-posthog-rejects` lists them, `target-posthog-replay` sends them again. What a "
        "replay sent has left the files; those of an hour that was read again are in several."
    )
    return joined(
        [
            table("Rejects by code", columns, rows),
            element("p", code(note), class_="quiet"),
            *(_code(reject, figures.rejects.examples.get(reject)) for reject in codes),
        ]
    )


def _code(reject: str, example: Example | None) -> Markup:
    """Return what a code means, what to do about it, and where one of its records is."""
    meaning, remedy = described(reject)
    parts = [
        element("h3", element("code", reject), ": ", code(meaning)),
        element("p", element("b", "What to do. "), code(remedy)),
    ]
    if example is not None:
        event = [", event ", name(example.event)] if example.event else []
        place = (f"Line {example.line} of ", element("code", example.file), ", stream ")
        head = element("b", "Example. ")
        reason = code(f" {example.reason}" if example.reason else "")
        parts.append(element("p", head, *place, name(example.stream), *event, ".", reason))
        if example.record is not None:
            parts.append(element("pre", shown_record(example.record)))
    return joined(parts)


def _skipped(figures: Figures) -> Markup:
    skipped = figures.totals.skipped
    if not skipped:
        return _nothing("Nothing was skipped.")
    columns = [Column("Rule", is_number=False), Column("Records"), _WHAT]
    rows = [
        (element("code", rule), count, code(_SKIPPED.get(rule, "")))
        for rule, count in skipped.most_common()
    ]
    return table("Skipped by rule", columns, rows)


def _people(figures: Figures) -> Markup:
    people, totals = figures.people, figures.totals
    rows = [
        ("Devices joined", people.joined, "PostHog knows whose they are"),
        (
            "Devices not joined yet",
            people.claimed,
            "their user is known; the link is not accepted yet",
        ),
        ("Shared devices", people.shared, "used by further users; they stay with their first"),
        ("Further users", people.further_users, "of shared devices, not joined to them"),
        ("Group updates", totals.groups, "sent beside the records"),
    ]
    columns = [Column("What", is_number=False), Column("Number"), Column("Means", is_number=False)]
    return table("Links and shared devices", columns, rows)


def _hours(figures: Figures) -> Markup:
    hours = figures.hours
    rows: list[tuple[str, object]] = []
    if hours.first:
        rows += [("First hour", f"{hours.first}Z"), ("Last hour", f"{hours.last}Z")]
    rows.append(("Lines about hours", hours.lines))
    if hours.stretches:
        rows.append(("Lines of other taps, between two states", hours.stretches))
    rows += [(f"Written {_times(count)}", lines) for count, lines in sorted(hours.attempts.items())]
    columns = [Column("What", is_number=False), Column("Value")]
    parts = [table("What the book has", columns, rows)]
    if hours.gaps:
        caption = f"Hours that no line is about: {count(len(hours.gaps), 'gap')}"
        missing = [(f"{gap.first}Z", f"{gap.last}Z") for gap in hours.gaps[:MOST_SHOWN]]
        ends = [Column("From", is_number=False), Column("To, inclusive", is_number=False)]
        parts.append(table(_of_first(caption, len(hours.gaps)), ends, missing))
    if hours.overlaps:
        caption = f"Hours that came in two ways, and may count twice: {len(hours.overlaps):,}"
        twice = [(f"{hour}Z",) for hour in hours.overlaps[:MOST_SHOWN]]
        parts.append(
            table(_of_first(caption, len(hours.overlaps)), [Column("Hour", is_number=False)], twice)
        )
    return joined(parts)


def _speed(figures: Figures, draw: Draw) -> Markup:
    paces = figures.paces
    if not paces:
        return _nothing("The book has no lines.")
    columns = [
        Column("From (UTC)", is_number=False),
        Column("Seconds"),
        Column("Records"),
        Column("A second"),
    ]
    rows = [(pace.start, pace.seconds, pace.exported, f"{pace.per_second:,.1f}") for pace in paces]
    note = (
        "By the time when the lines of the book were written, each over the whole stretch; what "
        "was read again counts when it was read last."
    )
    return joined(
        [
            *_last_run(figures.summary),
            _drawing(lambda width: pace_chart(paces, width), draw),
            element("p", note, class_="quiet"),
            behind(len(rows), "bar", table("Speed over time", columns, rows)),
        ]
    )


def _last_run(summary: Mapping[str, Any] | None) -> Iterator[Markup]:
    if summary is None:
        return
    speed, seconds = summary.get("events_per_second"), summary.get("seconds")
    if isinstance(speed, (int, float)) and isinstance(seconds, (int, float)):
        ended = summary.get("ended_at") or summary.get("updated_at") or ""
        yield element(
            "p", f"The last run ({ended}) took {seconds:,.0f} s, at {speed:,.0f} records a second."
        )


def _drawing(chart_of: Callable[[int], Chart], draw: Draw) -> Markup:
    drawings = [Markup(draw(chart_of(width), kind)) for kind, width in _WIDTHS.items()]
    return Markup(f"<figure>{joined(drawings)}</figure>")


def _nothing(words: str) -> Markup:
    return element("p", words)


def _of_first(caption: str, count: int) -> str:
    return (
        caption if count <= MOST_SHOWN else f"{caption}, of which the first {MOST_SHOWN} are shown"
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _share(count: int, whole: int) -> str:
    return f"{count / whole:.2%}" if whole else "-"
