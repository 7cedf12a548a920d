"""Folders in which Meltano runs as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

import yaml

from tests.support import forked
from tests.support.forked import Forked
from tests.support.processes import SCRIPTS, Finished, clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, Any]

REPOSITORY = Path(__file__).parents[2]
MELTANO = str(SCRIPTS / "meltano")
_SECONDS = 200.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def own_definition() -> Json:
    """Return the project's own meltano.yml; its plugins are the commands on the path."""
    return uninstalled(yaml.safe_load((REPOSITORY / "meltano.yml").read_text()))


def uninstalled(definition: Json) -> Json:
    """Take out what makes Meltano install plugins; it then finds the commands on the path."""
    for plugins in definition["plugins"].values():
        for plugin in plugins:
            plugin.pop("pip_url", None)
    return definition


class MeltanoProject:
    """A project of Meltano; the commands of both plugins are on its path.

    Args:
        folder: Where it is; what the demo reads is linked there, and how Meltano is to log.
        definition: Of its meltano.yml; by default the project's own.
        commands: A folder of further commands.
    """

    def __init__(
        self, folder: Path, definition: Json | None = None, commands: Path = SCRIPTS
    ) -> None:
        self.folder = folder
        self._path = os.pathsep.join([str(commands), str(SCRIPTS), os.environ["PATH"]])
        self.define(own_definition() if definition is None else definition)
        (folder / "tests").symlink_to(REPOSITORY / "tests")
        if definition is None:
            (folder / "logging.yaml").symlink_to(REPOSITORY / "logging.yaml")

    @property
    def definition(self) -> Json:
        """What stands in its meltano.yml."""
        whole: Json = yaml.safe_load((self.folder / "meltano.yml").read_text())
        return whole

    def define(self, definition: Json) -> None:
        """Write its meltano.yml."""
        text = yaml.safe_dump(definition, sort_keys=False)
        (self.folder / "meltano.yml").write_text(text)

    def meltano(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Finished:
        """Run Meltano in the project.

        Args:
            arguments: Of its command line.
            settings: Variables of the environment, as `.env` or a scheduler gives them.
        """
        return self.run([MELTANO, *arguments], settings)

    def run(self, command: Sequence[str], settings: Mapping[str, str] | None = None) -> Finished:
        """Run a command in the project's folder.

        Meltano is forked, and so are the plugins that it or the command finds on the path: their
        own starts are nobody's subject here.
        """
        variables = self.environment(settings)
        path = os.pathsep.join([str(forked.commands()), variables["PATH"]])
        begin: Any = Forked if command[0] == MELTANO else subprocess.Popen
        with TemporaryFile() as out, TemporaryFile() as err:
            process = begin(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.folder,
                env={**variables, **forked.environment(), "PATH": path},
            )
            try:
                code = process.wait(_SECONDS)
            finally:
                process.kill()
                process.wait()
            return Finished(code, *map(_text, (out, err)))

    def environment(self, settings: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return all variables that a command in the project has."""
        return clean_environment() | {
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "NO_COLOR": "1",
            "PATH": self._path,
            **(settings or {}),
        }


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return _COLOUR.sub("", file.read().decode())
