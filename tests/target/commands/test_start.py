"""Every command of the package starts, and speaks as the target does."""

from __future__ import annotations

from importlib.metadata import distribution
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import start

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = sorted(
    entry.name
    for entry in distribution("target-posthog").entry_points
    if entry.group == "console_scripts"
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_its_configuration_ends_with_one_line(tmp_path: Path, name: str) -> None:
    """As a process, with the log and exit codes of all; what each does is tested without one."""
    with start(name, {}, tmp_path, "--config=none.json") as command:
        ended = command.finish()
    assert (ended.exit_code, ended.stdout) == (2, "")
    (line,) = ended.log_lines
    assert "| ERROR " in line
    assert "none.json cannot be read: there is no such file." in line
