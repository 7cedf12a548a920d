"""Meltano projects in a temporary folder, installed and run as a user installs and runs them."""

from __future__ import annotations

import subprocess
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.usage import Command, Failed, users_environment
from tests.support.processes import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REPOSITORY = Path(__file__).resolve().parents[1]
_INSTALL_SECONDS = 600
_QUIET = {
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
    "NO_COLOR": "1",
}


class MeltanoProject:
    """A project whose plugins are those of this repository.

    Args:
        folder: an empty folder.
        definition: its meltano.yml.

    Raises:
        Failed: the plugins cannot be installed.
    """

    def __init__(self, folder: Path, definition: Path) -> None:
        self._folder = folder
        self._definition: dict[str, Any] = yaml.safe_load(definition.read_text())
        for plugins in self._definition["plugins"].values():
            for plugin in plugins:
                plugin["pip_url"] = plugin["pip_url"].replace("./", f"{REPOSITORY}/")
        self.define()
        done = subprocess.run(
            [str(SCRIPTS / "meltano"), "install"],
            cwd=folder,
            env=users_environment() | _QUIET,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"meltano install ended with {done.returncode}:\n{done.stderr}")

    def define(self, change: Callable[[dict[str, Any]], dict[str, Any]] = lambda it: it) -> None:
        """Write meltano.yml, with a change of what the repository's says."""
        text = yaml.safe_dump(change(self._definition), sort_keys=False)
        (self._folder / "meltano.yml").write_text(text)

    def run(self, tap: str, target: str, state: str, settings: Mapping[str, str]) -> Command:
        """Return `meltano run`.

        Args:
            tap: its name.
            target: its name.
            state: a suffix of the state id: a new one has moved nothing yet.
            settings: variables of the environment.
        """
        return Command(
            [str(SCRIPTS / "meltano"), "run", f"--state-id-suffix={state}", tap, target],
            self._folder,
            "meltano",
            {**_QUIET, **settings},
        )

    def version_of(self, package: str) -> str:
        """Return which version of a package the plugins run with."""
        found = self._folder.glob(".meltano/*/*/venv/lib/python*/site-packages")
        known = Distribution.discover(name=package, path=sorted(map(str, found)))
        return ", ".join(sorted({one.version for one in known})) or "none"


def without_batches(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a meltano.yml whose tap writes RECORD messages: no `batch_config` anywhere in it."""
    kept: dict[str, Any] = _without(definition, "batch_config")
    return kept


def _without(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_without(item, name) for item in value]
    if isinstance(value, dict):
        return {key: _without(item, name) for key, item in value.items() if key != name}
    return value
