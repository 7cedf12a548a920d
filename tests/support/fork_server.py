"""A process that has programs loaded and becomes one of them for each run: forks are cheap.

It is run as a script, imports nothing of the tests, and has one thread, as a fork must. A child
leaves its loop by returning from `serve`, so that it ends as a command ends that Python started.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from importlib.metadata import entry_points
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a run with a bucket would load, by the variable that leads it there: half a second each.
_DRIVERS = {
    "AWS_ENDPOINT_URL": "s3fs",
    "AZURE_STORAGE_CONNECTION_STRING": "adlfs",
    "STORAGE_EMULATOR_HOST": "gcsfs",
}
#: Numbers that a run is to have in place of its own, by module and name, as JSON.
_NUMBERS = "TESTS_NUMBERS"
#: Of a request: what was asked, and the run's three standard files.
_FILES = 4
#: Standard input, which ends when nobody has use of this process any more.
_OWNER = 0


def serve(listener: socket.socket) -> Callable[[], Any] | None:
    """Fork for each request; return in a child what it is to run, here None at the end.

    A connection is one run: its number goes back at once, and its exit code when it has ended.
    """
    wakes, awake = os.pipe()
    os.set_blocking(awake, False)
    signal.set_wakeup_fd(awake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    runs: dict[int, socket.socket] = {}
    while True:
        ready = wait([listener, wakes, _OWNER])
        if _OWNER in ready:
            return None
        if wakes in ready:
            os.read(wakes, 4096)
            _tell_of_ends(runs)
        if listener not in ready:
            continue
        run, _ = listener.accept()
        _, files, _, _ = socket.recv_fds(run, 1, _FILES)
        asked = _asked(files.pop(0))
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for ours in (listener, run, *runs.values()):
                ours.close()
            os.close(wakes)
            os.close(awake)
            return _become(asked, files)
        runs[pid] = run
        run.sendall(pid.to_bytes(8, "big"))
        for file in files:
            os.close(file)


def _tell_of_ends(runs: dict[int, socket.socket]) -> None:
    """Send the exit code of each run that has ended, to whoever still wants to know it."""
    while runs:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with runs.pop(pid) as run, suppress(BrokenPipeError):
            run.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _asked(request: int) -> dict[str, Any]:
    """Return what is to be run, with the drivers loaded that it will need."""
    with open(request, "rb") as file:
        file.seek(0)
        asked: dict[str, Any] = json.load(file)
    for variable in _DRIVERS.keys() & asked["environment"].keys():
        import_module(_DRIVERS[variable])
    return asked


def _become(asked: dict[str, Any], files: list[int]) -> Callable[[], Any]:
    for number, descriptor in enumerate(files):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # That of the start takes itself for one that can seek, as the null device can, and a pipe not.
    sys.stdout = open(1, "w", encoding=sys.stdout.encoding, closefd=False)  # noqa: SIM115 - it stays
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["command"]
    name = os.path.basename(sys.argv[0])  # noqa: PTH119 - not a file to open
    sys.path[0] = os.path.dirname(sys.argv[0])  # noqa: PTH120 - as Python sets it for a script
    (command,) = entry_points(group="console_scripts", name=name)
    main: Callable[[], Any] = command.load()
    for place, number in json.loads(os.environ.pop(_NUMBERS, "{}")).items():
        module, _, constant = place.rpartition(".")
        assert getattr(import_module(module), constant) > 0
        setattr(import_module(module), constant, number)
    return main


if __name__ == "__main__":
    gc.disable()
    for module in sys.argv[2:]:
        import_module(module)
    gc.freeze()
    plugin = serve(socket.socket(fileno=int(sys.argv[1])))
    gc.enable()
    if plugin is not None:
        sys.exit(plugin())
