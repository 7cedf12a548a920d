"""docs/summary.md names every key of a summary, and what each exit class means."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from target_posthog.common.summary_file import EXIT_CLASSES
from tests.support.documents import document
from tests.support.processes import run_target
from tests.support.rows import row
from tests.support.singer import hours_state, record, schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = document("docs/summary.md")
#: Their keys are not ours, or are named as rules and codes elsewhere.
_OPEN = {"skipped", "rejected", "refused_links_and_group_updates", "warnings"}


def test_the_page_names_every_key_of_a_summary_and_no_other(tmp_path: Path) -> None:
    """In its order, those of `hours` and `speed`, too."""
    messages = [schema(), record(row(1)), hours_state(2, until=2)]
    run_target({"preview_path": "shown"}, messages, tmp_path).checked()
    summary = json.loads((tmp_path / "shown" / "summary.json").read_text())
    named = [
        word.strip().strip("`") for cells in PAGE.rows("## Keys") for word in cells[0].split(",")
    ]
    assert named == list(_keys(summary))


def test_the_page_explains_every_exit_class() -> None:
    """Those of the exit codes, and that of a run that goes on."""
    rows = {cells[0].strip("`"): cells[1] for cells in PAGE.rows("## Exit classes")}
    classes = {kind: str(code) for code, kind in EXIT_CLASSES.items()}
    assert {kind: rows[kind] for kind in classes} == classes
    assert rows["running"] == "null"


def test_the_command_of_the_page_prints_the_exit_class(tmp_path: Path) -> None:
    """As an orchestrator's step would."""
    finished = run_target({"api_key": "phx_1"}, [], tmp_path)
    assert finished.exit_code == 2
    (block,) = (block for block in PAGE.blocks if block.language == "sh")
    printed = subprocess.run(
        ["/bin/sh", "-c", block.text], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert printed.stdout == "fix\n"


def _keys(summary: dict[str, Any]) -> Iterator[str]:
    for name, value in summary.items():
        yield name
        inner = value[0] if isinstance(value, list) else value
        if isinstance(inner, dict) and name not in _OPEN:
            yield from (f"{name}.{one}" for one in inner)
