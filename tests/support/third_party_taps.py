"""Other people's taps, as the documentation installs and sets them; each in its own environment."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.documents import document
from tests.support.processes import SCRIPTS, clean_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.singer import Json

_SECONDS = 120


class Snippet:
    """A YAML block of docs/other-taps.md: one tap with its settings, and the target's.

    Args:
        tap: the tap's name.
    """

    def __init__(self, tap: str) -> None:
        blocks = document("docs/other-taps.md").blocks
        shown = [yaml.safe_load(one.text)["plugins"] for one in blocks if one.language == "yaml"]
        with_taps = [one for one in shown if "extractors" in one]
        plugins: Any = next(one for one in with_taps if one["extractors"][0]["name"] == tap)
        (extractor,), (loader,) = plugins["extractors"], plugins["loaders"]
        self.package: str = extractor["pip_url"]
        self.executable: str = extractor["executable"]
        self.takes_catalog: bool = "catalog" in extractor["capabilities"]
        self.tap: Json = extractor["config"]
        self.target: Json = loader["config"]


def installed(environment: Path, package: str) -> Path:
    """Install a package into an environment of its own.

    Args:
        environment: a folder that is not there yet.
        package: as `pip_url` of the documentation names it; more than one has a blank between.

    Returns:
        The folder of its commands, its Python among them.
    """
    uv = [str(SCRIPTS / "uv"), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(environment)], check=True)
    commands = environment / "bin"
    install = [*uv, "pip", "install", "--python", str(commands / "python"), *shlex.split(package)]
    subprocess.run(install, check=True, timeout=_SECONDS)
    return commands


class ThirdPartyTap:
    """A tap that is installed from its package.

    Args:
        environment: a folder that is not there yet.
        snippet: how the documentation installs and sets it.
    """

    def __init__(self, environment: Path, snippet: Snippet) -> None:
        self.snippet = snippet
        self._command = str(installed(environment, snippet.package) / snippet.executable)

    def run(self, settings: Json, folder: Path) -> list[str]:
        """Return the lines that the tap writes of all that it finds, as Meltano runs it.

        Raises:
            AssertionError: it failed.
        """
        config, selected = folder / "tap.json", folder / "catalog.json"
        config.write_text(json.dumps(settings))
        if not self.snippet.takes_catalog:
            return self._output(folder, "--config", str(config)).splitlines()
        catalog = json.loads(self._output(folder, "--config", str(config), "--discover"))
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                entry["metadata"]["selected"] = True
        selected.write_text(json.dumps(catalog))
        lines = self._output(folder, "--config", str(config), "--catalog", str(selected))
        return lines.splitlines()

    def _output(self, folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            [self._command, *arguments],
            cwd=folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
