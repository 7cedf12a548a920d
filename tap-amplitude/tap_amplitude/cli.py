"""Runs the tap and turns every failure into one clear line.

Exit codes: 0 done; 1 stopped, run again; 2 configuration or credentials; 3 rejects passed the
limit.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from tap_amplitude import logs as small_talk
from tap_amplitude.common.lenient_json import RECURSION_LIMIT
from tap_amplitude.errors import Stopped, TapError, no_descriptors
from tap_amplitude.preflight.options import with_checks
from tap_amplitude.tap import TapAmplitude

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("tap-amplitude")

_MOMENT_SECONDS = 0.05


def run(arguments: Sequence[str]) -> int:
    """Run the tap.

    Args:
        arguments: What stands behind `tap-amplitude` on the command line.

    Returns:
        The exit code.
    """
    sys.unraisablehook = _raise_again
    sys.setrecursionlimit(max(RECURSION_LIMIT, sys.getrecursionlimit()))
    try:
        return _run(arguments)
    except Stopped:  # a second signal, while the first one was told
        return 1


def _run(arguments: Sequence[str]) -> int:
    command = with_checks(TapAmplitude.cli)  # which sets the logging up
    small_talk.leave_out()
    try:
        # Not click's standalone mode: it would exit by itself, with codes of its own.
        code = command.main(list(arguments), prog_name=TapAmplitude.name, standalone_mode=False)
    except TapError as failure:
        code = _told(no_descriptors(failure) or failure)
    except Stopped as stop:
        logger.error("%s", stop)  # noqa: TRY400 - asked for: no traceback
        code = 1
    except (click.Abort, KeyboardInterrupt):  # before the tap has set its signal handlers
        logger.error("%s", Stopped("SIGINT"))  # noqa: TRY400 - asked for: no traceback
        code = 1
    except click.ClickException as misuse:
        logger.error("%s", misuse.format_message())  # noqa: TRY400 - a wrong option
        code = 2
    except BrokenPipeError:  # while printing a catalog or a help text
        code = 1
    except Exception as error:
        if expected := no_descriptors(error):
            return _told(expected)
        logger.exception(
            "This is a bug in tap-amplitude %s: please report it with the lines below. The state "
            "holds whole hours only, so that it is safe to run again.",
            TapAmplitude.plugin_version,
        )
        code = 1
    return int(code or 0)


def _told(failure: TapError) -> int:
    logger.error("%s", failure)
    return failure.exit_code


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Stop a moment later when a signal came where Python lets no exception through.

    That is within `__del__` or a weak reference's callback: Python tells of the exception and
    drops it (docs, `sys.unraisablehook`), and the run would go on.
    """
    if isinstance(unraisable.exc_value, Stopped) and sys.platform != "win32":
        again = signal.Signals[unraisable.exc_value.signal_name]
        # To the main thread, as only its waiting is interrupted by a signal to it.
        main = threading.main_thread().ident
        threading.Timer(_MOMENT_SECONDS, signal.pthread_kill, [main, again]).start()
    else:
        sys.__unraisablehook__(unraisable)
