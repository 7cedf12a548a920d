"""`target-posthog-check` as a command: what it prints, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.target_in_process import no_waits, run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Finished
    from tests.support.singer import Json


def check(
    folder: Path, config: Json, *arguments: str, environment: dict[str, str] | None = None
) -> Finished:
    """Run the command."""
    with no_waits():
        return run_here(
            config, (), folder, *arguments, program="target-posthog-check", environment=environment
        )


def test_a_sound_configuration_ends_with_0(
    tmp_path: Path, config: Json, capture: PosthogCapture
) -> None:
    """The findings are the output; no event is sent, and no secret shown."""
    finished = check(tmp_path, config).checked()
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("OK      settings   Given: `api_key`, `host`")
    assert any(line.startswith("OK      token      PostHog knows it.") for line in lines)
    assert lines[-1].endswith(" OK.")
    assert "\x1b" not in finished.stdout
    assert capture.events == []
    assert capture.api_key not in finished.stdout + finished.stderr


def test_what_must_be_fixed_ends_with_2_and_what_is_not_known_with_1(
    tmp_path: Path, config: Json
) -> None:
    """As JSON, the same code stands in it."""
    finished = check(tmp_path, {**config, "api_key": "phc_hush", "hots": 1}, "--json")
    told = json.loads(finished.stdout)
    assert (finished.exit_code, told["exit_code"]) == (2, 2)
    assert {one["area"] for one in told["findings"] if one["level"] == "FIX"} == {
        "settings",
        "token",
    }
    assert "hush" not in finished.stdout + finished.stderr
    away = check(tmp_path, {**config, "host": "http://127.0.0.1:1", "max_retry_seconds": 1})
    assert away.exit_code == 1
    assert "not known" in away.stdout.splitlines()[-1]


def test_settings_come_from_variables_too(tmp_path: Path, config: Json) -> None:
    """As Meltano gives them to a command."""
    environment = {f"TARGET_POSTHOG_{name.upper()}": str(value) for name, value in config.items()}
    finished = check(tmp_path, {}, "--config=ENV", environment=environment)
    assert finished.exit_code == 0, finished.stdout


@pytest.mark.parametrize("text", ["", "[1]", "{"], ids=["empty", "a list", "cut off"])
def test_a_file_of_settings_that_cannot_be_read_ends_with_2(tmp_path: Path, text: str) -> None:
    """Nothing can be known without it."""
    path = tmp_path / "settings.json"
    path.write_text(text)
    finished = check(tmp_path, {}, "--config", str(path))
    assert finished.exit_code == 2
    assert "cannot be read" in finished.stderr
    assert "Traceback" not in finished.stderr
