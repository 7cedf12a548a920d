"""HTML out of texts that may hold anything: names of events are their senders'. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from target_posthog.common.quantities import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: What no page should hold: controls, halves of characters, and what turns the text around it.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
#: A table of so many rows is printed, even when it is not open on the screen.
_SHORT = 60


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


class Column(NamedTuple):
    """A column of a table: what stands above it, and whether it holds numbers."""

    head: str
    is_number: bool = True


def text(value: object) -> Markup:
    r"""Return a text as HTML; what is unfit for a page is written out, such as `\x1b`."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, int):
        return Markup(f"{value:,}")
    return Markup(escape(_UNFIT.sub(_written_out, str(value))))


def name(value: str) -> Markup:
    """Return a name as HTML: in a direction of its own, and one that is empty can be seen."""
    return Markup(f"<bdi>{text(value)}</bdi>" if value.strip() else f"<code>“{text(value)}”</code>")


def code(words: str) -> Markup:
    """Return a text whose words in backticks are code."""
    parts = words.split("`")
    return Markup(
        "".join(
            f"<code>{text(part)}</code>" if at % 2 else text(part) for at, part in enumerate(parts)
        )
    )


def element(tag: str, *children: object, **attributes: str) -> Markup:
    """Return an element; an attribute's name may end with `_`, and has `-` for `_`."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items()
    )
    return Markup(f"<{tag}{shown}>{''.join(map(text, children))}</{tag}>")


def joined(parts: Iterable[object]) -> Markup:
    """Return parts side by side, each in a line."""
    return Markup("\n".join(map(text, parts)))


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table whose first column names its rows.

    It scrolls by itself where it is too wide, and can be reached by the keyboard for that.
    """
    classes = ["number" if column.is_number else "" for column in columns]
    head = "".join(
        _cell("th", column.head, kind, "col") for column, kind in zip(columns, classes, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            _cell("td" if place else "th", value, kind, "" if place else "row")
            for place, (value, kind) in enumerate(zip(row, classes, strict=True))
        )
        + "</tr>"
        for row in rows
    )
    inner = (
        f"<caption>{text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>"
    )
    return Markup(
        f'<div class="table" role="region" tabindex="0" aria-label="{text(caption)}">\n'
        f"<table>{inner}</table></div>"
    )


def behind(rows: int, what: str, content: Markup) -> Markup:
    """Return a table that is shown on demand; `what` is what each of its rows stands for."""
    kind = ' class="short"' if rows <= _SHORT else ""
    summary = f"<summary>Table of {count(rows, what)}</summary>"
    return Markup(f"<details{kind}>{summary}\n{content}\n</details>")


def whole_page(title: str, style: str, body: Markup) -> str:
    """Return a page that asks for nothing from anywhere.

    Its one style is known by a digest, so nothing that the body holds could be another.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _cell(tag: str, value: object, kind: str, scope: str) -> str:
    attributes = (f' class="{kind}"' if kind else "") + (f' scope="{scope}"' if scope else "")
    return f"<{tag}{attributes}>{text(value)}</{tag}>"


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
