"""A real browser without a window: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
#: It speaks to nobody: neither of itself nor for the page.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")


@dataclass
class Seen:
    """A page that is open, and what it said and asked for.

    Attributes:
        page: the page.
        said: what the console shows, and errors of the page.
        asked: the addresses of all requests.
        failed: why requests were not made or failed, by address.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    failed: dict[str, str | None] = field(default_factory=dict)

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        return self.page.evaluate(script)

    def each(self, selector: str, value: str) -> list[Any]:
        """Return the value of an expression for `one`, each element that a selector finds."""
        found: list[Any] = self.page.eval_on_selector_all(
            selector, f"(all) => all.map((one) => {value})"
        )
        return found

    def open_tables(self) -> None:
        """Open what is shown on demand."""
        self.each("details", "one.open = true")


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser with an empty profile."""
    # Loaded only here: every test process asks this module what is slow.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        yield started
        started.close()


@contextmanager
def opened(
    browser: Browser,
    file: Path,
    *,
    width: int = 1000,
    scheme: Literal["light", "dark"] = "light",
    media: Literal["print", "screen"] = "screen",
) -> Iterator[Seen]:
    """Open a file of this machine."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.emulate_media(media=media, color_scheme=scheme)
    seen = Seen(page)
    page.on("console", lambda message: seen.said.append(message.text))
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("requestfailed", lambda request: seen.failed.update({request.url: request.failure}))
    page.goto(file.as_uri())
    yield seen
    context.close()
