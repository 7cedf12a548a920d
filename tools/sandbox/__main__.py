"""Starts the sandbox, or makes a fault happen in one that runs."""

from __future__ import annotations

import argparse
import errno
import shutil
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from tools.sandbox.control import Control
from tools.sandbox.faults import FAULTS
from tools.sandbox.services import DAYS, services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.sandbox.services import Services

#: Of the stand-ins, as the environment `sandbox` of meltano.yml names them, and of the faults.
AMPLITUDE, CAPTURE, QUERY, CONTROL = PORTS = (8761, 8762, 8763, 8764)
#: What a run in the sandbox leaves there.
OUTPUT = Path("output/sandbox")

_COMMANDS = (
    "invoke target-posthog:check",
    "run tap-amplitude target-posthog",
    "invoke target-posthog:reconcile",
    "invoke target-posthog:report",
    "invoke target-posthog:rejects",
)
_ENDS = {signal.SIGINT, signal.SIGTERM}


def serve(ports: Sequence[int] = PORTS) -> None:
    """Serve the stand-ins until the process is told to stop.

    Args:
        ports: of the export API, of ingestion, of the query API and of the faults; 0 takes any.

    Raises:
        OSError: a port is in use.
    """
    # Before any thread begins: the signals are for `sigwait` alone.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    with services(ports) as running, Control(running, ports[3]) as control:
        _say(_welcome(running, control.url))
        signal.sigwait(_ENDS)


def _welcome(running: Services, control: str) -> str:
    commands = "\n".join(f"  meltano --environment=sandbox {command}" for command in _COMMANDS)
    faults = "\n".join(f"  {name:<15}{fault.what}" for name, fault in FAULTS.items())
    return f"""\
The sandbox is ready: {running.events:,} made-up events of {DAYS} days. Ctrl-C ends it.
  Amplitude   {running.amplitude.url}
  PostHog     {running.capture.url}, and its query API {running.query.url}
  the sandbox {control}

In another terminal, in this folder, after `. .venv/bin/activate`:
{commands}

Faults on demand, `python -m tools.sandbox fault NAME --times 3`:
{faults}
  recover        Ends all faults."""


def disturb(name: str, times: int, port: int = CONTROL) -> str:
    """Make a fault happen in the sandbox that runs; return what it reports.

    Raises:
        URLError: no sandbox runs.
    """
    url = f"http://127.0.0.1:{port}/faults/{name}?times={times}"
    request = urllib.request.Request(url, method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - of this machine
        return str(response.read().decode())


def begin_anew(output: Path = OUTPUT) -> None:
    """Remove what runs of an earlier sandbox left: its PostHog is gone, too."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    fault = commands.add_parser("fault", help="make a fault happen in the sandbox that runs")
    fault.add_argument("name", choices=[*FAULTS, "recover"])
    fault.add_argument("--times", type=int, default=1, help="in so many requests (default: 1)")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "fault":
            _say(disturb(chosen.name, chosen.times).rstrip())
        else:
            begin_anew()
            serve()
    except urllib.error.URLError as error:
        _say(f"The sandbox did not do it ({error.reason}). Start it with `make sandbox`.")
        return 1
    except OSError as error:
        _say(_why_it_ended(error))
        return 1
    return 0


def _why_it_ended(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"The sandbox needs the ports {AMPLITUDE} to {CONTROL}: {error.strerror}."
    return f"The sandbox cannot run: {error}."


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
