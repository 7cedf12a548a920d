"""`tap | target-posthog-preview` as users run it: it ends early and quietly, and leaves nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.meltano_project import MeltanoProject
from tests.support.processes import SCRIPTS

if TYPE_CHECKING:
    from pathlib import Path

_PIPE = """
set -o pipefail
meltano --environment=demo invoke tap-amplitude |
  meltano --environment=demo invoke target-posthog:preview --rows=2 --json > pairs.json
"""
_PIPE_OF_COMMANDS = """
set -o pipefail
tap-amplitude --config=tap.json | target-posthog-preview --rows=3 --html=page.html
"""


def test_meltano_pipes_a_tap_into_the_preview(tmp_path: Path) -> None:
    """Both end well, the settings are those of a run, and nothing is kept of it."""
    project = MeltanoProject(tmp_path)
    # Else two at once would make Meltano's database.
    project.meltano("state", "list").checked()
    finished = project.run(["bash", "-c", _PIPE]).checked()
    assert "Traceback" not in finished.stderr
    assert "ERROR" not in finished.stderr
    told = json.loads((tmp_path / "pairs.json").read_text())
    assert [pair["fate"] for pair in told["pairs"]] == ["kept", "kept"]
    assert all(one["rule"] for pair in told["pairs"] for one in pair["why"])
    for name in ("output", "target-posthog.db", "rejects"):
        assert not (tmp_path / name).exists()
    files = list(tmp_path.glob(".meltano/batches/*/*.json.gz"))
    assert files, "a preview removed the files of a run"


def test_the_commands_alone_are_piped_too(tmp_path: Path) -> None:
    """RECORD messages; the page is its owner's alone."""
    project = MeltanoProject(tmp_path)
    (tmp_path / "tap.json").write_text('{"archive_path": "tests/fixtures/demo_export.zip"}')
    before = {path.name for path in tmp_path.iterdir()}
    finished = project.run(["bash", "-c", _PIPE_OF_COMMANDS]).checked()
    assert finished.stdout == "page.html: 3 pairs.\n"
    assert "ERROR" not in finished.stderr
    page = tmp_path / "page.html"
    assert page.stat().st_mode & 0o777 == 0o600
    assert page.read_text().count("<section") == 3
    assert {path.name for path in tmp_path.iterdir()} - before == {"page.html"}


def test_without_input_it_says_what_to_give(tmp_path: Path) -> None:
    """An empty input is no error, and is said to be empty."""
    project = MeltanoProject(tmp_path)
    finished = project.run([str(SCRIPTS / "target-posthog-preview")]).checked()
    assert finished.stdout.startswith("There is no record.")
