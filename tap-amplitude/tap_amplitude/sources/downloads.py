"""Several windows on their way at once, handed on in the order of their hours."""

from __future__ import annotations

import atexit
import logging
import time
from dataclasses import dataclass
from threading import Condition, Thread
from typing import TYPE_CHECKING

from tap_amplitude.api.results import TooLarge
from tap_amplitude.errors import FixConfiguration
from tap_amplitude.sources.download_plan import DiskBudget, Download, DownloadPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from tap_amplitude.api.results import Downloaded, DownloadSlot, FetchResult, NoEvents
    from tap_amplitude.windows import Window, WindowSize

    Fetch = Callable[[Window, DownloadSlot], FetchResult]

logger = logging.getLogger("tap-amplitude.downloads")

#: How long the end of a run waits for downloads to notice it. One may hang in a silent
#: connection; its thread ends with the process.
_SECONDS_TO_STOP = 1.0
#: On Windows, Ctrl-C does not wake a thread that waits without a limit.
_LONGEST_WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Arrival:
    """A window whose events are at hand, or that has none.

    Attributes:
        result: What came; its file is removed when the next arrival is asked for.
        window_hours: The size of the next window, as learned so far.
    """

    window: Window
    result: Downloaded | NoEvents
    window_hours: int


class Cancelled(Exception):
    """This download is not needed any more."""


class _SpoolTooSmall(Exception):
    """The archive does not fit, although everything before it is read."""


class Downloads:
    """Downloads the windows of a range, some of them ahead.

    One class, as all of it shares one lock.

    Args:
        fetch: Gets one window; called in threads, for several windows at once.
        size: Says how long the windows are, and learns from what comes back.
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
        # Everything below is read and changed under this lock only.
        self._changed = Condition()
        self._plan = DownloadPlan(start, until)
        self._disk = DiskBudget(max_bytes)
        self._reading: Download | None = None
        self._answered = False
        self._stopped = False
        # Daemons, because one that hangs in a silent connection must not keep the process.
        self._workers = [
            Thread(target=self._work, name=f"download-{number}", daemon=True)
            for number in range(parallel)
        ]

    def __iter__(self) -> Iterator[Arrival]:
        """Hand on the windows in order.

        Yields:
            Each window once; together they have no gap.

        Raises:
            TapError: A window cannot be downloaded. All windows before it were handed on.
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
        """Cancel what is under way and remove the files that were not read."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        deadline = time.monotonic() + _SECONDS_TO_STOP
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, deadline - time.monotonic()))
        self._finish_reading()
        with self._changed:
            self._drop(self._plan.clear())
        atexit.unregister(self.close)

    # The reader's side.

    def _next(self) -> Arrival | None:
        with self._changed:
            while (first := self._plan.take_first()) is None:
                if self._plan.is_done:
                    return None
                self._changed.wait(_LONGEST_WAIT_SECONDS)
            self._changed.notify_all()
            if first.failure is not None:
                raise first.failure
            assert first.result is not None  # noqa: S101 - it is over and did not fail
            self._reading = first
            return Arrival(first.window, first.result, self._size.hours)

    def _finish_reading(self) -> None:
        with self._changed:
            if self._reading:
                self._drop([self._reading])
                self._reading = None

    def _drop(self, downloads: Iterable[Download]) -> None:
        """Remove the files of downloads that arrived, cancel the others."""
        for download in downloads:
            download.is_cancelled = True
            if download.result is not None:
                download.result.discard()
                self._disk.reserve(download, 0)
        self._changed.notify_all()

    # The workers' side.

    def _work(self) -> None:
        while download := self._take():
            self._run(download)

    def _run(self, download: Download) -> None:
        window = download.window
        try:
            result = self._fetch(window, _Slot(self, download))
        except _SpoolTooSmall:
            if window.can_be_split:
                self._arrive(download, TooLarge("the archive does not fit into the spool."))
                return
            failure = FixConfiguration(
                f"The archive of {window} does not fit into the spool of "
                f"{self._disk.max_bytes / 1024**3:g} GB.",
                remedy="Raise `max_spool_gb`.",
            )
            self._fail(download, failure)
        except BaseException as failure:  # noqa: BLE001 - raised again where the window is due
            self._fail(download, failure)
        else:
            self._arrive(download, result)

    def _take(self) -> Download | None:
        """Wait until a further window may be asked for."""
        with self._changed:
            while not self._stopped:
                # The first request goes alone: it tells whether the keys are right, and teaches
                # the size.
                limit = self._parallel if self._answered else 1
                may_ask = len(self._plan.downloads) < limit and self._disk.has_share
                if may_ask and (download := self._plan.begin(self._size)):
                    self._disk.give_share(download)
                    return download
                self._changed.wait()
            return None

    def _arrive(self, download: Download, result: FetchResult) -> None:
        with self._changed:
            self._answered = True
            if isinstance(result, TooLarge):
                self._disk.reserve(download, 0)
                if not download.is_cancelled:
                    logger.debug("Too much at once, %s: %s", download.window, result.reason)
                    self._size = self._size.too_large(download.window)
                    self._plan.open_again(download)
            else:
                self._size = self._size.delivered(download.window, result.size)
                self._disk.reserve(download, result.size)
                download.result = result
                if download.is_cancelled or self._stopped:
                    self._drop([download])
            self._changed.notify_all()

    def _fail(self, download: Download, failure: BaseException) -> None:
        """Keep a failure until its window is due; nothing after it is needed any more."""
        with self._changed:
            self._disk.reserve(download, 0)
            download.failure = failure
            if not (download.is_cancelled or self._stopped):
                self._drop(self._plan.end_with(download))
                if not self._plan.is_next(download):
                    logger.warning(
                        "The %s cannot be downloaded; the hours before are still being exported.",
                        download.window,
                    )
            self._changed.notify_all()

    def hold(self, download: Download, size: int) -> None:
        """Wait until a download may have so many bytes on disk.

        Only the next window to be handed on may grow beyond what it set aside: room that another
        one took would be missing to an earlier one.

        Raises:
            Cancelled: It is not needed any more.
        """
        with self._changed:
            while not (download.is_cancelled or self._stopped):
                if size <= download.reserved:
                    return
                is_next = self._plan.is_next(download)
                if is_next and self._disk.fits(download, size):
                    self._disk.reserve(download, size)
                    return
                if is_next and not self._reading:
                    raise _SpoolTooSmall
                self._changed.wait()
            raise Cancelled

    def sleep(self, download: Download, seconds: float) -> None:
        """Wait some seconds.

        Raises:
            Cancelled: The download is not needed any more.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (download.is_cancelled or self._stopped):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)
            raise Cancelled


@dataclass(frozen=True)
class _Slot:
    """The `DownloadSlot` of a download."""

    owner: Downloads
    download: Download

    def reserve(self, size: int) -> None:
        self.owner.hold(self.download, size)

    def sleep(self, seconds: float) -> None:
        self.owner.sleep(self.download, seconds)
