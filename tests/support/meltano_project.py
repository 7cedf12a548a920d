"""A copy of this project in which Meltano runs as a user runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import SCRIPTS, Finished, clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).parents[2]
_DEMO = "tests/fixtures/demo_export.zip"
_INSTALLED = ("extractors", "loaders")
_SECONDS = 180.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class MeltanoFolder:
    """A folder in which Meltano runs; the plugins' commands are on its path.

    Args:
        folder: The project's folder.
        definition: The text of its meltano.yml.
    """

    def __init__(self, folder: Path, definition: str) -> None:
        self.folder = folder
        (folder / "meltano.yml").write_text(definition)

    def meltano(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Finished:
        """Run Meltano in the project.

        Args:
            arguments: Of its command line.
            settings: Variables of the environment, as `.env` or a scheduler gives them.
        """
        variables = {
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "NO_COLOR": "1",
            "PATH": os.pathsep.join([str(SCRIPTS), os.environ["PATH"]]),
            **(settings or {}),
        }
        done = subprocess.run(
            [str(SCRIPTS / "meltano"), *arguments],
            cwd=self.folder,
            env=clean_environment() | variables,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
        out, err = (_COLOUR.sub("", text.decode()) for text in (done.stdout, done.stderr))
        return Finished(done.returncode, out, err)


class MeltanoProject(MeltanoFolder):
    """A project folder with meltano.yml, both plugins and the demo export.

    Args:
        folder: Where to make it; its plugins are the repository's own.
        installed: A project whose installed plugins it shares; they are installed when there is
            none, which takes the time and the network that it takes a user.
    """

    def __init__(self, folder: Path, installed: MeltanoProject | None = None) -> None:
        text = (REPOSITORY / "meltano.yml").read_text()
        assert text.count("pip_url: -e ./") == 2
        own = text.replace("pip_url: -e ./", f"pip_url: -e {REPOSITORY}/")
        super().__init__(folder, own)
        (folder / _DEMO).parent.mkdir(parents=True)
        shutil.copy(REPOSITORY / _DEMO, folder / _DEMO)
        (folder / ".meltano").mkdir()
        if installed is None:
            end = self.meltano("install")
            assert end.exit_code == 0, end.stderr
            return
        for kind in _INSTALLED:
            (folder / ".meltano" / kind).symlink_to(installed.folder / ".meltano" / kind)
