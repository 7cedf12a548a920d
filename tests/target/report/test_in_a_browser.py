"""The report as a person meets it: in a real browser, by eye, by keyboard, on a phone, on paper."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.commands.report import figures_of
from target_posthog.report.drawing import drawn
from target_posthog.report.page import page_of
from tests.support.browser import browser, needs_browser, opened
from tests.support.reports import HOSTILE, USUAL, compare_book, write_book
from tests.support.target_settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = needs_browser

#: The colours of every text that can be seen, and what it stands on; of what is drawn, too.
_COLOURS = """
() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const drawn = element.closest('svg');
    const has = [...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (has && element.tagName !== 'title') {
      const colour = drawn ? style.fill : style.color;
      found.push(['text', element.tagName, numbers(colour).slice(0, 3), behind(element)]);
    } else if (element.matches('.mark-line path, .mark-rect path[fill]')) {
      const colour = style.fill === 'none' ? style.stroke : style.fill;
      if (colour === 'none') continue;
      found.push(['mark', element.tagName, numbers(colour).slice(0, 3), behind(element)]);
    }
  }
  return found;
}
"""


_MARKS = ".mark-line path, .mark-symbol path, .mark-rect path"


def _luminance(colour: list[float]) -> float:
    parts = [part / 255 for part in colour]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast of two colours (WCAG 2.2, relative luminance)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for all tests."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a gap, rejects, hostile names, and what PostHog holds."""
    folder = tmp_path_factory.mktemp("report")
    url = f"sqlite:///{folder}/ledger.db"
    write_book(url, hours=72, names=(*USUAL, *HOSTILE), missing=30)
    compare_book(url, lacking=4)
    rejects = folder / "rejects"
    rejects.mkdir()
    line = {"code": "bad_time", "reason": "No `time`.", "record": {"event_type": HOSTILE[0]}}
    (rejects / "mine.jsonl").write_text(json.dumps(line))
    settings = settings_of(api_key="phc_test", ledger_url=url, rejects_path=str(rejects))
    path = folder / "report.html"
    path.write_text(page_of(figures_of(settings, with_examples=True), drawn), encoding="utf-8")
    return path


def test_it_is_drawn_without_a_word_and_without_a_request(chromium: Browser, report: Path) -> None:
    """No error in the console, no script, nothing from anywhere; each chart has its marks."""
    with opened(chromium, report) as seen:
        assert seen.said == []
        assert seen.asked == [report.as_uri()]
        assert seen.evaluate("document.scripts.length") == 0
        assert seen.evaluate("document.images.length") == 0
        marks = f"one.querySelectorAll({_MARKS!r}).length"
        days, names, speed = seen.each("svg.wide", marks)
        # Exported, accepted and in PostHog: a line each, its legend, and a point for each day.
        assert days == 3 + 3 + 9
        assert names == len(USUAL) + len(HOSTILE)
        assert speed >= 1
        assert min(seen.each("svg.wide", "one.getBoundingClientRect().height")) > 100


def test_the_policy_of_the_page_holds(chromium: Browser, report: Path) -> None:
    """What a name might smuggle in could neither run nor ask."""
    with opened(chromium, report) as seen:
        seen.evaluate(
            "() => { const one = document.createElement('img'); one.src = 'http://127.0.0.1:9/x';"
            "document.body.append(one); const two = document.createElement('script');"
            "two.textContent = 'window.ran = 1'; document.body.append(two); }"
        )
        seen.page.wait_for_timeout(50)
        assert seen.evaluate("window.ran") is None
        assert seen.failed == {"http://127.0.0.1:9/x": "csp"}
        assert any("Content Security Policy" in one for one in seen.said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_and_mark_has_contrast(chromium: Browser, report: Path, scheme: Any) -> None:
    """WCAG AA: 4.5 for texts, 3 for what is drawn."""
    with opened(chromium, report, scheme=scheme) as seen:
        seen.open_tables()
        found = seen.evaluate(_COLOURS)
        back = seen.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")
    assert {kind for kind, *_ in found} == {"text", "mark"}
    assert any(tag == "text" for _, tag, *_ in found)  # in the charts, too
    low = [one for one in found if contrast(one[2], one[3]) < (4.5 if one[0] == "text" else 3)]
    assert low == []


def test_it_can_be_read_by_keyboard(chromium: Browser, report: Path) -> None:
    """The link past the navigation first; what has the focus shows it; tables open by a key."""
    with opened(chromium, report) as seen:
        press = seen.page.keyboard.press
        focused = "[document.activeElement.tagName, document.activeElement.textContent.trim()]"
        press("Tab")
        assert seen.evaluate(focused) == ["A", "Skip to the numbers"]
        assert seen.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert seen.evaluate(outline) == "solid"
        press("Enter")
        assert seen.evaluate("document.activeElement.id") == "main"
        met = []
        for _ in range(40):
            press("Tab")
            tag = seen.evaluate("document.activeElement.tagName")
            if tag == "BODY":
                break
            met.append(tag)
            assert seen.evaluate(outline) == "solid"
            if tag == "SUMMARY":
                press("Enter")
                assert seen.evaluate("document.activeElement.parentElement.open")
        assert met.count("SUMMARY") == 3
        assert met.count("DIV") == seen.evaluate("document.querySelectorAll('.table').length")


def test_its_parts_have_names(chromium: Browser, report: Path) -> None:
    """Landmarks, one first heading, none left out, tables with heads, drawings with words."""
    with opened(chromium, report) as seen:
        tree = seen.each("h1, h2, h3", "Number(one.tagName[1])")
        assert tree[0] == 1
        assert tree.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(tree))
        for landmark in ("banner", "main", "contentinfo", "navigation"):
            assert seen.page.get_by_role(landmark).count() == 1
        assert seen.evaluate("document.documentElement.lang") == "en"
        assert all(seen.each("table", "Boolean(one.caption)"))
        assert all(seen.each("svg", "one.getAttribute('aria-label')"))
        ids = seen.each("[id]", "one.id")
        assert len(ids) == len(set(ids))
        assert {anchor[1:] for anchor in seen.each("a", "one.hash")} <= set(ids)


def test_it_reads_on_a_phone(chromium: Browser, report: Path) -> None:
    """No scrolling sideways, with every table open; the drawings are those for narrow screens."""
    with opened(chromium, report, width=390) as seen:
        seen.open_tables()
        assert seen.evaluate("document.documentElement.scrollWidth") == 390
        assert {
            kind
            for kind, is_shown in seen.each("svg", "[one.classList[0], one.checkVisibility()]")
            if is_shown
        } == {"narrow"}
        heights = seen.each("svg.narrow text", "one.getBoundingClientRect().height")
        # A name may be empty.
        assert min(filter(None, heights)) > 9


def test_it_prints(chromium: Browser, report: Path) -> None:
    """In dark ink on white, whatever the screen is like; without the navigation."""
    with opened(chromium, report, scheme="dark", media="print") as seen:
        assert seen.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert (
            seen.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        )
        assert not seen.page.get_by_role("navigation").is_visible()
        assert seen.page.locator("#days .short table").is_visible()
        pdf = seen.page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert 2 <= pdf.count(b"/Type /Page\n") <= 12


def test_names_are_shown_as_they_are(chromium: Browser, report: Path) -> None:
    """As text, each in a direction of its own."""
    with opened(chromium, report) as seen:
        seen.open_tables()
        names = seen.each("#events th bdi", "one.textContent")
    assert {"</script><script>alert(1)</script>", "n" * 200, HOSTILE[3]} <= set(names)
    assert "\U0001f469\u200d\U0001f469\u200d\U0001f467 \\u202e evil" in names
