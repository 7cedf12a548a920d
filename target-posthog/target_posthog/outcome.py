"""How a range ended, out of the summaries of its tap and its target. Pure.

For whatever starts ranges: it sees only that Meltano ended with 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from target_posthog.common.summary_file import EXIT_CLASSES, RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODES: Mapping[str, int] = MappingProxyType({kind: code for code, kind in EXIT_CLASSES.items()})
#: Which class counts when both differ: what only a person can fix goes first.
_ORDER = ("done", "retry", "look", "fix")
_KILLED = "It was killed."
_NO_SUMMARY = "It left no summary: it did not begin, or was killed."


@dataclass(frozen=True)
class Outcome:
    """How a range ended.

    Attributes:
        exit_class: `done`, `retry`, `look` or `fix`.
        reason: what the plugin says that tells so, and what to do next; empty when it is done.
    """

    exit_class: str
    reason: str = ""

    @property
    def exit_code(self) -> int:
        """The exit code of the plugins that means the same."""
        return _CODES[self.exit_class]

    @property
    def is_done(self) -> bool:
        """Whether every hour of the range is where it belongs."""
        return self.exit_class == "done"


def outcome_of(target: Mapping[str, Any] | None, tap: Mapping[str, Any] | None) -> Outcome:
    """Return how a range ended whose processes are gone.

    Both summaries are JSON; None if there is no file.
    """
    ends = [_end_of("target-posthog", target), _end_of("tap-amplitude", tap)]
    return max(ends, key=lambda end: _ORDER.index(end.exit_class))


def _end_of(plugin: str, summary: Mapping[str, Any] | None) -> Outcome:
    if summary is None:
        return Outcome("retry", f"{plugin}: {_NO_SUMMARY}")
    exit_class = str(summary.get("exit_class"))
    if exit_class == "done":
        return Outcome("done")
    if exit_class == RUNNING:
        return Outcome("retry", f"{plugin}: {_KILLED}")
    reason = summary.get("error") or summary.get("tap_end") or ""
    return Outcome(exit_class if exit_class in _CODES else "retry", f"{plugin}: {reason}".strip())
