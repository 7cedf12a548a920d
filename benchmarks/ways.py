"""The ways to move rows that are compared, each as a command to run."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Protocol

from benchmarks.export import export, exported_row
from benchmarks.inputs import Input
from benchmarks.orders import MAPPING, STREAM, order_number, orders
from benchmarks.projects import REPOSITORY, MeltanoProject, without_batches
from benchmarks.usage import Command
from tests.support.processes import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_API_KEY = "phc_benchmark"


class Way(Protocol):
    """A way to move rows.

    Attributes:
        title: what it is, in the table.
        moves: the rows.
    """

    title: str
    moves: Input

    def command(self, source: Path, host: str, name: str) -> Command:
        """Return what moves the rows.

        Args:
            source: the file with the rows.
            host: where the events go.
            name: of the run; one of the same name goes on where that one ended.
        """


def exports(cache: Path, events_of_an_hour: int) -> Input:
    """Return exports of Amplitude, kept in `cache`."""
    made = partial(export, cache=cache, events_of_an_hour=events_of_an_hour)
    return Input(made, exported_row)


def records(cache: Path) -> Input:
    """Return messages of an ordinary tap, kept in `cache`."""
    return Input(partial(orders, cache=cache), order_number)


def ready(
    letters: str, scratch: Path, exported: Input, other: Input
) -> tuple[dict[str, Way], MeltanoProject | None]:
    """Install what the ways need.

    Args:
        letters: which ways.
        scratch: an empty folder.
        exported: exports of Amplitude.
        other: messages of an ordinary tap.

    Returns:
        The ways by letter, and a project in which plugins are installed, if any is.
    """
    ways: dict[str, Way] = {}
    project = None
    if "a" in letters:
        project = _project(scratch / "stock", REPOSITORY / "benchmarks/stock/meltano.yml")
        ways["a"] = Stock(project, exported)
    if "b" in letters:
        ways["b"] = Script("guide", "(b) migration guide, PostHog's SDK", exported)
    if not {"c", "d"}.isdisjoint(letters):
        project = _project(scratch / "ours", REPOSITORY / "meltano.yml")
        ways["c"] = Ours(project, "(c) these plugins, RECORD", exported, batches=False)
        ways["d"] = Ours(project, "(d) these plugins, BATCH", exported, batches=True)
    if "e" in letters:
        ways["e"] = Script("limit", "(e) the machine's limit", exported)
    if not {"f", "g"}.isdisjoint(letters):
        folder = scratch / "other"
        folder.mkdir()
        ways["f"] = PlainTarget(folder, other)
        ways["g"] = OtherTaps(folder, other)
    return {letter: ways[letter] for letter in letters}, project


class Script:
    """A script of this folder.

    Args:
        module: its name.
        title: what it is.
        moves: the rows.
    """

    def __init__(self, module: str, title: str, moves: Input) -> None:
        self.title, self.moves = title, moves
        self._module = module

    def command(self, source: Path, host: str, name: str) -> Command:  # noqa: ARG002 - it remembers nothing
        """Return what moves an export."""
        arguments = [sys.executable, "-m", f"benchmarks.{self._module}", str(source), host]
        return Command(arguments, REPOSITORY, self._module)


class Stock:
    """`meltano run` with an ordinary tap and target.

    Args:
        project: in which they are installed.
        moves: the rows.
    """

    title = "(a) stock SDK tap and target"

    def __init__(self, project: MeltanoProject, moves: Input) -> None:
        self._project, self.moves = project, moves

    def command(self, source: Path, host: str, name: str) -> Command:
        """Return what moves an export."""
        settings = {"TAP_STOCK_PATH": str(source), "TARGET_STOCK_HOST": host}
        return self._project.run("tap-stock", "target-stock", name, settings)


class Ours:
    """`meltano run` with this repository's plugins and its meltano.yml.

    Args:
        project: in which they are installed.
        title: what it is.
        moves: the rows.
        batches: as meltano.yml has it, or else with RECORD messages.
    """

    def __init__(self, project: MeltanoProject, title: str, moves: Input, *, batches: bool) -> None:
        self.title, self.moves = title, moves
        self._project, self._batches = project, batches

    def command(self, source: Path, host: str, name: str) -> Command:
        """Return what moves an export, after writing this way's meltano.yml."""
        if self._batches:
            self._project.define()
        else:
            self._project.define(without_batches)
        settings = {
            "TAP_AMPLITUDE_ARCHIVE_PATH": str(source),
            "TARGET_POSTHOG_HOST": host,
            "TARGET_POSTHOG_API_KEY": _API_KEY,
            # Another run must not know which devices this one has joined.
            "TARGET_POSTHOG_LEDGER_URL": f"sqlite:///{name}.db",
        }
        return self._project.run("tap-amplitude", "target-posthog", name, settings)


class PlainTarget:
    """An ordinary target that reads messages from standard input, without Meltano.

    Args:
        folder: for its configuration.
        moves: the messages.
    """

    title = "(f) other taps, plain SDK target"

    def __init__(self, folder: Path, moves: Input) -> None:
        self._folder, self.moves = folder, moves

    def command(self, source: Path, host: str, name: str) -> Command:
        """Return what moves the messages, after writing its configuration."""
        config = _written(self._folder / f"plain-{name}.json", {"host": host})
        arguments = [sys.executable, "-m", "benchmarks.plain", "--config", str(config)]
        return Command(arguments, REPOSITORY, "plain", stdin=source)


class OtherTaps:
    """target-posthog, reading the same messages in the same way.

    Args:
        folder: for its configuration, and where it works.
        moves: the messages.
    """

    title = "(g) other taps (RECORD, `fields`)"

    def __init__(self, folder: Path, moves: Input) -> None:
        self._folder, self.moves = folder, moves

    def command(self, source: Path, host: str, name: str) -> Command:
        """Return what moves the messages, after writing its configuration."""
        settings = {
            "api_key": _API_KEY,
            "host": host,
            "source_format": "fields",
            "streams": {STREAM: MAPPING},
            "ledger_url": f"sqlite:///{name}.db",
        }
        config = _written(self._folder / f"target-{name}.json", settings)
        arguments = [str(SCRIPTS / "target-posthog"), "--config", str(config)]
        return Command(arguments, self._folder, "target", stdin=source)


def _written(path: Path, settings: Mapping[str, object]) -> Path:
    path.write_text(json.dumps(settings))
    return path


def _project(folder: Path, definition: Path) -> MeltanoProject:
    folder.mkdir()
    return MeltanoProject(folder, definition)
