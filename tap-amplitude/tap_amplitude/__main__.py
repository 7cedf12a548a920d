"""The command `tap-amplitude`, also as `python -m tap_amplitude`: it begins and ends quickly."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tap_amplitude.common.signals import SIGNALS, ignore_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What `--discover` prints: it is the same whatever the settings are (docs/generate_catalog.py).
CATALOG = Path(__file__).with_name("catalog.json")
#: What it is the same with, each a file: Meltano gives both to a run that goes on.
_OF_NO_MATTER = ("--config", "--state")
#: Options that only ask for something: what they print is no run.
_ASK = frozenset(
    {"--about", "--discover", "--estimate", "--format", "--help", "--test", "--version"}
)


def main() -> None:
    """Run `tap-amplitude` with the arguments of the process, and exit."""
    arguments = sys.argv[1:]
    if _is_discovery(arguments):
        # Meltano asks for the catalog before most runs; the SDK need not be loaded for it.
        sys.exit(_print_catalog())
    SIGNALS.listen()
    # What is written holds people's data: for this user's eyes only.
    os.umask(0o077)
    # Modules live as long as the process; garbage collection during import costs 20 % of start-up.
    gc.disable()
    from tap_amplitude.cli import NAME, run  # noqa: PLC0415 - see above
    from tap_amplitude.common.log_filters import leave_out_unknown_levels  # noqa: PLC0415
    from tap_amplitude.preflight.options import with_checks  # noqa: PLC0415
    from tap_amplitude.summary import Summary  # noqa: PLC0415
    from tap_amplitude.tap import TapAmplitude  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    leave_out_unknown_levels(NAME)
    is_run = _ASK.isdisjoint(argument.partition("=")[0] for argument in arguments)
    summary = Summary(TapAmplitude.plugin_version) if is_run else None
    code = run(with_checks(TapAmplitude.cli), arguments, summary)
    # The outcome is decided and logged; what is left, such as the spool, takes milliseconds.
    ignore_signals()
    # Nor need modules be taken apart at the end, which takes as long.
    gc.freeze()
    sys.exit(_flushed(code))


def _print_catalog() -> int:
    try:
        sys.stdout.write(CATALOG.read_text(encoding="utf-8"))
    except BrokenPipeError:
        return _flushed(1)
    return _flushed(0)


def _flushed(code: int) -> int:
    """Empty stdout here; Python would end with a traceback if its reader is gone."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or 1
    return code


def _is_discovery(arguments: Sequence[str]) -> bool:
    """Return True if only the catalog is asked for, with any settings and state."""
    others = iter(arguments)
    asked = False
    for argument in others:
        if argument == "--discover":
            asked = True
        elif argument in _OF_NO_MATTER:
            next(others, None)
        elif argument.partition("=")[0] not in _OF_NO_MATTER:
            return False
    return asked


if __name__ == "__main__":
    main()
