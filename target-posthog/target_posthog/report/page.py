"""The whole page: one file, without scripts, that asks for nothing from anywhere."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from target_posthog.common.quantities import count
from target_posthog.report.html import Markup, code, element, joined, text, whole_page
from target_posthog.report.sections import sections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.report.figures import Figures
    from target_posthog.report.sections import Draw

_TITLE = "Migration report"


def page_of(figures: Figures, draw: Draw) -> str:
    """Return the page."""
    style = files("target_posthog.report").joinpath("page.css").read_text(encoding="utf-8")
    parts = list(sections(figures, draw))
    links = joined(
        element("li", element("a", heading, href=f"#{anchor}")) for anchor, heading, _ in parts
    )
    body = joined(
        [
            element("a", "Skip to the numbers", class_="skip", href="#main"),
            element(
                "header",
                element("h1", _TITLE),
                *_origin(figures),
                Markup(f'<nav aria-label="Sections"><ul>{links}</ul></nav>'),
            ),
            Markup('<main id="main" tabindex="-1">'),
            Markup(f'<ul class="findings">\n{joined(_findings(figures))}\n</ul>'),
            *(
                Markup(
                    f'<section id="{anchor}" aria-labelledby="of-{anchor}">\n'
                    f'<h2 id="of-{anchor}">{text(heading)}</h2>\n{content}\n</section>'
                )
                for anchor, heading, content in parts
            ),
            Markup("</main>"),
            element("footer", element("p", _FOOT, class_="quiet")),
        ]
    )
    return whole_page(_TITLE, style, body)


_FOOT = (
    "Made by target-posthog-report out of the book in the ledger. The page is whole: it holds no "
    "script, and asks for nothing from the network."
)


def _origin(figures: Figures) -> Iterator[Markup]:
    hours = figures.hours
    stretch = f"Export hours {hours.first}Z to {hours.last}Z. " if hours.first else ""
    yield element("p", f"{stretch}Sent to {figures.host}, project {figures.project}.")
    yield element("p", f"Made {figures.made_at:%Y-%m-%d %H:%M} UTC.", class_="quiet")


def _findings(figures: Figures) -> Iterator[Markup]:
    """Yield what the reader should know first."""
    totals, hours = figures.totals, figures.hours
    if totals.open:
        yield _finding(
            "bad", "Not accounted for", f"{count(totals.open, 'record')} without a fate."
        )
    else:
        words = f"{count(totals.exported, 'record')} exported, each with its fate."
        yield _finding("good", "Accounted for", words)
    if hours.gaps:
        yield _finding(
            "bad", "Hours are missing", f"{count(len(hours.gaps), 'gap')} between the hours."
        )
    elif hours.lines:
        yield _finding("good", "No gaps", "Every hour between the first and the last is there.")
    if hours.overlaps:
        yield _finding("bad", "Hours came twice", f"{len(hours.overlaps):,} came in two ways.")
    yield _in_posthog(figures)
    if rejected := totals.rejected.total():
        yield _finding("bad", "Rejected", f"{count(rejected, 'record')}: see the codes below.")


def _in_posthog(figures: Figures) -> Markup:
    if figures.asked_at is None:
        words = (
            "PostHog was not asked what it holds. `target-posthog-reconcile` asks, and this report "
            "shows it then."
        )
        return _finding("", "Not compared", words)
    first, last = figures.asked_at
    when = f"asked {first}" if first == last else f"asked from {first} to {last}"
    asked = [day for day in figures.days if day.held is not None]
    missing, extra = sum(day.missing for day in asked), sum(day.extra for day in asked)
    if not missing and not extra:
        compared = sum(day.compared for day in asked)
        events = count(compared, "accepted event")
        words = f"PostHog holds the {events} that it was asked about ({when})."
        return _finding("good", "Compared", words)
    lacking = count(missing, "event")
    words = f"By day and event, PostHog lacks {lacking} and has {extra:,} more ({when})."
    return _finding("bad", "Differs", words)


def _finding(kind: str, head: str, words: str) -> Markup:
    attributes = {"class_": kind} if kind else {}
    return element("li", element("b", f"{head}. "), code(words), **attributes)
