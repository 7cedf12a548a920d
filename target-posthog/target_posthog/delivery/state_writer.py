"""Writes states once everything before them is delivered, and removes the files that are."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from target_posthog.errors import TargetPosthogError
from target_posthog.input.batch_files import BatchFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_posthog.delivery.delivery import Delivery
    from target_posthog.model import Json

#: A STATE waits this long for the batch that it stands behind to fill up. It bounds what a killed
#: run sends again.
_STATE_SECONDS = 2.0


class StateWriter:
    """Writes at most one state in two seconds, the last that is safe.

    Args:
        reached: called with each state that is safe.
    """

    def __init__(
        self,
        delivery: Delivery,
        write: Callable[[Json], None],
        reached: Callable[[Any], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._delivery = delivery
        self._write = write
        self._reached = reached
        self._clock = clock
        self._safe: Json | None = None
        self._written = self._hurried = float("-inf")

    def attend(self) -> float | None:
        """Write a safe state, if it is time; let batches go that a state waits for.

        Returns:
            After how many seconds to look again; None when no state waits.
        """
        left = self.write_safe()
        if not self._delivery.gate.holds(dict):
            return None if self._safe is None else left
        left = max(left, self._hurried + _STATE_SECONDS - self._clock())
        if left <= 0:
            self._hurried = self._clock()
            self._delivery.hurry()
            left = _STATE_SECONDS
        return left

    def write_safe(self) -> float:
        """Write a safe state if it is time; return after how many seconds it will be."""
        self.pass_marks()
        left = self._written + _STATE_SECONDS - self._clock()
        if self._safe is None or left > 0:
            return left
        self.write_now(self._safe)
        return _STATE_SECONDS

    def write_now(self, state: Json) -> None:
        """Write a state before which everything is delivered."""
        self._write(state)
        self._written = self._clock()
        self._safe = None

    def pass_marks(self) -> None:
        """See what everything before is settled of: files go, and a state is safe."""
        for mark in self._delivery.passed():
            if isinstance(mark, BatchFile):
                mark.remove()
            else:
                self._safe = mark
                self._reached(mark)

    def keep_what_is_safe(self) -> None:
        """Write the last state before which everything is delivered, at the end of a run."""
        with suppress(TargetPosthogError):  # the first failure is the one to tell
            self.pass_marks()
            if self._safe is not None:
                self.write_now(self._safe)
