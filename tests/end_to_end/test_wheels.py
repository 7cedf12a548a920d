"""The built packages, installed in a clean environment, work without the repository."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.meltano_project import REPOSITORY
from tests.support.processes import SCRIPTS, clean_environment
from tools.sample_export import generate
from tools.sample_export.__main__ import DEMO

if TYPE_CHECKING:
    from pathlib import Path

_PLUGINS = ("tap-amplitude", "target-posthog")


@pytest.fixture(scope="module")
def clean_scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment that holds the two wheels and what they need."""
    folder = tmp_path_factory.mktemp("wheels")
    for plugin in _PLUGINS:
        _uv(folder, "build", "--wheel", "--out-dir", str(folder), str(REPOSITORY / plugin))
    wheels = [str(wheel) for wheel in folder.glob("*.whl")]
    assert len(wheels) == len(_PLUGINS)
    _uv(folder, "venv", "--python", sys.executable, str(folder / "venv"))
    _uv(folder, "pip", "install", "--python", str(folder / "venv"), *wheels)
    return folder / "venv" / SCRIPTS.name


@pytest.mark.parametrize("plugin", _PLUGINS)
def test_a_wheel_brings_everything_along(plugin: str, clean_scripts: Path, tmp_path: Path) -> None:
    """The command knows its version and its settings."""
    version = _run(clean_scripts / plugin, "--version", folder=tmp_path)
    assert version.startswith(f"{plugin} v")
    about = json.loads(_run(clean_scripts / plugin, "--about", "--format=json", folder=tmp_path))
    assert about["name"] == plugin
    assert "api_key" in about["settings"]["properties"]


def test_the_wheels_preview_an_archive(clean_scripts: Path, tmp_path: Path) -> None:
    """The whole way, from an exported file to request bodies, in an empty folder."""
    (tmp_path / "tap.json").write_text(json.dumps({"archive_path": str(DEMO)}))
    (tmp_path / "target.json").write_text(json.dumps({"preview_path": "preview"}))
    with (tmp_path / "messages.jsonl").open("wb") as messages:
        command = [str(clean_scripts / "tap-amplitude"), "--config=tap.json"]
        subprocess.run(
            command, cwd=tmp_path, env=clean_environment(), stdout=messages, check=True, timeout=60
        )
    target = clean_scripts / "target-posthog"
    states = _run(target, "--config=target.json", "--input=messages.jsonl", folder=tmp_path)
    assert states == "", "a preview delivers nothing, so the state must not move"
    [preview] = (tmp_path / "preview").glob("*.jsonl")
    bodies = [json.loads(line) for line in preview.read_bytes().splitlines()]
    uuids = {event["uuid"] for body in bodies for event in body["batch"]}
    assert {row["uuid"] for row in generate().rows} <= uuids


def _uv(folder: Path, *arguments: str) -> None:
    _run(SCRIPTS / "uv", *arguments, folder=folder)


def _run(program: Path, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
