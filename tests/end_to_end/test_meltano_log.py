"""What `meltano run` shows, line by line, with the project's `logging.yaml` and without it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.documents import document
from tests.support.meltano_project import MeltanoProject

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture

_RUN = ("run", "tap-amplitude", "target-posthog")
#: What each line of the log may be: a plugin's with its short head, or Meltano's own.
_PLUGINS = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (INFO   |WARNING|ERROR  ) (tap-amplitude|target-posthog) (.*)"
)
_MELTANOS = re.compile(r"\S+Z \[(info|warning) +\] meltano +\S.*")
_STATE = "Incremental state has been updated"


@pytest.fixture
def settings(capture: PosthogCapture) -> dict[str, str]:
    """The bundled export, sent for real."""
    return {
        "TAP_AMPLITUDE_ARCHIVE_PATH": "tests/fixtures/demo_export.zip",
        "TARGET_POSTHOG_API_KEY": capture.api_key,
        "TARGET_POSTHOG_HOST": capture.url,
    }


def test_each_line_has_a_short_head_and_states_are_not_told(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """The last words of the target are what to do next."""
    end = MeltanoProject(tmp_path).meltano(*_RUN, settings=settings).checked()
    lines = end.stderr.splitlines()
    assert [one for one in lines if not _PLUGINS.fullmatch(one) and not _MELTANOS.match(one)] == []
    assert _STATE not in end.stderr
    assert "logging configuration" not in end.stderr
    said = [match.groups() for one in lines if (match := _PLUGINS.fullmatch(one))]
    assert {plugin for _, plugin, _ in said} == {"tap-amplitude", "target-posthog"}
    assert {level.strip() for level, _, _ in said} == {"INFO"}
    assert said[-1][2].startswith("Next: ")


def test_an_error_of_a_plugin_keeps_its_level_and_meltanos_stay(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """A wrong key is one line among Meltano's own."""
    wrong = {**settings, "TARGET_POSTHOG_API_KEY": "phx_1"}
    end = MeltanoProject(tmp_path).meltano(*_RUN, settings=wrong)
    assert end.exit_code == 1
    errors = [one for one in end.stderr.splitlines() if " ERROR " in one]
    (line,) = errors
    assert "target-posthog" in line
    assert "personal API key" in line
    assert "[error    ] meltano" in end.stderr
    summary = json.loads((tmp_path / "target-posthog-summary.json").read_text())
    assert (summary["exit_code"], summary["exit_class"]) == (2, "fix")


def test_the_documented_switch_gives_whole_json(tmp_path: Path, settings: dict[str, str]) -> None:
    """Every line, with all its fields; a program reads them."""
    (block,) = (
        block
        for block in document("docs/troubleshooting.md").blocks
        if "MELTANO_CLI_LOG_CONFIG" in block.text
    )
    end = MeltanoProject(tmp_path).run(["/bin/sh", "-c", block.text], settings).checked()
    lines = [json.loads(one) for one in end.stderr.splitlines()]
    assert any(_STATE in line["event"] for line in lines)
    (ended,) = (line for line in lines if line["event"].startswith("Done in"))
    assert (ended["name"], ended["level"]) == ("target-posthog", "info")
