"""The log is what the user needs: the SDK's small talk stays at level DEBUG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.log_config import metrics_to_a_file
from tests.support.processes import run_target
from tests.support.rows import row
from tests.support.singer import record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.singer import Json

_SMALL_TALK = ("Skipping parse", "Reader 'target-posthog' completed", "METRIC")


def log_of(folder: Path, config: Json, **environment: str) -> str:
    """Send one event; return the log."""
    messages = [schema(), record(row(1)), state(1)]
    return run_target(config, messages, folder, environment=environment).checked().stderr


def test_the_log_has_no_small_talk(tmp_path: Path, config: Json) -> None:
    """Neither metrics nor what the SDK does for itself."""
    log = log_of(tmp_path, config)
    assert not any(words in log for words in _SMALL_TALK)
    assert "accepted" in log


def test_level_debug_shows_everything(tmp_path: Path, config: Json) -> None:
    """Whoever looks for a cause wants all that the SDK says."""
    log = log_of(tmp_path, config, TARGET_POSTHOG_LOGLEVEL="DEBUG")
    assert all(words in log for words in _SMALL_TALK)


def test_metrics_that_somebody_has_set_up_are_theirs(tmp_path: Path, config: Json) -> None:
    """They arrive where `SINGER_SDK_LOG_CONFIG` sends them."""
    log = log_of(tmp_path, config, **metrics_to_a_file(tmp_path, in_the_log_too=False))
    assert "METRIC" in (tmp_path / "metrics.log").read_text()
    assert "METRIC" not in log
