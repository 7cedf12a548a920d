"""How the plugin speaks as a command: what it says when it fails, and with which exit code."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import click
from singer_sdk.exceptions import InvalidInputLine

from target_posthog.common.any_output import escape_what_output_lacks
from target_posthog.common.lenient_json import RECURSION_LIMIT
from target_posthog.common.log_filters import filter_log
from target_posthog.common.signals import SIGNALS, StoppedBySignal
from target_posthog.errors import (
    STATE_IS_SAVED,
    BrokenInput,
    FixConfiguration,
    RunAgain,
    TargetPosthogError,
    exhausted_system,
)

if TYPE_CHECKING:
    from target_posthog.progress.summary import Summary

#: After a failure: how long to take what the tap still writes, and how long a silence ends that.
_READ_ON_SECONDS, _SILENCE_SECONDS = 10.0, 1.0


def run(
    command: click.Command,
    name: str,
    arguments: list[str] | None = None,
    *,
    reads_a_tap: bool = True,
    summary: Summary | None = None,
) -> int:
    """Run the plugin's command and return its exit code.

    A failure is said in one line, below what a run of the target had come to by then. With
    `reads_a_tap`, standard input is a tap that may still write when the command fails. The target
    fills in the summary of a run; it is written here, at every exit.
    """
    sys.setrecursionlimit(RECURSION_LIMIT)
    filter_log()
    escape_what_output_lacks()
    ending = _Ending(name, summary, moves_state=reads_a_tap)
    SIGNALS.begin(ending.given_up)
    try:
        code = _run(command, arguments, ending, reads_a_tap=reads_a_tap)
    except StoppedBySignal as late:
        # It came while another failure was about to be said.
        SIGNALS.end()
        code = ending.failed(late)
    SIGNALS.leave_with(code)
    return code


class _Ending:
    """The end of a run: why it ends is said, and its summary written.

    Args:
        moves_state: there is a state, of which an error may say that it is saved.
    """

    def __init__(self, name: str, summary: Summary | None, *, moves_state: bool) -> None:
        self._name = name
        self._moves_state = moves_state
        self.summary = summary

    def came(self, exit_code: int) -> int:
        """Write down that the run came to its end; return the exit code."""
        problem = None if self.summary is None else self.summary.end(exit_code)
        if problem is None:
            return exit_code
        logging.getLogger(self._name).error("%s", problem)
        return exit_code or problem.exit_code

    def failed(self, failure: BaseException) -> int:
        """Say why the run ends, and write it down; return the exit code."""
        if self.summary is not None and self.summary.progress is not None:
            self.summary.progress.stop()
        logger = logging.getLogger(self._name)
        error, place = _known(failure), ""
        if error is None:
            kind = type(failure).__name__
            error = RunAgain(f"This is a bug in {self._name} ({kind}): please report it.", "")
            # Only where it happened: what it says may hold a record or a secret.
            place = "\n" + "".join(traceback.format_tb(failure.__traceback__))
        if error.saved == STATE_IS_SAVED and not self._moves_state:
            error.saved = ""
        if error.saved == STATE_IS_SAVED and self.summary is not None and self.summary.is_preview:
            error.saved = ""  # the block at the end says so
        logger.error("%s%s", error, place)
        problem = None if self.summary is None else self.summary.end(error.exit_code, error)
        if problem is not None:
            logger.error("%s", problem)
        return error.exit_code

    def given_up(self, signal_name: str) -> None:
        """Write down that a signal ended the process as it stood."""
        if self.summary is not None:
            self.summary.end(1, RunAgain(f"Stopped by {signal_name}.", "Run again to go on."))


def _run(
    command: click.Command, arguments: list[str] | None, ending: _Ending, *, reads_a_tap: bool
) -> int:
    try:
        result = command.main(args=arguments, standalone_mode=False, obj=ending.summary)
        SIGNALS.end()
    except (Exception, StoppedBySignal, KeyboardInterrupt) as failure:  # noqa: BLE001 - the last one to hear of it
        SIGNALS.end()
        code = ending.failed(failure)
        SIGNALS.leave_with(code)
        if reads_a_tap and isinstance(failure, Exception):
            read_on()
        return code
    return ending.came(result if isinstance(result, int) else 0)


def read_on() -> None:
    """Take and forget what the tap still writes, for a short while.

    A target that ends with its input unread makes Meltano bury the one line that matters under
    three tracebacks of its own (github.com/meltano/meltano/issues/7047).
    """
    with suppress(OSError, ValueError):  # closed, or nothing that can be waited for
        descriptor = sys.stdin.fileno()
        if os.isatty(descriptor):
            return
        end = time.monotonic() + _READ_ON_SECONDS
        while (left := end - time.monotonic()) > 0:
            ready = wait([descriptor], min(left, _SILENCE_SECONDS))
            if not ready or not os.read(descriptor, 1 << 20):
                return


def _known(failure: BaseException) -> TargetPosthogError | None:
    """Return a failure in the user's words, or None when it is our bug."""
    if isinstance(failure, TargetPosthogError):
        return failure
    if isinstance(failure, click.ClickException):
        return FixConfiguration(failure.format_message(), "See --help.")
    if isinstance(failure, (StoppedBySignal, KeyboardInterrupt, click.Abort)):
        return RunAgain(f"Stopped by {str(failure) or 'the user'}.", "Run again to go on.")
    if isinstance(failure, InvalidInputLine):
        # Its own words hold the record.
        return BrokenInput(
            "The tap sent a message without a required part.",
            "Fix the tap or its catalog, and run again.",
        )
    return exhausted_system(failure)
