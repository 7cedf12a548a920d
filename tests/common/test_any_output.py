"""What a terminal's coding lacks is escaped, and ends nothing."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from target_posthog.common.any_output import escape_what_output_lacks
from tests.support.processes import start

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture


@pytest.mark.parametrize("text", ["plain", "caf\u00e9 \u2192 \U0001f600", "\udc80"])
def test_what_the_coding_lacks_is_written_as_in_json(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that JSON stays JSON."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="latin-1"))
    escape_what_output_lacks()
    print(json.dumps(text, ensure_ascii=False), flush=True)  # noqa: T201 - the subject
    assert json.loads(written.getvalue().decode("latin-1")) == text


@pytest.mark.parametrize(
    ("plugin", "arguments"), [("target-posthog-check", ()), ("tap-amplitude", ("--test",))]
)
def test_a_check_ends_well_where_the_terminal_is_not_utf_8(
    tmp_path: Path, capture: PosthogCapture, plugin: str, arguments: tuple[str, ...]
) -> None:
    """With all of its lines, and the exit code that they mean."""
    config = {"host": capture.url} if plugin.startswith("target") else {}
    environment = {"PYTHONIOENCODING": "latin-1"}
    with start(plugin, config, tmp_path, *arguments, environment=environment) as command:
        finished = command.finish()
    assert finished.exit_code == 2
    assert "\\u2192" in finished.stdout
    assert "to fix" in finished.stdout
    assert "Unicode" not in finished.stderr
