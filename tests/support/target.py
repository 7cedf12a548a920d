"""A target as a test has it: its settings, its folder, and the PostHog that it sends to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.batch_messages import RUN_FOLDER
from tests.support.deliveries import rejected_lines
from tests.support.processes import run_target, start
from tests.support.singer import records, schema, state
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Finished, Running
    from tests.support.singer import Json


@dataclass(frozen=True)
class Target:
    """A target that runs in this process, as often as a test wants.

    Attributes:
        config: its settings; a test may change them, or give more for one run.
        folder: where it runs.
        capture: the stand-in that it sends to.
    """

    config: Json
    folder: Path
    capture: PosthogCapture

    def run(
        self,
        messages: Iterable[Json | str | bytes],
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Finished:
        """Run it over a tap's messages, without workers unless it is told otherwise."""
        config = {"workers": 1} | self.config | settings
        return run_here(config, messages, self.folder, environment=environment)

    def send(self, rows: Sequence[Json], **settings: Any) -> Finished:
        """Run it over rows, and a state behind the last one."""
        return self.run([schema(), *records(rows), state({"at": len(rows)})], **settings)

    def command(self, name: str, *arguments: str, **settings: Any) -> Finished:
        """Run one of its commands, such as `replay`; it never shows a traceback."""
        program = f"target-posthog-{name}"
        ended = run_here(self.config | settings, (), self.folder, *arguments, program=program)
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    @property
    def batches(self) -> Path:
        """A folder as tap-amplitude makes it for the files of a run."""
        made = self.folder / "batches" / RUN_FOLDER
        made.mkdir(parents=True, exist_ok=True)
        return made

    @property
    def uuids(self) -> list[str]:
        """Those of the events that PostHog stored, in order, repeats included."""
        return [event["uuid"] for event in self.capture.events]

    @property
    def texts(self) -> list[str]:
        """These events, whole."""
        return [json.dumps(event, sort_keys=True) for event in self.capture.events]

    @property
    def rejects(self) -> list[Json]:
        """Every line of its rejects files."""
        return rejected_lines(self.folder)

    def begin_anew(self) -> None:
        """Forget what came before, here and at PostHog."""
        self.capture.events.clear()
        self.capture.requests.clear()
        (self.folder / "target-posthog.db").unlink(missing_ok=True)


def run_apart(
    target: Target,
    messages: Iterable[Json | str | bytes],
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> Finished:
    """Run it as a process of its own, as it needs for more than one worker."""
    return run_target(target.config | settings, messages, target.folder, environment=environment)


def started(target: Target, program: str = "target-posthog", **settings: Any) -> Running:
    """Start it, or one of its commands, as a process."""
    return start(program, target.config | settings, target.folder)
