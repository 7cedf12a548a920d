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

from tap_amplitude.common.lenient_json import RECURSION_LIMIT
from tap_amplitude.common.log_filters import filter_log
from tap_amplitude.common.signals import SIGNALS, StoppedBySignal
from tap_amplitude.errors import FixConfiguration, RunAgain, TapError, no_descriptors

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "tap-amplitude"
logger = logging.getLogger(NAME)


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Run the tap's command; every failure is one line of the log.

    Args:
        command: The command, made: that has set the logging up.
        arguments: What stands behind `tap-amplitude` on the command line.

    Returns:
        The exit code.
    """
    sys.setrecursionlimit(max(RECURSION_LIMIT, sys.getrecursionlimit()))
    filter_log()
    SIGNALS.begin()
    try:
        code = _run(command, arguments)
    except StoppedBySignal as late:  # while another failure was about to be logged
        SIGNALS.end()
        code = _failed(late)
    SIGNALS.leave_with(code)
    return code


def _run(command: click.Command, arguments: Sequence[str]) -> int:
    try:
        # Not click's standalone mode: it would exit by itself, with codes of its own.
        code = command.main(list(arguments), prog_name=NAME, standalone_mode=False)
        SIGNALS.end()
    except BrokenPipeError:  # while printing a catalog or a help text
        code = 1
    except (Exception, StoppedBySignal, KeyboardInterrupt) as failure:  # noqa: BLE001 - the last one to hear of it
        SIGNALS.end()
        code = _failed(failure)
    return int(code or 0)


def _failed(failure: BaseException) -> int:
    """Log why the run ends; return the exit code."""
    if (known := _known(failure)) is not None:
        logger.error("%s", known)
        return known.exit_code
    logger.error(
        "This is a bug in tap-amplitude %s: please report it with the lines below. The state "
        "holds whole hours only, so that it is safe to run again.",
        version(NAME),
        exc_info=failure,
    )
    return RunAgain.exit_code


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
