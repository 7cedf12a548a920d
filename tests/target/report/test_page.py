"""The page holds what the book says, whatever its names are, and nothing that runs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from target_posthog.books.sums import KindSum
from target_posthog.books.whole import Gap
from target_posthog.identity.sums import PeopleSums
from target_posthog.progress.counts import Counts
from target_posthog.rejects.listing import Example
from target_posthog.report.charts import Chart, days_chart, main_days, names_chart, pace_chart
from target_posthog.report.drawing import drawn
from target_posthog.report.figures import Day, Figures, Hours, Pace, Rejects
from target_posthog.report.html import name, text
from target_posthog.report.page import page_of
from tests.support.reports import HOSTILE

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
EMPTY = ("br", "img", "link", "meta")


def figures(names: tuple[str, ...] = ("viewed",), days: int = 3) -> Figures:
    """Return numbers of a small migration."""
    start = datetime(2018, 1, 1, tzinfo=timezone.utc)
    return Figures(
        "0123abcd",
        "https://eu.i.posthog.com",
        NOW,
        Counts(10, 6, 1, Counter(skip_events=1), Counter(bad_time=2), 3, 4),
        Hours("2024-01-01T00", "2024-01-02T00", 25, 0, [], [], Counter({1: 25})),
        [Day(f"{start + timedelta(days=one):%Y-%m-%d}", 9, 8, 1) for one in range(days)],
        None,
        [KindSum(one, 9, 8, 1) for one in names],
        0,
        Rejects(Counter(bad_time=2)),
        PeopleSums(1, 0, 2, 3),
        [Pace("2024-06-01T00:00Z", 600, 6000)],
    )


def undrawn(chart: Chart, kind: str) -> str:
    """Stand in for a drawing, where it is not the subject."""
    return f'<svg class="{kind}" aria-label="{text(chart.label)}"></svg>'


class Reader(HTMLParser):
    """Reads a page as a browser does, and holds what it finds."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in EMPTY:
            self.open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    @override
    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_numbers_stand_in_tables() -> None:
    """Each chart has one behind it."""
    page = page_of(figures(), undrawn)
    read = Reader(page)
    assert read.open == []
    assert (read.tags["table"], read.tags["details"], read.tags["svg"]) == (8, 3, 6)
    for words in ("10 records exported", "60.00%", "bad_time", "skip_events", "2018-01-01"):
        assert words in read.words


def test_a_page_is_whole() -> None:
    """No script, no address of another place, and a policy that forbids both."""
    page = page_of(figures(HOSTILE), drawn)
    read = Reader(page)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(read.tags)
    names = {name for name, _ in read.attributes}
    assert not {one for one in names if one.startswith("on")} | names & {"src", "style", "action"}
    links = [value for name, value in read.attributes if name in {"href", "xlink:href"}]
    assert all(value and value.startswith("#") for value in links)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(value for _, value in read.attributes if value and "default-src" in value)
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


@given(st.text())
def test_any_name_stays_text(value: str) -> None:
    """In tables, and in a page that can be stored."""
    shown = Reader(f"<p>{name(value)}</p>")
    assert set(shown.tags) <= {"p", "bdi", "code"}
    assert shown.open == []
    name(value).encode()
    assert "\u202e" not in shown.words


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_drawn_as_text(value: str) -> None:
    """A chart is XML that holds it, whole or cut."""
    svg = drawn(names_chart([KindSum(value, 1, 1, 0)], 350), "wide")
    assert {one.tag.rpartition("}")[2] for one in ET.fromstring(svg).iter()} <= {  # noqa: S314 - our own
        "svg", "g", "path", "line", "text", "title", "rect",
    }  # fmt: skip


@pytest.mark.parametrize(
    "chart",
    [
        days_chart([Day("2024-01-01", 1, 1, 0, 1, 1), Day("0001-01-01", 1, 1, 0)], 350),
        days_chart([Day("2024-01-01", 1, 1, 0)], 900),
        days_chart(
            [Day(f"{date(1990, 1, 1) + timedelta(one)}", 1, 1, 0) for one in range(999)], 900
        ),
        names_chart([KindSum("a", 0, 0, 0)], 900),
        pace_chart([Pace("2024-06-01T00:00Z", 60, 0)], 900),
    ],
    ids=["found", "one", "weeks", "nothing", "still"],
)
def test_unusual_numbers_are_drawn(chart: Chart) -> None:
    """One day, no event, a day that is none."""
    svg = ET.fromstring(drawn(chart, "wide"))  # noqa: S314 - our own
    assert svg.get("role") == "img"
    assert "NaN" not in ET.tostring(svg, encoding="unicode")


