"""Whether blocks of lines are converted in workers, and in which."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from target_posthog.workers.pool import InlineWorkers, Pool, processors

if TYPE_CHECKING:
    from target_posthog.capture.protocols import Wire
    from target_posthog.settings import Settings
    from target_posthog.workers.pool import Workers

#: From how many records, or bytes of them, workers convert them; they are copies of this process.
#: Some taps write a state after each thousand, and it begins the first request.
_MANY_RECORDS, _MANY_BYTES = 1_000, 4 * 1024 * 1024
#: The same where a worker is a new process, which takes half a second of CPU to start.
_MANY_MORE = 50_000


class Staffing:
    """Starts workers, and decides from when on they pay for records.

    Args:
        is_preview: nothing is sent, so blocks are converted in this process.
    """

    def __init__(self, settings: Settings, wire: Wire, *, is_preview: bool) -> None:
        self._settings = settings
        self._wire = wire
        self._is_inline = is_preview or sys.platform == "win32"
        self._has_started = False

    def inline(self) -> InlineWorkers:
        """Return what converts blocks in this process."""
        return InlineWorkers(self._settings, self._wire)

    def start(self) -> Workers:
        """Return what converts blocks: processes, unless nothing is to be sent."""
        self._has_started = True
        return self.inline() if self._is_inline else Pool(self._settings, self._wire)

    def pays_for_records(self, records: int, size: int) -> bool:
        """Return True if records go to workers from now on.

        So many came, of so many bytes: a short run must not pay for them. Later, the first request
        has a thread. With `workers: 1`, or one processor, this process converts them all.
        """
        if self._is_inline:
            return False
        if not self._has_started:
            enough = size >= _MANY_BYTES or records >= _MANY_RECORDS
            if not enough or (records < _MANY_MORE and not Pool.can_fork()):
                return False
        return (self._settings.workers or processors()) > 1
