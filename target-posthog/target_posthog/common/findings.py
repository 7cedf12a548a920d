"""What a check found: each line OK, or what is wrong and its remedy. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WIDTH = 100


class Level(str, Enum):
    """How a finding stands."""

    #: Right as it is.
    OK = "OK"
    #: Nothing is wrong, but the user should know of it before the first event.
    NOTE = "NOTE"
    #: The run would stop, or do what nobody wants.
    FIX = "FIX"
    #: Could not be asked now.
    UNKNOWN = "UNKNOWN"


_COLOURS = {Level.OK: "green", Level.NOTE: "cyan", Level.FIX: "red", Level.UNKNOWN: "yellow"}
_SUMS = (
    (Level.FIX, "to fix"),
    (Level.UNKNOWN, "not known"),
    (Level.NOTE, "to look at"),
    (Level.OK, "OK"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: what it belongs to, in a word or two.
        level: how it stands.
        text: what was found, without secrets and record contents.
        remedy: what to do about it; empty when there is nothing to do.
    """

    area: str
    level: Level
    text: str
    remedy: str = ""


def exit_code_of(findings: Iterable[Finding]) -> int:
    """Return 2 if something must be fixed, 1 if something could not be asked, else 0."""
    levels = {finding.level for finding in findings}
    if Level.FIX in levels:
        return 2
    return 1 if Level.UNKNOWN in levels else 0


def as_text(findings: Sequence[Finding], *, colours: bool) -> str:
    """Return the findings for a person: a line for each, and a sum at the end."""
    area_width = max((len(finding.area) for finding in findings), default=0)
    lines = [
        line for finding in findings for line in _lines_of(finding, area_width, colours=colours)
    ]
    return "\n".join([*lines, "", _sum_of(findings)])


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for a machine."""
    return {
        "exit_code": exit_code_of(findings),
        "findings": [{**asdict(finding), "level": finding.level.value} for finding in findings],
    }


def _lines_of(finding: Finding, area_width: int, *, colours: bool) -> list[str]:
    level = f"{finding.level.value:<8}"
    if colours:
        level = click.style(level, fg=_COLOURS[finding.level], bold=finding.level is Level.FIX)
    indent = " " * (8 + area_width + 2)
    text, *more = _wrapped(finding.text, len(indent))
    lines = [f"{level}{finding.area:<{area_width}}  {text}", *(f"{indent}{line}" for line in more)]
    if finding.remedy:
        lines += [f"{indent}{line}" for line in _wrapped(f"→ {finding.remedy}", len(indent))]
    return lines


def _wrapped(text: str, indent: int) -> list[str]:
    # Names of settings and addresses stay whole, so that they can be copied.
    return textwrap.wrap(text, _WIDTH - indent, break_on_hyphens=False, break_long_words=False) or [
        ""
    ]


def _sum_of(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.level for finding in findings)
    parts = [f"{counts[level]} {words}" for level, words in _SUMS if counts[level]]
    return f"{', '.join(parts)}." if parts else "Nothing was looked at."
