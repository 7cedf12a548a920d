"""A real Dagster: web server, daemon and code server as processes, on a PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import yaml

from tests.support.meltano_project import REPOSITORY
from tools.scale.dagster_api import ASSET, DagsterApi

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Self

SCALE = REPOSITORY / ".venv-scale/bin"
_ORCHESTRATION = REPOSITORY / "orchestration"
_SECONDS = 90.0
#: The daemon itself, but for its clock: it looks at backfills every 30 seconds, and the others of
#: its loops every 5.
_DAEMON = """
import sys
import dagster._daemon.controller as controller
controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
QueuedRunCoordinator.dequeue_interval_seconds = property(lambda self: 1)
from dagster._daemon.cli import main
sys.argv = ["dagster-daemon", "run", "-w", sys.argv[1]]
main()
"""


class Dagster:
    """It, while the context is open.

    Args:
        folder: its home.
        variables: its environment: of the migration, of the plugins and of Meltano.
        asset: what it moves.
        at_once: how many ranges may run at a time.
    """

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        asset: str = ASSET,
        at_once: int = 1,
    ) -> None:
        folder.mkdir()
        self._folder = folder
        self._variables = {**variables, "DAGSTER_HOME": str(folder)}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs = ExitStack()
        self._port = _free_port()
        self.api = DagsterApi(f"http://127.0.0.1:{self._port}", asset)
        config = yaml.safe_load((_ORCHESTRATION / "dagster.yaml").read_text())
        config["run_monitoring"]["poll_interval_seconds"] = 2
        config["concurrency"]["pools"]["default_limit"] = at_once
        (folder / "dagster.yaml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        """Start all, and wait until it answers."""
        workspace = str(_ORCHESTRATION / "workspace.yaml")
        port = str(self._port)
        self._start("webserver", str(SCALE / "dagster-webserver"), "-w", workspace, "-p", port)
        self._start("daemon", str(SCALE / "python"), "-c", _DAEMON, workspace)
        end = time.monotonic() + _SECONDS
        while not self.api.is_ready():
            assert time.monotonic() < end, self.log
            assert all(process.poll() is None for process in self._processes), self.log
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        """End all of it, and what it started."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._logs.close()

    @property
    def log(self) -> str:
        """The ends of its logs, for the message of a failed test."""
        paths = sorted(self._folder.glob("*.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text()[-6000:]}" for path in paths)

    def _start(self, name: str, *command: str) -> None:
        log = self._logs.enter_context((self._folder / f"{name}.log").open("wb"))
        self._processes.append(
            subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
