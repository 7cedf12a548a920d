"""Several windows on their way at once, handed on in the order of their hours.

What is left to export is one ordered list of downloads and gaps. A worker cuts the next window
off the first gap. A window that was refused as too large becomes a gap again, where it was, and
is cut smaller. So the hours stay in order whatever comes back when.

The disk is bounded by reservations: a download sets aside what one archive may have before it
asks, and gives back what it did not need. Reservations are made in the order of the hours, and
the next window to be handed on holds its own: it never waits for a later one.
"""

from __future__ import annotations

import atexit
import logging
import time
from dataclasses import dataclass
from threading import Condition, Thread
from typing import TYPE_CHECKING

from tap_amplitude.api.results import TooLarge
from tap_amplitude.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tap_amplitude.api.results import Answer, Downloaded, DownloadSlot, NoEvents
    from tap_amplitude.windows import Window, WindowSize

    Fetch = Callable[[Window, DownloadSlot], Answer]

logger = logging.getLogger("tap-amplitude.downloads")

#: Amplitude refuses an export of more than 4 GB (Export API docs, "Considerations").
LARGEST_ARCHIVE_BYTES = 4 * 1024**3

#: How long the end of a run waits for downloads to notice it. One may hang in a silent
#: connection; its thread ends with the process.
_SECONDS_TO_STOP = 1.0
#: On Windows, Ctrl-C does not wake a thread that waits without a limit.
_LONGEST_WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Arrival:
    """A window whose events are at hand, or that has none.

    Attributes:
        window: The hours.
        answer: What came; its file is removed when the next arrival is asked for.
        window_hours: The size of the next window, as learned so far.
    """

    window: Window
    answer: Downloaded | NoEvents
    window_hours: int


class Cancelled(Exception):
    """Nobody needs this download any more."""


class _SpoolTooSmall(Exception):
    """The archive does not fit, although everything before it is read."""


@dataclass(eq=False)
class _Gap:
    """Hours that are not asked for yet."""

    start: datetime
    end: datetime


@dataclass(eq=False)
class _Download:
    """A window that was asked for; the `DownloadSlot` of its download."""

    owner: Downloads
    window: Window
    reserved: int
    answer: Downloaded | NoEvents | None = None
    failure: BaseException | None = None
    cancelled: bool = False

    @property
    def is_over(self) -> bool:
        return self.answer is not None or self.failure is not None

    def reserve(self, size: int) -> None:
        self.owner._hold(self, size)  # noqa: SLF001 - the other half of this class

    def sleep(self, seconds: float) -> None:
        self.owner._sleep(self, seconds)  # noqa: SLF001 - the other half of this class


