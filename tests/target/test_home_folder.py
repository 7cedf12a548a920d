"""Paths of settings that begin with `~`: no shell has read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.rows import row
from tests.support.singer import record, schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.singer import Json
    from tests.support.target import Target


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a user's home."""
    made = tmp_path / "home"
    made.mkdir()
    return made


def test_rejects_and_summary_go_to_the_users_home(target: Target, home: Path) -> None:
    """They made a folder called `~`, while the check had looked at the home."""
    nobody = row(1, user_id=None, device_id=None, amplitude_id=None)
    own: Json = {"rejects_path": "~/rejects", "summary_path": "~/summary.json"}
    target.run([schema(), record(nobody)], {"HOME": str(home)}, **own).checked()

    (path,) = (home / "rejects").iterdir()
    assert json.loads(path.read_text())["record"]["uuid"] == nobody["uuid"]
    assert json.loads((home / "summary.json").read_text())["rejected"]
    assert not (target.folder / "~").exists()


def test_a_preview_goes_to_the_users_home(target: Target, home: Path) -> None:
    """With its rejects and its summary."""
    nobody = row(1, user_id=None, device_id=None, amplitude_id=None)
    messages = [schema(), record(row(2)), record(nobody)]
    target.run(messages, {"HOME": str(home)}, preview_path="~/preview")

    assert {path.name.partition("-")[0] for path in (home / "preview").iterdir()} == {
        "preview",
        "rejects",
        "summary.json",
    }
    assert not (target.folder / "~").exists()
