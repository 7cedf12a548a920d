"""A preview on the screen: colours in a terminal, plain text elsewhere."""

from __future__ import annotations

import os
import sys
from io import StringIO
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from target_posthog.preview.pairs import NAMELESS
from target_posthog.preview.texts import totals, value_of, visible

if TYPE_CHECKING:
    from typing import TextIO

    from target_posthog.preview.found import Found
    from target_posthog.preview.pairs import Line, Pair
    from target_posthog.preview.wanted import Wanted
    from target_posthog.progress.counts import Counts

#: How wide it is where nobody says how wide it may be.
_WIDTH = 128
#: Longer values are cut; the page and the JSON have them whole.
_LONGEST = 200
#: How the width is shared out.
_SHARES = (9, 9, 7)
_STYLES = {"kept": "bold green", "skipped": "bold yellow", "rejected": "bold red"}


def show(found: Found, counts: Counts, file: TextIO | None = None) -> None:
    """Print the pairs, and what became of all records; to standard output by default."""
    file = file or sys.stdout
    if file.isatty():
        _print(
            Console(file=file, no_color="NO_COLOR" in os.environ, highlight=False), found, counts
        )
        return
    plain = StringIO()
    _print(Console(file=plain, width=_WIDTH, color_system=None), found, counts)
    file.writelines(f"{line.rstrip()}\n" for line in plain.getvalue().splitlines())


def _print(console: Console, found: Found, counts: Counts) -> None:
    for number, pair in enumerate(found.pairs, 1):
        _show_pair(console, number, pair)
    if not found.pairs:
        console.print(f"{_none_of(found.wanted)}\n")
    table = _table()
    for what, count, why in totals(found, counts):
        table.add_row(Text(what), Text(f"{count:,}", justify="right"), Text(why))
    console.print(table)


def _none_of(wanted: Wanted) -> str:
    if wanted.hour is None and wanted.event is None and wanted.user is None:
        return "There is no record."
    return "No record matches --hour, --event and --user. Names and ids must be exact."


def _show_pair(console: Console, number: int, pair: Pair) -> None:
    head = Text(f"{number}. {visible(pair.stream)} ", "bold")
    console.print(head + Text(visible(pair.head), _STYLES[pair.fate]))
    table = _table("record", "PostHog", "why")
    for added in pair.added:
        table.add_row(
            Text("+"),
            _cell(added.event["event"], added.event["properties"]),
            Text(added.why, "italic"),
        )
    for line in pair.lines():
        style = "dim" if line.name is None else ""
        table.add_row(
            _source(line, style), _cell(line.name, line.made), Text(visible(line.why), style)
        )
    console.print(table)
    if pair.empty:
        fields = visible(", ".join(pair.empty))
        console.print(Text(f"  Without a value: {fields}", "dim"))
    console.print()


def _table(*heads: str) -> Table:
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(heads), expand=bool(heads)
    )
    for head, share in zip(heads or ("", "", ""), _SHARES, strict=True):
        ratio = share if heads else None
        table.add_column(head, overflow="fold", header_style="underline", ratio=ratio)
    return table


def _source(line: Line, style: str) -> Text:
    if line.value is None:
        return Text(visible(line.source), style)
    return Text(f"{visible(line.source)} = {_short(line.value)}", style)


def _cell(name: str | None, made: Any) -> Text:
    if name is None:
        return Text("")
    cell = Text(visible(name) or NAMELESS, "cyan")
    return cell if made is None else cell + Text(f" = {_short(made)}", "default")


def _short(value: Any) -> str:
    text = value_of(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
