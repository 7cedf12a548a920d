"""The log is what the user needs: the SDK's small talk stays at level DEBUG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.log_config import metrics_to_a_file
from tests.support.rows import row
from tests.support.singer import record, schema, state
from tests.support.target import run_apart

if TYPE_CHECKING:
    from tests.support.target import Target

_SMALL_TALK = ("Skipping parse", "Reader 'target-posthog' completed", "METRIC")


def log_of(target: Target, **environment: str) -> str:
    """Send one event; return the log."""
    messages = [schema(), record(row(1)), state(1)]
    return run_apart(target, messages, environment).checked().stderr


def test_the_log_has_no_small_talk(target: Target) -> None:
    """Neither metrics nor what the SDK does for itself."""
    log = log_of(target)
    assert not any(words in log for words in _SMALL_TALK)
    assert "accepted" in log


def test_level_debug_shows_everything(target: Target) -> None:
    """Whoever looks for a cause wants all that the SDK says."""
    log = log_of(target, TARGET_POSTHOG_LOGLEVEL="DEBUG")
    assert all(words in log for words in _SMALL_TALK)


@pytest.mark.parametrize("variable", ["LOGLEVEL", "TARGET_POSTHOG_LOGLEVEL"])
@pytest.mark.parametrize("level", ["", "7", "trace"])
def test_a_level_that_there_is_not_is_left_out(target: Target, variable: str, level: str) -> None:
    """The SDK fails at it, with a traceback; some set the variable for another program."""
    log = log_of(target, **{variable: level})
    assert f"variable {variable} is ignored: {level!r} is not a valid log level" in log
    assert "accepted" in log


def test_a_streams_name_is_written_out(target: Target) -> None:
    """A tap can send any name: it must not act on a terminal, or look like another line."""
    odd = "x\x1b[31m\x1b[2J\n2026-01-01 | INFO | all is well\u202e"
    order = {"id": 1, "user_id": "ann", "created_at": "2024-01-01"}
    messages = [schema(odd, key="id", id={}, user_id={}, created_at={}), record(order, odd)]
    log = run_apart(target, messages).checked().stderr
    assert r"x\x1b[31m" in log
    assert "\x1b" not in log
    assert "\n2026-01-01 | INFO" not in log


def test_metrics_that_somebody_has_set_up_are_theirs(target: Target) -> None:
    """They arrive where `SINGER_SDK_LOG_CONFIG` sends them."""
    log = log_of(target, **metrics_to_a_file(target.folder, in_the_log_too=False))
    assert "METRIC" in (target.folder / "metrics.log").read_text()
    assert "METRIC" not in log
