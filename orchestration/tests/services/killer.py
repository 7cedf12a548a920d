"""Kills a worker, Meltano, a tap or a target in the middle of a range, from outside."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.fakes.amplitude_faults import Fault as AmplitudeFault
from tests.fakes.posthog_faults import Fault as PosthogFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes.amplitude_export_api import AmplitudeExportApi
    from tests.fakes.posthog_capture import PosthogCapture

Victim = Literal["worker", "meltano", "tap", "target"]
_COMMANDS = {"meltano": "meltano", "tap": "tap-amplitude", "target": "target-posthog"}
#: Longer than any test: the answer does not come before the kill.
_FOREVER = 600.0
_STEP = 0.02


class Killer(threading.Thread):
    """Waits for each range that is to be disturbed, holds its peers still, and kills.

    Args:
        plan: the state ids of the ranges, in the order in which they come, and who dies in each.
        amplitude: what a tap is killed beside.
        posthog: what all others are killed beside, with a request of theirs in flight.
    """

    def __init__(
        self,
        plan: dict[str, Victim],
        amplitude: AmplitudeExportApi,
        posthog: PosthogCapture,
    ) -> None:
        super().__init__(daemon=True)
        self._plan = plan
        self._amplitude, self._posthog = amplitude, posthog
        self._stopped = threading.Event()
        #: Who was killed, by range.
        self.killed: dict[str, Victim] = {}

    def run(self) -> None:
        """Kill them all."""
        for state_id, victim in self._plan.items():
            if not self._see(lambda: list(processes_of(state_id, "meltano"))):  # noqa: B023 - it is called at once
                return
            if not self._kill(state_id, victim):
                return
            self.killed[state_id] = victim

    def stop(self) -> None:
        """Wait for nobody any more."""
        self._stopped.set()
        self.join()

    def _kill(self, state_id: str, victim: Victim) -> bool:
        """Kill one in mid-run, and let its peers go on; return False when the test is over."""
        if victim == "tap":
            asked = len(self._amplitude.requests)
            self._amplitude.fail(AmplitudeFault.SLOW, seconds=_FOREVER, after_bytes=100)
            seen = self._see(lambda: len(self._amplitude.requests) > asked)
        else:
            asked = len(self._posthog.requests)
            self._posthog.fail(PosthogFault.SLOW, seconds=0)
            self._posthog.fail(PosthogFault.SLOW, seconds=_FOREVER)
            seen = self._see(lambda: len(self._posthog.requests) > asked + 1)
        if not seen:
            return False
        for process in list(processes_of(state_id, victim)):
            os.kill(process, signal.SIGKILL)
        self._posthog.be_well()
        self._amplitude.recover()
        return True

    def _see(self, seen: Callable[[], object]) -> bool:
        while not seen():
            if self._stopped.is_set():
                return False
            time.sleep(_STEP)
        return True


class FreeKiller(threading.Thread):
    """Kills one as soon as its range delivers, beside others that must not be held still.

    Args:
        state_id: of the range.
        victim: who dies.
        posthog: what is slow enough for it.
    """

    def __init__(self, state_id: str, victim: Victim, posthog: PosthogCapture) -> None:
        super().__init__(daemon=True)
        self._state_id, self._victim, self._posthog = state_id, victim, posthog
        self._stopped = threading.Event()
        self.has_killed = False

    def run(self) -> None:
        """Kill it."""
        while not list(processes_of(self._state_id, "target")):
            if self._stopped.wait(_STEP):
                return
        asked = len(self._posthog.requests)
        while len(self._posthog.requests) <= asked:
            if self._stopped.wait(_STEP):
                return
        for process in list(processes_of(self._state_id, self._victim)):
            os.kill(process, signal.SIGKILL)
            self.has_killed = True

    def stop(self) -> None:
        """Wait for nobody any more."""
        self._stopped.set()
        self.join()


def processes_of(state_id: str, victim: Victim) -> Iterator[int]:
    """Yield the processes of a range that are a victim of one kind."""
    wanted = _COMMANDS["meltano" if victim == "worker" else victim]
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            command = (folder / "cmdline").read_bytes().decode().split("\0")
            variables = (folder / "environ").read_bytes().split(b"\0")
            status = (folder / "stat").read_text()
        except OSError:
            continue
        is_wanted = any(Path(word).name == wanted for word in command[:2])
        if is_wanted and f"MELTANO_STATE_ID={state_id}".encode() in variables:
            # The shell that became Meltano was the worker's own child.
            yield (
                int(status.rpartition(")")[2].split()[1])
                if victim == "worker"
                else int(folder.name)
            )
