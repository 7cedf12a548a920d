"""Runs the tap and turns every failure into one clear line.

Exit codes: 0 done; 1 stopped, run again; 2 configuration or credentials; 3 rejects passed the
limit.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from tap_amplitude.common.any_output import escape_what_output_lacks
from tap_amplitude.common.lenient_json import RECURSION_LIMIT
from tap_amplitude.common.log_filters import filter_log
from tap_amplitude.common.signals import SIGNALS, StoppedBySignal
from tap_amplitude.errors import FixConfiguration, RunAgain, TapError, no_descriptors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_amplitude.summary import Summary

NAME = "tap-amplitude"
logger = logging.getLogger(NAME)


def run(command: click.Command, arguments: Sequence[str], summary: Summary | None = None) -> int:
    """Run the tap's command and return the exit code; every failure is one line of the log.

    Making the command has set the logging up. The summary of a run is written here, at every exit.
    """
    sys.setrecursionlimit(max(RECURSION_LIMIT, sys.getrecursionlimit()))
    filter_log()
    escape_what_output_lacks()
    ending = _Ending(summary)
    SIGNALS.begin(ending.given_up)
    try:
        code = _run(command, arguments, ending)
    except StoppedBySignal as late:  # while another failure was about to be logged
        SIGNALS.end()
        code = ending.failed(late)
    SIGNALS.leave_with(code)
    return code


def _run(command: click.Command, arguments: Sequence[str], ending: _Ending) -> int:
    try:
        # Not click's standalone mode: it would exit by itself, with codes of its own.
        code = command.main(
            list(arguments), prog_name=NAME, standalone_mode=False, obj=ending.summary
        )
        SIGNALS.end()
    except BrokenPipeError:  # while printing a catalog or a help text
        code = 1
    except (Exception, StoppedBySignal, KeyboardInterrupt) as failure:  # noqa: BLE001 - the last one to hear of it
        SIGNALS.end()
        return ending.failed(failure)
    return ending.came(int(code or 0))


class _Ending:
    """The end of a run: why it ends is logged, and its summary written."""

    def __init__(self, summary: Summary | None) -> None:
        self.summary = summary

    def came(self, exit_code: int) -> int:
        """Write down that the run came to its end; return the exit code."""
        problem = None if self.summary is None else self.summary.end(exit_code)
        if problem is None:
            return exit_code
        logger.error("%s", problem)
        return exit_code or problem.exit_code

    def failed(self, failure: BaseException) -> int:
        """Log why the run ends, and write it down; return the exit code."""
        known = _known(failure)
        if known is not None:
            logger.error("%s", known)
        else:
            known = RunAgain(
                f"This is a bug in tap-amplitude {version(NAME)}: please report it.", remedy=""
            )
            logger.error(
                "This is a bug in tap-amplitude %s: please report it with the lines below. The "
                "state holds whole hours only, so that it is safe to run again.",
                version(NAME),
                exc_info=failure,
            )
        if self.summary is not None and (problem := self.summary.end(known.exit_code, known)):
            logger.error("%s", problem)
        return known.exit_code

    def given_up(self, signal_name: str) -> None:
        """Write down that a signal ended the process as it stood."""
        if self.summary is not None:
            self.summary.end(
                RunAgain.exit_code,
                RunAgain(f"Stopped by {signal_name}.", remedy="Run the same command again."),
            )


def _known(failure: BaseException) -> TapError | None:
    """Return a failure in the user's words; None when it is a bug."""
    if isinstance(failure, (StoppedBySignal, KeyboardInterrupt, click.Abort)):
        stop = RunAgain(
            f"Stopped by {str(failure) or 'SIGINT'}.", remedy="Run the same command again."
        )
        stop.saved = getattr(failure, "saved", "")
        return stop
    if isinstance(failure, click.ClickException):
        return FixConfiguration(failure.format_message(), remedy="")
    return no_descriptors(failure) or (failure if isinstance(failure, TapError) else None)
