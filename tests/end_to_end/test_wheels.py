"""The built packages, installed in a clean environment, work without the repository."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from tests.support.batches import batch
from tests.support.meltano_project import REPOSITORY
from tests.support.processes import SCRIPTS, clean_environment
from tests.support.third_party import run_whole
from tools.sample_export import generate
from tools.sample_export.__main__ import DEMO

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pipeline import Day

_PLUGINS = ("tap-amplitude", "target-posthog")
_PINS = str(REPOSITORY / "constraints.txt")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Both plugins, built."""
    folder = tmp_path_factory.mktemp("wheels")
    for plugin in _PLUGINS:
        source = str(REPOSITORY / plugin)
        _uv(folder, "build", "--wheel", "--build-constraint", _PINS, "--out-dir", ".", source)
    built = [str(wheel) for wheel in folder.glob("*.whl")]
    assert len(built) == len(_PLUGINS)
    return built


@pytest.fixture(scope="module", params=["pinned", "lowest"])
def clean_scripts(
    request: pytest.FixtureRequest, wheels: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The scripts of an environment with the two wheels, and pinned or lowest dependencies."""
    folder = tmp_path_factory.mktemp(request.param)
    _uv(folder, "venv", "--python", sys.executable, "venv")
    install = ("pip", "install", "--python", "venv")
    if request.param == "pinned":
        _uv(folder, *install, "--constraint", _PINS, *wheels)
    else:
        # Direct dependencies are those of the projects, not those of a wheel. Only what has a
        # wheel counts: nobody has to have the compilers that these were built with.
        projects = (f"--requirements={REPOSITORY / name / 'pyproject.toml'}" for name in _PLUGINS)
        _uv(folder, *install, "--resolution=lowest-direct", "--only-binary=:all:", *projects)
        _uv(folder, *install, "--no-deps", *wheels)
    return folder / "venv" / SCRIPTS.name


@pytest.mark.parametrize("plugin", _PLUGINS)
def test_a_wheel_brings_everything_along(plugin: str, clean_scripts: Path, tmp_path: Path) -> None:
    """The command knows its version and its settings; the licence lies with the package."""
    text = _run(clean_scripts / plugin, "--version", folder=tmp_path)
    assert text.startswith(f"{plugin} v{version(plugin)}, ")
    licences = clean_scripts.parent.rglob(f"{plugin.replace('-', '_')}-*.dist-info/**/LICENSE")
    assert [path.read_text()[:11] for path in licences] == ["MIT License"]
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


def test_the_wheels_move_a_day(clean_scripts: Path, day: Day, tmp_path: Path) -> None:
    """From API to API by batch files, with a ledger and workers; records: see the preview."""
    day.scripts = clean_scripts
    day.target["workers"] = 1
    day.tap |= batch(tmp_path / "batches")
    day.run_well()
    day.assert_whole()


def _uv(folder: Path, *arguments: str) -> None:
    _run(SCRIPTS / "uv", *arguments, folder=folder)


def _run(program: Path, *arguments: str, folder: Path) -> str:
    return run_whole([str(program), *arguments], folder)[0]
