"""Runs `tap-amplitude | target-posthog` as a shell or a runner does, run after run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.support.faithful import assert_migrated
from tests.support.processes import SCRIPTS, Finished, Running, command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from tests.fakes.amplitude_export_api import AmplitudeExportApi, Request
    from tests.fakes.posthog_capture import PosthogCapture
    from tools.sample_export import SampleExport

Json = dict[str, Any]
Plugin = Literal["tap", "target"]

BOTH: tuple[Plugin, ...] = ("tap", "target")

_SECONDS = 60.0


@dataclass(frozen=True)
class PipeEnd:
    """What one run left behind.

    Attributes:
        tap: How the tap ended; its standard output went into the target.
        target: How the target ended.
    """

    tap: Finished
    target: Finished

    @property
    def states(self) -> list[Json]:
        """The states that the target wrote, in order."""
        return self.target.messages

    @property
    def exit_codes(self) -> tuple[int, int]:
        """How the tap and the target ended."""
        return self.tap.exit_code, self.target.exit_code

    @property
    def logs(self) -> str:
        """What both logged, for the message of a failed test."""
        parts = (("tap", self.tap), ("target", self.target))
        return "".join(f"--- {name} {end.exit_code}\n{end.stderr}" for name, end in parts)


class Pipe:
    """A tap whose output is a target's input, both at work; leaves no process behind."""

    def __init__(
        self, folder: Path, commands: dict[Plugin, list[str]], environment: dict[str, str]
    ) -> None:
        tap = Running(commands["tap"], folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        target = Running(commands["target"], folder, environment, stdin=tap.output)
        self._processes: dict[Plugin, Running] = {"tap": tap, "target": target}
        # The target alone must hold the reading end, so that the tap learns of its death.
        tap.output.close()

    def kill(self, *victims: Plugin, signum: int = signal.SIGKILL) -> None:
        """Send a signal to some, all at once."""
        for victim in victims:
            assert not self.has_ended(victim), f"the {victim} ended before its kill"
        for victim in victims:
            self._processes[victim].process.send_signal(signum)

    def has_written(self, plugin: Plugin) -> bool:
        """Return True if one of the two has written something whole."""
        return "\n" in self._processes[plugin].stdout

    def has_ended(self, plugin: Plugin) -> bool:
        """Return True if one of the two is done."""
        return self._processes[plugin].process.poll() is not None

    def wait_for(self, seen: Callable[[], object]) -> None:
        """Wait until something is true; fail with the logs when the run ends before it is."""
        end = time.monotonic() + _SECONDS
        while not seen():
            assert time.monotonic() < end, f"not seen in {_SECONDS} s\n{self._end().logs}"
            ended = self.has_ended("target") and not seen()
            assert not ended, f"the run ended before\n{self._end().logs}"
            time.sleep(0.002)

    def finish(self) -> PipeEnd:
        """Wait for the end of both."""
        for running in self._processes.values():
            running.ended()
        return self._end()

    def stop(self) -> None:
        """Leave nothing running, whatever happened."""
        for running in self._processes.values():
            running.__exit__()

    def _end(self) -> PipeEnd:
        return PipeEnd(self._processes["tap"].so_far(), self._processes["target"].so_far())


@dataclass
class Pipeline:
    """A tap and a target that are run again and again; the state is kept between the runs.

    Attributes:
        folder: Where they run; the target's ledger and the rejects are in it.
        tap: The tap's settings.
        target: The target's settings.
        state: The last state that a target wrote: all that a runner keeps.
        scripts: Where the commands of both lie.
        environment: Variables of the target besides those of the shell.
    """

    folder: Path
    tap: Json
    target: Json
    state: Json | None = None
    scripts: Path = SCRIPTS
    environment: dict[str, str] = field(default_factory=dict)
    ends: list[PipeEnd] = field(default_factory=list)

    @contextmanager
    def started(self) -> Iterator[Pipe]:
        """Run in the background; at the end of the block it must have finished."""
        commands: dict[Plugin, list[str]] = {one: self._command(one) for one in BOTH}
        pipe = Pipe(self.folder, commands, self.environment)
        try:
            yield pipe
            self._keep(pipe.finish())
        finally:
            pipe.stop()

    def run(self) -> PipeEnd:
        """Run to the end."""
        with self.started():
            pass
        return self.ends[-1]

    def run_well(self) -> PipeEnd:
        """Run to the end, which must be a good one."""
        end = self.run()
        assert end.exit_codes == (0, 0), end.logs
        return end

    @property
    def next_export_hour(self) -> str:
        """The hour that the state names, as it stands there; "" when there is no state."""
        if self.state is None:
            return ""
        hour: str = self.state["bookmarks"]["events"]["next_export_hour"]
        return hour

    def rejects(self) -> list[Json]:
        """Every whole line of every rejects file so far."""
        texts = [path.read_text() for path in sorted((self.folder / "rejects").glob("*.jsonl"))]
        return [json.loads(line) for text in texts for line in text.rpartition("\n")[0].split("\n")]

    def _command(self, plugin: Plugin) -> list[str]:
        made = (
            command_line("tap-amplitude", self.folder, self.tap, state=self.state)
            if plugin == "tap"
            else command_line("target-posthog", self.folder, self.target)
        )
        made[0] = str(self.scripts / Path(made[0]).name)
        return made

    def _keep(self, end: PipeEnd) -> None:
        self.ends.append(end)
        if end.states:
            self.state = end.states[-1]
        self.assert_quiet(end.tap.stderr + end.target.stdout + end.target.stderr)

    def assert_quiet(self, text: str) -> None:
        """Hold what a user can see to two rules: no traceback, and none of the keys."""
        assert "Traceback" not in text, text
        for config in (self.tap, self.target):
            keys = [config[name] for name in ("api_key", "secret_key") if config.get(name)]
            assert [key for key in keys if key in text] == [], text


@dataclass(kw_only=True)
class Day(Pipeline):
    """A pipeline from a sample export to the stand-in for PostHog, over all of its hours.

    Attributes:
        export: What Amplitude has.
        amplitude: The stand-in that has it.
        posthog: The stand-in that it goes to.
    """

    export: SampleExport
    amplitude: AmplitudeExportApi
    posthog: PosthogCapture

    @property
    def hours(self) -> list[datetime]:
        """Every hour of the export, in order."""
        return hours_between(self.export.start, self.export.end)

    @property
    def asked_hours(self) -> list[datetime]:
        """The hours that Amplitude was asked for and answered, sorted."""
        return sorted(hours_of(self.amplitude.requests))

    def assert_whole(self) -> None:
        """Fail unless PostHog holds exactly the rows of the export, whole."""
        assert_migrated(self.posthog, self.export.rows, self.export.truth)


def hours_between(start: datetime, end: datetime) -> list[datetime]:
    """Give every hour from the first to the last, exclusive."""
    return [start + timedelta(hours=n) for n in range((end - start) // timedelta(hours=1))]


def hours_of(requests: Iterable[Request]) -> list[datetime]:
    """Give the hours of all requests that Amplitude answered with events or "no events"."""
    return [
        hour
        for request in requests
        if request.status in {200, 404}
        for hour in hours_between(request.start_hour, request.end_hour + timedelta(hours=1))
    ]