@pytest.mark.parametrize("width", [350, 900])
@pytest.mark.parametrize(
    ("seconds", "bars"), [(60, 1), (60, 3), (60, 80), (600, 80), (3600, 60), (6 * 3600, 80)]
)
def test_no_two_marks_of_the_speed_are_named_alike(seconds: int, bars: int, width: int) -> None:
    """A minute has room for more marks than one, and two days have each hour twice."""
    start = datetime(2024, 6, 1, tzinfo=timezone.utc)
    moments = [start + timedelta(seconds=number * seconds) for number in range(bars)]
    paces = [Pace(f"{moment:%Y-%m-%dT%H:%MZ}", seconds, 7) for moment in moments]
    names = marks_of(pace_chart(paces, width))
    assert len(names) == len(set(names)) > 0


@pytest.mark.parametrize("width", [350, 900])
@pytest.mark.parametrize("days", [1, 2, 3, 9, 20, 60, 400])
def test_no_two_marks_of_the_days_are_named_alike(days: int, width: int) -> None:
    """As above."""
    names = marks_of(days_chart(figures(days=days).days, width))
    assert len(names) == len(set(names)) > 0


def marks_of(chart: Chart) -> list[str]:
    """Return what the marks of the time axis are named."""
    words = [text_of.text or "" for text_of in ET.fromstring(drawn(chart, "wide")).iter()]  # noqa: S314 - our own
    return [word for word in words if re.fullmatch(r"(\d\d [A-Z][a-z]{2}.*)|\d\d:\d\d", word)]


def test_a_few_events_of_wrong_clocks_do_not_stretch_the_chart() -> None:
    """They are in the table; a page says how many there are."""
    usual = [Day(f"2024-01-{day:02}", 5000, 5000, 0) for day in range(1, 31)]
    early, late = Day("1999-12-31", 2, 2, 0), Day("2038-01-19", 1, 1, 0)
    assert main_days([early, *usual, late]) == usual
    assert main_days(usual) == usual
    often = replace(early, exported=5000)
    assert main_days([often, *usual]) == [often, *usual]
    near = Day("2023-12-20", 2, 2, 0)
    assert main_days([near, *usual]) == [near, *usual]
    words = Reader(page_of(replace(figures(), days=[early, *usual, late]), undrawn)).words
    assert "The chart is of 2024-01-01 to 2024-01-30: 3 events lie outside" in words
    assert "Table of 32 days" in words


def test_years_and_hundreds_of_names_stay_small() -> None:
    """Six years, 500 names of 200 characters."""
    many = tuple(f"{number:03}{'&' * 197}" for number in range(500))
    page = page_of(figures(many, days=6 * 365), drawn)
    assert len(page.encode()) < 3_000_000


def test_what_is_wrong_stands_first() -> None:
    """Open records, gaps, overlaps, rejects, and what PostHog lacks."""
    wrong = replace(
        figures(),
        totals=Counts(10, 6, 0, Counter(), Counter(bad_time=1)),
        hours=Hours(
            *("2024-01-01T03", "2024-01-01T07"),
            *(2, 1),
            [Gap("2024-01-01T05", "2024-01-01T06")],
            ["2024-01-01T03"],
            Counter({2: 2}),
        ),
        days=[
            Day("2024-01-01", 9, 8, 1, 5, 8, missing=3),
            # As many as were accepted, but not the same.
            Day("2024-01-02", 9, 8, 1, 8, 8, missing=1, extra=1),
            Day("2024-01-03", 9, 8, 1, 8, 8),
        ],
        asked_at=("2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z"),
    )
    words = Reader(page_of(wrong, undrawn)).words
    for finding in (
        "Not accounted for. 3 records without a fate.",
        "Hours are missing. 1 gap between",
        "Hours came twice. 1",
        "By day and event, PostHog lacks 4 events and has 1 more (asked from",
        "Days on which PostHog holds more or less: 2",
        "Rejected. 1 record:",
    ):
        assert finding in words
    same = replace(wrong, days=[Day("2024-01-01", 9, 8, 1, 7, 7)])
    assert (
        "Compared. PostHog holds the 7 accepted events that it was asked about"
        in Reader(page_of(same, undrawn)).words
    )


def test_a_record_is_shown_only_when_it_is_given() -> None:
    """Its place is enough for most."""
    example = Example("r.jsonl", 3, "events", "</pre>", "No time.", {"user_id": "hush</pre>"})
    shown = replace(figures(), rejects=Rejects(Counter(), {"bad_time": example}))
    assert "hush" in Reader(page_of(shown, undrawn)).words
    hidden = replace(shown, rejects=Rejects(Counter(), {"bad_time": replace(example, record=None)}))
    page = page_of(hidden, undrawn)
    assert "hush" not in page
    assert "Line 3 of r.jsonl, stream events, event </pre>. No time." in Reader(page).words
