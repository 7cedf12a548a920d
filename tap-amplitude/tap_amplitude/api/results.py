"""What comes of a window that was asked for, and what getting it may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from tap_amplitude.files.archive import Archive


@dataclass(frozen=True)
class Downloaded:
    """A whole, verified archive on disk."""

    archive: Archive
    path: Path
    size: int

    def discard(self) -> None:
        """Remove the file."""
        self.archive.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class NoEvents:
    """The window holds no events."""

    size: int = 0

    def discard(self) -> None:
        """Do nothing: there is no file."""


@dataclass(frozen=True)
class TooLarge:
    """The window must be asked for in parts."""

    reason: str


FetchResult = Downloaded | NoEvents | TooLarge


class DownloadSlot(Protocol):
    """What a download may use. Both methods raise when the download is not needed any more."""

    def reserve(self, size: int) -> None:
        """Wait until the download may have so many bytes on disk."""

    def sleep(self, seconds: float) -> None:
        """Wait some seconds before the next try."""
