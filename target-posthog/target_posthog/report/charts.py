"""The charts of a report, as Vega-Lite specifications. Pure.

Colours are named here and take their value in the page, so one drawing serves light and dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from target_posthog.books.sums import KindSum
    from target_posthog.report.figures import Day, Pace

#: What a colour is called in a specification, and the variable of the page that stands for it.
#: A drawing has no other colours.
COLOURS = {
    "#000001": "var(--series-1)",
    "#000002": "var(--series-2)",
    "#000003": "var(--series-3)",
    "#00000a": "var(--text)",
    "#00000b": "var(--line)",
}
_SERIES = ("#000001", "#000002", "#000003")
_TEXT, _LINE = "#00000a", "#00000b"
#: So many points of time a line may have; more days become weeks, then months.
_MOST_POINTS = 400
#: So many names a chart shows, and how many pixels a character of one may take: a browser has other
#: fonts than the drawing was measured with.
_BARS, _CHARACTER = 20, 7.5
#: The name of a rank: it stands in the data and not in the expression, as it may hold anything.
_NAME_OF_RANK = "data('source_0')[datum.value].event"
#: No `0k`, and no `500m` for a half.
_NUMBER = "datum.value < 1000 ? format(datum.value, '.3~r') : format(datum.value, '.3~s')"
#: How far apart the marks of a time axis may be; on a longer one Vega finds whole months and years.
_DAY = timedelta(days=1)
_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7)),
)
_DATE = "%d %b %Y"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MOST_MARKS = 8
#: Of all events, so many at either end of the days are too few to stretch the axis for.
_FEW = 1 / 2000
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_CONFIG = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _TEXT,
        "titleColor": _TEXT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": _LINE,
        "domainColor": _LINE,
        "tickColor": _LINE,
        "labelOverlap": True,
        "labelLimit": 260,
    },
    "legend": {
        "labelColor": _TEXT,
        "labelFontSize": 12,
        "orient": "top",
        "title": None,
        "symbolType": "stroke",
        "symbolSize": 400,
    },
}


@dataclass(frozen=True)
class Chart:
    """A chart of one width.

    Attributes:
        spec: what Vega-Lite draws.
        label: what it shows, in a sentence, for those who do not see it.
    """

    spec: dict[str, Any]
    label: str


def main_days(days: Sequence[Day]) -> Sequence[Day]:
    """Return the days without those that a few events with wrong clocks are from.

    All days, unless the others would have less than half of the axis.
    """
    counts = [max(day.exported, day.held or 0) for day in days]
    few = sum(counts) * _FEW
    first, last = _behind_few(counts, few), len(days) - _behind_few(counts[::-1], few)
    kept = days[first:last]
    return kept if kept and 2 * _span(kept) < _span(days) else days


def _behind_few(counts: Sequence[int], few: float) -> int:
    return sum(1 for total in accumulate(counts) if total <= few)


def _span(days: Sequence[Day]) -> timedelta:
    return _moment(days[-1].day) - _moment(days[0].day) + timedelta(days=1)


def days_chart(days: Sequence[Day], width: int) -> Chart:
    """Return events by day: as exported, as accepted, and as PostHog holds them if it was asked."""
    values, unit = _points(days)
    names = ["exported", "accepted"]
    if any(day.held is not None for day in days):
        names.append("in PostHog")
    spec = {
        **_frame(values, width, 220),
        "mark": {"type": "line", "point": len(values) <= 3 * 60, "strokeWidth": 2},
        "encoding": {
            "x": _time("day", [value["day"] for value in values]),
            "y": _amount("events", f"events a {unit}"),
            "color": {
                "field": "series",
                "scale": {"domain": names, "range": _SERIES[: len(names)]},
            },
            # Not by colour alone.
            "strokeDash": {
                "field": "series",
                "scale": {"domain": names, "range": [[1, 0], [6, 3], [2, 2]][: len(names)]},
            },
        },
    }
    return Chart(spec, f"Lines of events a {unit}: {', '.join(names)}. The table has each day.")


def names_chart(names: Iterable[KindSum], width: int) -> Chart:
    """Return the most frequent events as bars."""
    longest = int(0.35 * width / _CHARACTER)
    values: list[dict[str, Any]] = [
        # Two long names may begin alike.
        {"event": _short(counted.name, longest), "rank": rank, "events": counted.accepted}
        for rank, counted in enumerate(names)
        if rank < _BARS
    ]
    spec = {
        **_frame(values, width, {"step": 22}),
        "mark": {"type": "bar", "color": _SERIES[0]},
        "encoding": {
            "y": {
                "field": "rank",
                "type": "ordinal",
                "sort": None,
                "title": None,
                "axis": {
                    "labelExpr": _NAME_OF_RANK,
                    "labelLimit": width // 2,
                    "minExtent": _CHARACTER
                    * max((len(value["event"]) for value in values), default=0),
                    "ticks": False,
                    "labelOverlap": False,
                },
            },
            "x": _amount("events", "accepted events"),
        },
    }
    return Chart(spec, f"Bars of the {len(values)} most frequent events. The table has more.")


def pace_chart(paces: Sequence[Pace], width: int) -> Chart:
    """Return the speed over time."""
    values: list[dict[str, Any]] = [
        {"start": pace.start, "end": _end_of(pace), "speed": round(pace.per_second, 2)}
        for pace in paces
    ]
    spec = {
        **_frame(values, width, 180),
        "mark": {"type": "rect", "color": _SERIES[0], "stroke": _SERIES[0]},
        "encoding": {
            "x": _time("start", [value[end] for value in values for end in ("start", "end")]),
            "x2": {"field": "end"},
            "y": _amount("speed", "records a second"),
            "y2": {"datum": 0},
        },
    }
    return Chart(spec, "Bars of the records that were settled a second, over time.")


def _frame(values: list[dict[str, Any]], width: int, height: Any) -> dict[str, Any]:
    return {
        "$schema": _SCHEMA,
        "width": width,
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        # A label of the last day is wider than the drawing was measured with.
        "padding": {"left": 4, "top": 4, "right": 24, "bottom": 4},
        "config": _CONFIG,
        "data": {"values": values},
    }


def _time(field: str, moments: Sequence[str]) -> dict[str, Any]:
    return {
        "field": field,
        "type": "temporal",
        "scale": {"type": "utc"},
        "axis": {"title": None, "grid": False, **_marks(moments)},
    }


def _marks(moments: Sequence[str]) -> dict[str, Any]:
    """Return where the marks of a time axis are, and how they are named.

    Of itself Vega makes some twenty, and so names a short day or minute several times.
    """
    first, last = _moment(min(moments)), _moment(max(moments))
    for step in _STEPS:
        if last - first <= _MOST_MARKS * step:
            begin = first + (_EPOCH - first) % step
            marks = [begin + number * step for number in range((last - begin) // step + 1)]
            return {
                "format": _form(step, last - first),
                "values": [1000 * m.timestamp() for m in marks],
            }
    return {"format": _DATE}


def _form(step: timedelta, span: timedelta) -> str:
    if step >= _DAY:
        return _DATE
    return "%H:%M" if span < _DAY else "%d %b %H:%M"


def _amount(field: str, title: str) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "axis": {"title": title, "labelExpr": _NUMBER, "tickCount": 5},
    }


def _points(days: Sequence[Day]) -> tuple[list[dict[str, Any]], str]:
    """Return a point for each series and stretch of days, and what a stretch is."""
    unit, first_of = _stretches(len(days))
    sums: dict[str, dict[str, int]] = {}
    for day in days:
        point = sums.setdefault(first_of(day.day), {})
        for series, events in _series_of(day):
            point[series] = point.get(series, 0) + events
    values = [
        {"day": start, "series": series, "events": events}
        for start, point in sums.items()
        for series, events in point.items()
    ]
    return values, unit


def _stretches(days: int) -> Any:
    if days <= _MOST_POINTS:
        return "day", str
    if days <= 7 * _MOST_POINTS:
        return "week", _monday_of
    return "month", lambda day: f"{day[:7]}-01"


def _monday_of(day: str) -> str:
    moment = date.fromisoformat(day)
    return f"{moment - timedelta(days=moment.weekday())}"


def _series_of(day: Day) -> Iterator[tuple[str, int]]:
    yield "exported", day.exported
    yield "accepted", day.accepted
    if day.held is not None and day.compared == day.accepted:
        # A part of a day would look like a loss.
        yield "in PostHog", day.held


def _short(name: str, longest: int) -> str:
    """Return a name in one line that can be drawn; the table has the whole."""
    line = "".join(char if char.isprintable() else " " for char in name)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _end_of(pace: Pace) -> str:
    return f"{_moment(pace.start) + timedelta(seconds=pace.seconds):%Y-%m-%dT%H:%MZ}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "")).replace(tzinfo=timezone.utc)
