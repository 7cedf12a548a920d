"""The ways to move an export that are compared, each as a command to run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from benchmarks.projects import REPOSITORY, MeltanoProject, without_batches
from benchmarks.usage import Command

if TYPE_CHECKING:
    from pathlib import Path


class Way(Protocol):
    """A way to move an export.

    Attributes:
        title: what it is, in the table.
    """

    title: str

    def command(self, export: Path, host: str, name: str) -> Command:
        """Return what moves an export.

        Args:
            export: its .zip.
            host: where the events go.
            name: of the run; one of the same name goes on where that one ended.
        """


def ready(letters: str, scratch: Path) -> tuple[dict[str, Way], MeltanoProject | None]:
    """Install what the ways need.

    Args:
        letters: which ways.
        scratch: an empty folder.

    Returns:
        The ways by letter, and a project in which plugins are installed, if any is.
    """
    ways: dict[str, Way] = {}
    project = None
    if "a" in letters:
        project = _project(scratch / "stock", REPOSITORY / "benchmarks/stock/meltano.yml")
        ways["a"] = Stock(project)
    if "b" in letters:
        ways["b"] = Script("guide", "(b) migration guide, PostHog's SDK")
    if not {"c", "d"}.isdisjoint(letters):
        project = _project(scratch / "ours", REPOSITORY / "meltano.yml")
        ways["c"] = Ours(project, "(c) these plugins, RECORD", batches=False)
        ways["d"] = Ours(project, "(d) these plugins, BATCH", batches=True)
    if "e" in letters:
        ways["e"] = Script("limit", "(e) the machine's limit")
    return {letter: ways[letter] for letter in letters}, project


class Script:
    """A script of this folder.

    Args:
        module: its name.
        title: what it is.
    """

    def __init__(self, module: str, title: str) -> None:
        self.title = title
        self._module = module

    def command(self, export: Path, host: str, name: str) -> Command:  # noqa: ARG002 - it remembers nothing
        """Return what moves an export."""
        arguments = [sys.executable, "-m", f"benchmarks.{self._module}", str(export), host]
        return Command(arguments, REPOSITORY, self._module)


class Stock:
    """`meltano run` with an ordinary tap and target.

    Args:
        project: in which they are installed.
    """

    title = "(a) stock SDK tap and target"

    def __init__(self, project: MeltanoProject) -> None:
        self._project = project

    def command(self, export: Path, host: str, name: str) -> Command:
        """Return what moves an export."""
        settings = {"TAP_STOCK_PATH": str(export), "TARGET_STOCK_HOST": host}
        return self._project.run("tap-stock", "target-stock", name, settings)


class Ours:
    """`meltano run` with this repository's plugins and its meltano.yml.

    Args:
        project: in which they are installed.
        title: what it is.
        batches: as meltano.yml has it, or else with RECORD messages.
    """

    def __init__(self, project: MeltanoProject, title: str, *, batches: bool) -> None:
        self.title = title
        self._project, self._batches = project, batches

    def command(self, export: Path, host: str, name: str) -> Command:
        """Return what moves an export, after writing this way's meltano.yml."""
        if self._batches:
            self._project.define()
        else:
            self._project.define(without_batches)
        settings = {
            "TAP_AMPLITUDE_ARCHIVE_PATH": str(export),
            "TARGET_POSTHOG_HOST": host,
            "TARGET_POSTHOG_API_KEY": "phc_benchmark",
            # Another run must not know which devices this one has joined.
            "TARGET_POSTHOG_LEDGER_URL": f"sqlite:///{name}.db",
        }
        return self._project.run("tap-amplitude", "target-posthog", name, settings)


def _project(folder: Path, definition: Path) -> MeltanoProject:
    folder.mkdir()
    return MeltanoProject(folder, definition)
