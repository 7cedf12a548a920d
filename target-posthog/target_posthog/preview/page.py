"""A preview as one HTML page: without scripts, and it asks for nothing from anywhere."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from target_posthog.preview.pairs import NAMELESS
from target_posthog.preview.texts import totals, value_of, visible
from target_posthog.report.html import Markup, code, element, joined, whole_page

if TYPE_CHECKING:
    from target_posthog.preview.found import Found
    from target_posthog.preview.pairs import Pair
    from target_posthog.progress.counts import Counts

_TITLE = "Preview"


def page_of(found: Found, counts: Counts) -> str:
    """Return the page."""
    style = files("target_posthog.preview").joinpath("page.css").read_text(encoding="utf-8")
    body = joined(
        [
            element("h1", _TITLE),
            element("p", "Records, the events that they become, and why. Nothing was sent."),
            _totals(found, counts),
            Markup("<main>"),
            *(_pair(number, pair) for number, pair in enumerate(found.pairs, 1)),
            Markup("</main>"),
        ]
    )
    return whole_page(_TITLE, style, body)


def _totals(found: Found, counts: Counts) -> Markup:
    rows = [
        element(
            "tr",
            element("th", what, scope="row"),
            element("td", count, class_="number"),
            element("td", code(why), class_="why"),
        )
        for what, count, why in totals(found, counts)
    ]
    head = element("caption", "All records that came")
    return Markup(f"<table>{head}<tbody>{joined(rows)}</tbody></table>")


def _pair(number: int, pair: Pair) -> Markup:
    parts = [
        element(
            "h2",
            f"{number}. {visible(pair.stream)} ",
            element("span", code(pair.head), class_=pair.fate),
            id=f"pair-{number}",
        ),
    ]
    heads = [element("th", head, scope="col") for head in ("Record", "PostHog", "Why")]
    rows = [
        _row(None, None, added.event["event"], added.event["properties"], added.why, "added")
        for added in pair.added
    ]
    rows += [
        _row(line.source or None, line.value, line.name, line.made, line.why, "")
        for line in pair.lines()
    ]
    parts.append(
        Markup(
            f"<table><thead><tr>{joined(heads)}</tr></thead><tbody>{joined(rows)}</tbody></table>"
        )
    )
    if pair.empty:
        words = f"Without a value: {', '.join(pair.empty)}"
        parts.append(element("p", visible(words), class_="quiet"))
    return Markup(f'<section aria-labelledby="pair-{number}">{joined(parts)}</section>')


def _row(
    source: str | None, value: object, name: str | None, made: object, why: str, kind: str
) -> Markup:
    return element(
        "tr",
        element("td", *_both(source, value), data_head="Record"),
        element("td", *_both(name, made), data_head="PostHog"),
        element("td", code(visible(why)), class_="why", data_head="Why"),
        class_=kind or ("left" if name is None else ""),
    )


def _both(name: str | None, value: object) -> list[Markup]:
    """Return a name and what it stands for."""
    if name is None:
        return []
    parts = [element("b", element("bdi", visible(name) or NAMELESS))]
    return parts if value is None else [*parts, element("code", value_of(value))]
