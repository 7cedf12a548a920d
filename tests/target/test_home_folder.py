"""Paths of settings that begin with `~`: no shell has read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.rows import row
from tests.support.singer import record, schema
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.singer import Json


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a user's home."""
    made = tmp_path / "home"
    made.mkdir()
    return made


def test_rejects_and_summary_go_to_the_users_home(tmp_path: Path, home: Path, config: Json) -> None:
    """They made a folder called `~`, while the check had looked at the home."""
    nobody = row(1, user_id=None, device_id=None, amplitude_id=None)
    own = config | {"rejects_path": "~/rejects", "summary_path": "~/summary.json"}
    messages = [schema(), record(nobody)]
    run_here(own, messages, tmp_path, environment={"HOME": str(home)}).checked()

    (path,) = (home / "rejects").iterdir()
    assert json.loads(path.read_text())["record"]["uuid"] == nobody["uuid"]
    assert json.loads((home / "summary.json").read_text())["rejected"]
    assert not (tmp_path / "~").exists()


def test_a_preview_goes_to_the_users_home(tmp_path: Path, home: Path, config: Json) -> None:
    """With its rejects and its summary."""
    nobody = row(1, user_id=None, device_id=None, amplitude_id=None)
    own = {name: value for name, value in config.items() if name != "rejects_path"}
    messages = [schema(), record(row(2)), record(nobody)]
    environment = {"HOME": str(home)}
    run_here(own | {"preview_path": "~/preview"}, messages, tmp_path, environment=environment)

    assert {path.name.partition("-")[0] for path in (home / "preview").iterdir()} == {
        "preview",
        "rejects",
        "summary.json",
    }
    assert not (tmp_path / "~").exists()
