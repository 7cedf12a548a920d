"""How a range ended: what whoever starts ranges makes of both summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.outcome import outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping

DONE: Mapping[str, Any] = {"exit_class": "done", "exit_code": 0, "error": None, "tap_end": None}
RETRY: Mapping[str, Any] = {"exit_class": "retry", "exit_code": 1, "error": "Stopped by SIGTERM."}
FIX: Mapping[str, Any] = {"exit_class": "fix", "exit_code": 2, "error": "The state is another's."}
LOOK: Mapping[str, Any] = {"exit_class": "look", "exit_code": 3, "error": "Too many rejects."}
RUNNING: Mapping[str, Any] = {"exit_class": "running", "exit_code": None}
EARLY: Mapping[str, Any] = {
    "exit_class": "retry",
    "exit_code": 0,
    "error": None,
    "tap_end": "The tap ended early.",
}


def test_a_range_is_done_if_both_say_so() -> None:
    """There is nothing to tell."""
    outcome = outcome_of(DONE, DONE)
    assert outcome.is_done
    assert (outcome.exit_class, outcome.exit_code, outcome.reason) == ("done", 0, "")


@pytest.mark.parametrize(
    ("target", "tap", "exit_class", "exit_code", "reason"),
    [
        (RETRY, DONE, "retry", 1, "target-posthog: Stopped by SIGTERM."),
        (EARLY, DONE, "retry", 1, "target-posthog: The tap ended early."),
        (EARLY, FIX, "fix", 2, "tap-amplitude: The state is another's."),
        (EARLY, LOOK, "look", 3, "tap-amplitude: Too many rejects."),
        (FIX, RETRY, "fix", 2, "target-posthog: The state is another's."),
        (LOOK, FIX, "fix", 2, "tap-amplitude: The state is another's."),
        (LOOK, RETRY, "look", 3, "target-posthog: Too many rejects."),
        (RUNNING, DONE, "retry", 1, "target-posthog: It was killed."),
        (DONE, RUNNING, "retry", 1, "tap-amplitude: It was killed."),
        (None, DONE, "retry", 1, "target-posthog: It left no summary"),
        (DONE, None, "retry", 1, "tap-amplitude: It left no summary"),
        ({"exit_class": "of a later version"}, DONE, "retry", 1, "target-posthog:"),
        ({}, DONE, "retry", 1, "target-posthog:"),
    ],
)
def test_else_what_only_a_person_can_mend_counts(
    target: Mapping[str, Any] | None,
    tap: Mapping[str, Any] | None,
    exit_class: str,
    exit_code: int,
    reason: str,
) -> None:
    """A retry would not help there; whoever says nothing was killed."""
    outcome = outcome_of(target, tap)
    assert not outcome.is_done
    assert (outcome.exit_class, outcome.exit_code) == (exit_class, exit_code)
    assert outcome.reason.startswith(reason)