class Downloads:
    """Downloads the windows of a range, some of them ahead.

    Args:
        fetch: Gets one window; called in threads, for several windows at once.
        size: Says how long the windows are, and learns from what comes back.
        start: First hour.
        until: First hour that is not asked for.
        parallel: How many windows to ask for ahead of the one that is being read.
        max_bytes: What all archives together may have on disk.
    """

    def __init__(
        self,
        fetch: Fetch,
        size: WindowSize,
        start: datetime,
        until: datetime,
        *,
        parallel: int,
        max_bytes: int,
    ) -> None:
        self._fetch = fetch
        self._size = size
        self._parallel = parallel
        self._max_bytes = max_bytes
        self._share = min(LARGEST_ARCHIVE_BYTES, max_bytes)
        # Everything below is read and changed under this lock only.
        self._changed = Condition()
        self._plan: list[_Download | _Gap] = [_Gap(start, until)] if start < until else []
        self._held = 0
        self._reading: _Download | None = None
        self._answered = False
        self._stopped = False
        # Daemons, because one that hangs in a silent connection must not keep the process.
        self._workers = [
            Thread(target=self._work, name=f"download-{number}", daemon=True)
            for number in range(parallel)
        ]

    def __iter__(self) -> Iterator[Arrival]:
        """Give the windows in order.

        Yields:
            Each window once; together they have no gap.

        Raises:
            TapError: A window cannot be had. All windows before it were given.
        """
        # The SDK's loop may leave this generator suspended when it fails. Registered after the
        # spool's finalizer, it runs before it.
        atexit.register(self.close)
        try:
            for worker in self._workers:
                worker.start()
            while arrival := self._next():
                yield arrival
                self._finish_reading()
        finally:
            self.close()

    def close(self) -> None:
        """Cancel what is under way and remove the files of what nobody read."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        deadline = time.monotonic() + _SECONDS_TO_STOP
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self._finish_reading()
            self._drop(self._plan)
        atexit.unregister(self.close)

    # The reader's side.

    def _next(self) -> Arrival | None:
        with self._changed:
            while self._plan:
                first = self._plan[0]
                if isinstance(first, _Download) and first.is_over:
                    break
                self._changed.wait(_LONGEST_WAIT_SECONDS)
            else:
                return None
            self._plan.pop(0)
            self._changed.notify_all()
            if first.failure is not None:
                raise first.failure
            assert first.answer is not None  # noqa: S101 - it is over and did not fail
            self._reading = first
            return Arrival(first.window, first.answer, self._size.hours)

    def _finish_reading(self) -> None:
        with self._changed:
            if self._reading:
                self._drop([self._reading])
                self._reading = None

    def _drop(self, plan: list[_Download | _Gap] | list[_Download]) -> None:
        """Take downloads out: remove the files of those that arrived, cancel the others."""
        for download in plan:
            if not isinstance(download, _Download):
                continue
            download.cancelled = True
            if download.answer is not None:
                download.answer.discard()
                self._reserve(download, 0)
        plan.clear()
        self._changed.notify_all()

    # The workers' side.

    def _work(self) -> None:
        while download := self._take():
            self._run(download)

    def _run(self, download: _Download) -> None:
        window = download.window
        try:
            answer = self._fetch(window, download)
        except _SpoolTooSmall:
            if window.can_be_split:
                self._arrive(download, TooLarge("the archive does not fit into the spool."))
                return
            failure = FixConfiguration(
                f"The archive of {window} does not fit into the spool of "
                f"{self._max_bytes / 1024**3:g} GB.",
                remedy="Raise `max_spool_gb`.",
            )
            self._fail(download, failure)
        except BaseException as failure:  # noqa: BLE001 - raised again where the window is due
            self._fail(download, failure)
        else:
            self._arrive(download, answer)

    def _take(self) -> _Download | None:
        """Wait until a further window may be asked for."""
        with self._changed:
            while not self._stopped:
                if download := self._begin():
                    return download
                self._changed.wait()
            return None

    def _begin(self) -> _Download | None:
        gaps = (index for index, part in enumerate(self._plan) if isinstance(part, _Gap))
        index = next(gaps, None)
        if index is None or not self._may_ask():
            return None
        gap = self._plan[index]
        assert isinstance(gap, _Gap)  # noqa: S101 - found as one
        window = self._size.next_window(gap.start, gap.end)
        assert window is not None  # noqa: S101 - a gap has at least one hour
        download = _Download(self, window, reserved=0)
        self._reserve(download, self._share)
        rest = [_Gap(window.end, gap.end)] if window.end < gap.end else []
        self._plan[index : index + 1] = [download, *rest]
        return download

    def _may_ask(self) -> bool:
        waiting = sum(isinstance(part, _Download) for part in self._plan)
        # The first request goes alone: it tells whether the keys are right, and teaches the size.
        limit = self._parallel if self._answered else 1
        return waiting < limit and self._held + self._share <= self._max_bytes

    def _arrive(self, download: _Download, answer: Answer) -> None:
        with self._changed:
            self._answered = True
            if isinstance(answer, TooLarge):
                self._reserve(download, 0)
                if not download.cancelled:
                    self._split(download.window, answer, self._plan.index(download))
            else:
                self._size = self._size.delivered(download.window, answer.size)
                self._reserve(download, answer.size)
                download.answer = answer
                if download.cancelled or self._stopped:
                    self._drop([download])
            self._changed.notify_all()

    def _split(self, window: Window, answer: TooLarge, index: int) -> None:
        logger.debug("Too much at once, %s: %s", window, answer.reason)
        self._size = self._size.too_large(window)
        self._plan[index] = _Gap(window.start, window.end)

    def _fail(self, download: _Download, failure: BaseException) -> None:
        """Keep a failure until its window is due; nothing after it is needed any more."""
        with self._changed:
            self._reserve(download, 0)
            download.failure = failure
            if not (download.cancelled or self._stopped):
                index = self._plan.index(download)
                later = self._plan[index + 1 :]
                del self._plan[index + 1 :]
                self._drop(later)
                if index:
                    logger.warning(
                        "The %s cannot be had; the hours before are still being exported.",
                        download.window,
                    )
            self._changed.notify_all()

    def _reserve(self, download: _Download, size: int) -> None:
        self._held += size - download.reserved
        download.reserved = size

    def _hold(self, download: _Download, size: int) -> None:
        """Wait until a download may have so many bytes on disk.

        Only the next window to be handed on may grow beyond what it set aside: room that another
        one took would be missing to an earlier one.
        """
        with self._changed:
            while not (download.cancelled or self._stopped):
                if size <= download.reserved:
                    return
                is_next = bool(self._plan) and self._plan[0] is download
                if is_next and self._held + size - download.reserved <= self._max_bytes:
                    self._reserve(download, size)
                    return
                if is_next and not self._reading:
                    raise _SpoolTooSmall
                self._changed.wait()
            raise Cancelled

    def _sleep(self, download: _Download, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (download.cancelled or self._stopped):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)
            raise Cancelled
