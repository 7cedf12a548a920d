"""Runs the target in the tests' own process: a start of its own would cost more than the run."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from tempfile import TemporaryFile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from target_posthog.capture.retries import RetryPolicy
from target_posthog.cli import run
from target_posthog.common.signals import SIGNALS
from target_posthog.progress.summary import Summary
from target_posthog.target import TargetPosthog
from tests.support.deliveries import Clock
from tests.support.process_state import process_state_kept
from tests.support.processes import Finished, clean_environment, encoded
from tests.support.singer import json_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import click

    from tests.support.singer import Json


def run_here(
    config: Mapping[str, Any],
    messages: Iterable[Json | str | bytes],
    folder: Path,
    *arguments: str,
    program: str = TargetPosthog.name,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run a command of the target as `processes.run_target` does, without a process of its own.

    For one worker alone: a copy of the tests' process would hold the locks of its threads.
    """
    path = folder / f"{program}.json"
    path.write_text(json.dumps(config))
    output, said = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    made: list[TargetPosthog] = []
    begin = TargetPosthog.__init__

    def remembered(target: TargetPosthog, *given: Any, **named: Any) -> None:
        begin(target, *given, **named)
        made.append(target)

    with (
        io.TextIOWrapper(TemporaryFile()) as stdin,
        _own_surroundings(folder, environment or {}),
        redirect_stdout(output),
        redirect_stderr(said),
        patch.object(sys, "stdin", stdin),
        patch.object(TargetPosthog, "__init__", remembered),
    ):
        stdin.buffer.write(encoded(messages))
        stdin.buffer.seek(0)
        command = _command_of(program)
        is_target = program == TargetPosthog.name
        code = run(
            command,
            TargetPosthog.name,
            ["--config", str(path), *arguments],
            reads_a_tap=is_target,
            summary=Summary(TargetPosthog.plugin_version) if is_target else None,
        )
        for target in made:
            # The end of a process would close what a failed run leaves open.
            target.close()
    output.flush()
    return Finished(code, output.buffer.getvalue().decode(), said.getvalue())


def _command_of(program: str) -> click.Command:
    """Return the command, with the log set up as `main` does it."""
    own: click.Command = TargetPosthog.cli
    if program == TargetPosthog.name:
        return own
    name = program.removeprefix(f"{TargetPosthog.name}-").replace("-", "_")
    command: click.Command = import_module(f"target_posthog.commands.{name}").command
    return command


@contextmanager
def _own_surroundings(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Have a folder, an environment, a log and signals for a while, as a process would."""
    before, timer = os.getcwd(), signal.getitimer(signal.ITIMER_REAL)  # noqa: PTH109 - to go back
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    kept = [(one, one.level, one.handlers[:], one.filters[:], one.disabled) for one in loggers]
    os.chdir(folder)
    try:
        with (
            process_state_kept(),
            patch.dict(os.environ, clean_environment() | dict(environment), clear=True),
        ):
            yield
    finally:
        os.chdir(before)
        # pytest's guard against tests that hang is a timer, too, which the end of a run stops.
        signal.setitimer(signal.ITIMER_REAL, *timer)
        SIGNALS.__init__()  # type: ignore[misc] # as at the start of a process
        for logger, level, handlers, filters, is_disabled in kept:
            logger.setLevel(level)
            logger.handlers, logger.filters, logger.disabled = handlers, filters, is_disabled


@contextmanager
def no_waits() -> Iterator[Clock]:
    """Let retries wait by a clock that only their waits move on."""
    clock = Clock()
    with (
        patch("tenacity.time", SimpleNamespace(monotonic=lambda: clock.now)),
        patch.object(RetryPolicy, "_wait_unless_stopped", lambda _, wait: clock.sleep(wait)),
    ):
        yield clock


@dataclass(frozen=True)
class Previewed(Finished):
    """How a preview ended.

    Attributes:
        events: what was previewed, links and group updates included.
    """

    events: list[Json]


def preview(messages: Iterable[Json | str | bytes], folder: Path, **settings: Any) -> Previewed:
    """Preview messages with some settings."""
    folder.mkdir(exist_ok=True)
    own = {"preview_path": "preview", "workers": 1, "max_reject_ratio": 1}
    ended = run_here(own | settings, messages, folder)
    events = [event for body in json_lines(folder / "preview") for event in body["batch"]]
    return Previewed(ended.exit_code, ended.stdout, ended.stderr, events)
