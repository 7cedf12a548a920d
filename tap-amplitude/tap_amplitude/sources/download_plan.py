"""What is left to export, and the disk space for it (no clock, no threads, no I/O).

What is left is one ordered list of downloads and gaps. The next window is cut off the first gap. A
window that was refused as too large becomes a gap again, where it was, and is cut smaller. So the
hours stay in order whatever comes back when.

The disk is bounded by reservations: a download sets aside what one archive may have before it
asks, and gives back what it did not need. Reservations are made in the order of the hours, and
the next window to be handed on holds its own: it never waits for a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tap_amplitude.api.results import Downloaded, NoEvents
    from tap_amplitude.windows import Window, WindowSize

#: Amplitude refuses an export of more than 4 GB (Export API docs, "Considerations").
LARGEST_ARCHIVE_BYTES = 4 * 1024**3


@dataclass(eq=False)
class Download:
    """A window that was asked for.

    Attributes:
        window: The hours.
        reserved: What it may have on disk, in bytes.
        result: What came.
        failure: What to raise where the window is due.
        is_cancelled: It is not needed any more.
    """

    window: Window
    reserved: int = 0
    result: Downloaded | NoEvents | None = None
    failure: BaseException | None = None
    is_cancelled: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.result is not None or self.failure is not None


@dataclass(eq=False)
class _Gap:
    """Hours that are not asked for yet."""

    start: datetime
    end: datetime


class DownloadPlan:
    """What is left to export, in order.

    Args:
        until: First hour that is not asked for.
    """

    def __init__(self, start: datetime, until: datetime) -> None:
        self._parts: list[Download | _Gap] = [_Gap(start, until)] if start < until else []

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return not self._parts

    @property
    def downloads(self) -> list[Download]:
        """The windows that were asked for."""
        return [part for part in self._parts if isinstance(part, Download)]

    def is_next(self, download: Download) -> bool:
        """Return True if a window is the next one to be handed on."""
        return bool(self._parts) and self._parts[0] is download

    def take_first(self) -> Download | None:
        """Take out the next window, if it is over."""
        first = self._parts[0] if self._parts else None
        if not isinstance(first, Download) or not first.is_over:
            return None
        del self._parts[0]
        return first

    def begin(self, size: WindowSize) -> Download | None:
        """Cut the next window off the first gap; return None when there is none."""
        for index, gap in enumerate(self._parts):
            if isinstance(gap, _Gap) and (window := size.next_window(gap.start, gap.end)):
                download = Download(window)
                rest = [_Gap(window.end, gap.end)] if window.end < gap.end else []
                self._parts[index : index + 1] = [download, *rest]
                return download
        return None

    def open_again(self, download: Download) -> None:
        """Make a window a gap again."""
        index = self._parts.index(download)
        self._parts[index] = _Gap(download.window.start, download.window.end)

    def end_with(self, download: Download) -> list[Download]:
        """Take out what comes after a window; return the windows among it."""
        end = self._parts.index(download) + 1
        later = self._parts[end:]
        del self._parts[end:]
        return [part for part in later if isinstance(part, Download)]

    def clear(self) -> list[Download]:
        """Take out everything; return the windows."""
        downloads = self.downloads
        self._parts.clear()
        return downloads


class DiskBudget:
    """What all archives together may have on disk."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._share = min(LARGEST_ARCHIVE_BYTES, max_bytes)
        self._held = 0

    @property
    def has_share(self) -> bool:
        """Whether there is room for one more archive of any size."""
        return self._held + self._share <= self.max_bytes

    def give_share(self, download: Download) -> None:
        """Set aside what one archive may have."""
        self.reserve(download, self._share)

    def fits(self, download: Download, size: int) -> bool:
        """Return True if a download may have so many bytes."""
        return self._held + size - download.reserved <= self.max_bytes

    def reserve(self, download: Download, size: int) -> None:
        """Set aside what a download has, or give back what it did not need."""
        self._held += size - download.reserved
        download.reserved = size
