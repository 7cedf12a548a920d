"""What can stop a run, grouped by what the user does about it.

TargetPosthogError
 ├─ FixConfiguration    exit 2: a setting, a key or an address is wrong; nothing was sent with it
 │   ├─ WrongStreamMap           a stream map or flattening does not fit a schema or a record
 │   └─ DamagedLedger            the ledger's file is damaged, or is no database
 ├─ RunAgain            exit 1: something outside failed; state is saved, run again
 │   ├─ NotBegun                 the disk was full before the first record
 │   ├─ StateNotWritten          standard output is closed or full
 │   └─ NotAsked                 PostHog could not be asked what it holds
 │       └─ QueryTooLarge        a query takes PostHog too long, or finds too much
 ├─ BrokenInput         exit 1: the tap wrote what is not Singer; state is saved, fix the tap
 └─ TooManyRejects      exit 3: rejects passed the limit; look at the rejects before going on
"""

from __future__ import annotations

import errno
import os
import sys

from target_posthog.plugin_error import PluginError

#: A disk, a quota or a limit of files is used up.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
STATE_IS_SAVED = "All records up to the last state are delivered; the others will be read again."


class TargetPosthogError(PluginError):
    """An expected failure."""

    saved = STATE_IS_SAVED


class FixConfiguration(TargetPosthogError):
    """A setting, a key or an address is wrong."""

    exit_code = 2
    saved = ""


class WrongStreamMap(FixConfiguration):
    """A stream map, or flattening, does not fit what the tap sends; earlier records may be out."""

    saved = STATE_IS_SAVED


class DamagedLedger(FixConfiguration):
    """The ledger's file is damaged, or is no database; earlier records may be out."""

    saved = STATE_IS_SAVED


class RunAgain(TargetPosthogError):
    """PostHog, the network, the disk or the ledger failed; the next run goes on from here."""


class NotBegun(RunAgain):
    """The disk was full before the first record."""

    saved = "Nothing was sent, and the state is as it was."


class StateNotWritten(RunAgain):
    """Standard output, where the states go, is closed or full."""

    def __init__(self, error: OSError) -> None:
        closed = isinstance(error, BrokenPipeError)
        super().__init__(
            "Standard output was closed by its reader."
            if closed
            else f"The state cannot be written to standard output: {error.strerror}.",
            "Run again.",
        )
        # What could not be written waits in the buffer: Python would try, and fail, once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class NotAsked(RunAgain):
    """PostHog could not be asked what it holds; nothing was changed anywhere."""

    saved = ""


class QueryTooLarge(NotAsked):
    """A query takes PostHog too long, or finds more than one response may hold: ask for less."""


class BrokenInput(TargetPosthogError):
    """Standard input is not a Singer stream."""


class TooManyRejects(TargetPosthogError):
    """More records were rejected than `max_reject_ratio` allows."""

    exit_code = 3


class RejectsAtTheEnd(TooManyRejects):
    """The same, seen when the run had come to its end: everything else is delivered."""

    saved = ""


def exhausted_system(failure: BaseException) -> RunAgain | None:
    """Return a failure for want of files, processes or memory in the user's words, else None."""
    number = failure.errno if isinstance(failure, OSError) else None
    if number in {errno.EMFILE, errno.ENFILE}:
        return RunAgain(
            "This process may not open more files.",
            "Raise the limit (`ulimit -n`) or set `workers` to less, and run again.",
        )
    if number in {errno.EAGAIN, errno.ENOMEM} or isinstance(failure, MemoryError):
        return RunAgain(
            "The system has no more processes or memory to give.",
            "Set `workers` or `max_batch_bytes` to less, and run again.",
        )
    return None
