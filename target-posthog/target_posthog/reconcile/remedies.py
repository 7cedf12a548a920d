"""The commands that send hours again. Pure.

With both dates and `--no-state-update` a run reads just these hours, neither reads nor changes the
state, and writes their lines of the book anew. What PostHog has already it keeps once.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from target_posthog.books.whole import hour_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

#: Nobody types more commands than these: the stretches that lie nearest are sent as one.
_MOST = 12


@dataclass(frozen=True)
class Stretch:
    """Hours to send again: the first, `2024-01-31T05`, and the one behind the last."""

    first: str
    end: str

    def holds(self, hour: str) -> bool:
        """Return True if an hour is one of them."""
        return self.first <= hour < self.end


def stretches_of(hours: Iterable[str]) -> list[Stretch]:
    """Return a few stretches that hold these hours."""
    ordered = sorted(filter(_is_hour, set(hours)))
    if not ordered:
        return []
    gaps = [
        (before, behind) for before, behind in pairwise(ordered) if hour_after(before) != behind
    ]
    widest = sorted(gaps, key=_width, reverse=True)[: _MOST - 1]
    cuts = sorted(widest)
    firsts = [ordered[0], *(behind for _, behind in cuts)]
    lasts = [*(before for before, _ in cuts), ordered[-1]]
    return [Stretch(first, hour_after(last)) for first, last in zip(firsts, lasts, strict=True)]


def command_for(stretch: Stretch, environment: Mapping[str, str]) -> str:
    """Return the command that sends hours again."""
    dates = (
        f"TAP_AMPLITUDE_START_DATE={stretch.first}:00:00Z "
        f"TAP_AMPLITUDE_END_DATE={stretch.end}:00:00Z"
    )
    plugins = f"tap-amplitude {_loader(environment)}"
    return f"{dates} {_meltano(environment)} run --no-state-update {plugins}"


def command_for_all(environment: Mapping[str, str], tap: str = "TAP") -> str:
    """Return the command that sends again all that a tap has; who runs another knows its name."""
    return f"{_meltano(environment)} run --full-refresh {tap} {_loader(environment)}"


def _meltano(environment: Mapping[str, str]) -> str:
    name = environment.get("MELTANO_ENVIRONMENT", "")
    return f"meltano --environment={shlex.quote(name)}" if name else "meltano"


def _loader(environment: Mapping[str, str]) -> str:
    return shlex.quote(environment.get("MELTANO_LOADER_NAME") or "target-posthog")


def _is_hour(text: str) -> bool:
    """Return True if a text is an hour with one behind it; PostHog may hold anything there."""
    try:
        hour_after(text)
    except (ValueError, OverflowError):
        return False
    return True


def _width(gap: Sequence[str]) -> timedelta:
    return datetime.fromisoformat(gap[1]) - datetime.fromisoformat(gap[0])
