"""A target as a test has it: its settings, its folder, and the PostHog that it sends to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.deliveries import rejected_lines
from tests.support.singer import records, schema, state
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Finished
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

    def run(self, messages: Iterable[Json | str | bytes], **settings: Any) -> Finished:
        """Run it over a tap's messages."""
        return run_here(self.config | settings, messages, self.folder)

    def send(self, rows: Sequence[Json], **settings: Any) -> Finished:
        """Run it over rows, and a state behind the last one."""
        return self.run([schema(), *records(rows), state({"at": len(rows)})], **settings)

    def command(self, name: str, *arguments: str, **settings: Any) -> Finished:
        """Run one of its commands, such as `replay`."""
        program = f"target-posthog-{name}"
        return run_here(self.config | settings, (), self.folder, *arguments, program=program)

    @property
    def rejects(self) -> list[Json]:
        """Every line of its rejects files."""
        return rejected_lines(self.folder)

    def begin_anew(self) -> None:
        """Forget what came before, here and at PostHog."""
        self.capture.events.clear()
        self.capture.requests.clear()
        (self.folder / "target-posthog.db").unlink()
