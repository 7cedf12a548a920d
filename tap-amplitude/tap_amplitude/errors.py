"""What can stop the tap, grouped by what a user does about it.

    TapError
    ├── FixConfiguration    exit 2   change a setting, a key or a file that the tap was given
    │   ├── WrongCredentials         Amplitude refused the keys
    │   └── WrongStreamMap           a stream map or flattening does not fit a schema or a record
    ├── RunAgain            exit 1   nothing to change: run the same command again
    │   ├── TargetEnded              the reader of our output went away
    │   └── DiskFull                 make room first
    └── FixSource           exit 1   the exported data itself needs attention
        ├── DamagedArchive           a file is cut, corrupt or no archive at all
        ├── HostileArchive           a file would unpack to more than it may
        ├── ForeignArchive           an archive holds what it should not hold
        ├── ForeignAnswer            a response holds what was not asked for
        ├── BadLine                  a line of a file is not a JSON object
        └── TooManyRejects exit 3    rejects passed the limit; look at them before going on

Whatever the group, the Singer state holds whole hours only, so that the next run loses nothing.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from tap_amplitude.plugin_error import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Errors of the operating system that mean "too many open files", of the process or of all.
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
#: Errors of the operating system that mean "no room", on a disk, a quota or a file size limit.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class TapError(PluginError):
    """An expected failure; the stream fills in what is saved."""


class FixConfiguration(TapError):
    """A setting, a key, or a file given on the command line is wrong."""

    exit_code = 2


class WrongCredentials(FixConfiguration):
    """Amplitude refused the keys."""


class WrongStreamMap(FixConfiguration):
    """A stream map, or flattening, does not fit what Amplitude exports."""


class RunAgain(TapError):
    """The run stopped for a reason that passes, and the next run goes on from here."""


class TargetEnded(RunAgain):
    """The process that reads the tap's output has ended."""

    def __init__(self) -> None:
        super().__init__(
            "The target ended before the tap was done; the cause is in the target's log.",
            remedy="Fix the cause, then run the same command again.",
        )


class DiskFull(RunAgain):
    """There is no room for a file that the tap has to write."""


class FixSource(TapError):
    """The exported data cannot be read as it is."""


class DamagedArchive(FixSource):
    """A file is cut off, corrupt, or no archive at all."""


class HostileArchive(FixSource):
    """A file unpacks to far more than an export does."""


class ForeignArchive(FixSource):
    """An archive is whole, but holds something that does not belong into it."""


class ForeignAnswer(FixSource):
    """A response is whole, but is not what was asked for."""


class BadLine(FixSource):
    """A line of an export file is not a JSON object."""


class TooManyRejects(FixSource):
    """More lines were rejected than `max_reject_ratio` allows."""

    exit_code = 3


def no_room(error: OSError, what: str, *, setting: str | None = "spool_path") -> TapError | None:
    """Return the error for "no space left", or None when the disk is not the problem.

    `what` was being written, such as "the download"; `setting` moves it to another disk.
    """
    if error.errno not in NO_ROOM:
        return None
    where = f" ({error.filename})" if error.filename else ""
    other = f", or set `{setting}` to a larger disk," if setting else ""
    return DiskFull(
        f"There is no room left on the disk for {what}{where}.",
        remedy=f"Free some space{other} and run again.",
    )


def no_descriptors(error: BaseException | None) -> RunAgain | None:
    """Return the error for "too many open files" at the bottom of any error, else None."""
    for cause in causes_of(error):
        if isinstance(cause, OSError) and cause.errno in _NO_DESCRIPTORS:
            return RunAgain(
                f"The tap may not open more files or connections ({cause.strerror}).",
                remedy="Raise the limit (`ulimit -n 4096` in a shell), and run the same command "
                "again.",
            )
    return None


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and the errors that it stands for, however they are kept."""
    waiting: list[object] = [error]
    seen = set[int]()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            # urllib3 keeps the cause of a failed connection in `reason`.
            kept = (cause.__cause__, cause.__context__, getattr(cause, "reason", None))
            waiting += [*kept, *cause.args]
