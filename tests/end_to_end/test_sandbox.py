"""The sandbox: the whole journey of a migration with the commands of the README, and its faults."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from email.message import Message
from typing import TYPE_CHECKING

import orjson
import pytest
import yaml

from tests.fakes.local_server import Incoming
from tests.support.documents import document
from tests.support.meltano_project import REPOSITORY, MeltanoProject, own_definition
from tools.sandbox.__main__ import PORTS, main
from tools.sandbox.control import Control
from tools.sandbox.faults import FAULTS
from tools.sandbox.services import Services, services

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@pytest.fixture
def sandbox() -> Iterator[Services]:
    """Serve a smaller world, on free ports."""
    with services((0, 0, 0), people=30) as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[Services]:
    """Serve a world that nothing is moved from."""
    with services((0, 0, 0), people=5) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, sandbox: Services) -> MeltanoProject:
    """The repository's own project, with the ports of this sandbox."""
    text = yaml.safe_dump(own_definition())
    urls = (sandbox.amplitude.url, sandbox.capture.url, sandbox.query.url)
    for port, url in zip(PORTS, urls, strict=False):
        text = text.replace(f"http://127.0.0.1:{port}", url)
    (tmp_path / "output/sandbox").mkdir(parents=True)
    return MeltanoProject(tmp_path, yaml.safe_load(text))


def _sandbox(
    project: MeltanoProject,
    *arguments: str,
    exit_code: int = 0,
    settings: Mapping[str, str] | None = None,
) -> str:
    finished = project.meltano("--environment=sandbox", *arguments, settings=settings)
    assert finished.exit_code == exit_code, finished.stderr
    return finished.stdout + finished.stderr


def _ask(running: Services, method: str, path: str, query: str = "") -> tuple[int, dict[str, int]]:
    answer = Control(running).respond(Incoming(method, path, query, Message(), b"", 0.0))
    return answer.status, orjson.loads(answer.body)


@pytest.mark.long
def test_the_journey_needs_no_account(project: MeltanoProject, sandbox: Services) -> None:
    """As the README shows it, from the check on; no key of a real project wins over its own."""
    # Nothing listens there: a run that went by these would fail.
    real = {"TARGET_POSTHOG_HOST": "http://127.0.0.1:9", "TARGET_POSTHOG_API_KEY": "phc_real"}
    (project.folder / ".env").write_text("".join(f"{name}={real[name]}\n" for name in real))
    _sandbox(project, "invoke", "target-posthog:check", settings=real)

    (shown,) = (one.text for one in document("README.md").blocks if "$ make sandbox" in one.text)
    lines = shown.splitlines()
    commands = [line.split()[2:] for line in lines if line.startswith("$ meltano ")]
    assert len(commands) == 3
    said = "".join(
        project.meltano(*command, settings=real).checked().stdout for command in commands
    )
    assert "Both sides agree." in lines
    assert "Both sides agree." in said.splitlines()
    assert (project.folder / "migration-report.html").is_file()

    rejects = _sandbox(project, "invoke", "target-posthog:rejects", exit_code=3, settings=real)
    assert "8 rejects in 1 file." in rejects
    held = {
        event["uuid"]
        for event in sandbox.capture.events
        if event["event"] not in {"$create_alias", "$groupidentify"}
    }
    # One is a repeat that Amplitude had exported twice, and these eight.
    assert len(held) == sandbox.events - 9


@pytest.mark.long
def test_what_posthog_drops_is_found_and_sent_again(
    project: MeltanoProject, sandbox: Services
) -> None:
    """A 200 is not stored: only the query shows it."""
    assert _ask(sandbox, "POST", "/faults/posthog-drops")[0] == 200
    _sandbox(project, "run", "tap-amplitude", "target-posthog")
    assert not sandbox.capture.events
    differs = _sandbox(project, "invoke", "target-posthog:reconcile", "--wait=0", exit_code=3)
    assert "Send them again" in differs
    assert _ask(sandbox, "POST", "/faults/recover")[0] == 200
    _sandbox(project, "run", "--full-refresh", "tap-amplitude", "target-posthog")
    assert "Both sides agree." in _sandbox(project, "invoke", "target-posthog:reconcile")


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_happens_and_ends(shared: Services, name: str) -> None:
    """No name of the list is empty, and `recover` leaves nothing behind."""
    status, _ = _ask(shared, "POST", f"/faults/{name}", "times=2")
    assert status == 200
    status, report = _ask(shared, "POST", "/faults/recover")
    assert (status, report["faults_waiting"]) == (200, 0)


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/", "", 200),
        ("GET", "/faults/posthog-503", "", 400),
        ("POST", "/faults/posthog-503", "times=0", 400),
        ("POST", "/faults/posthog-503", "times=often", 400),
        ("POST", "/faults/posthog-418", "", 404),
    ],
)
def test_what_it_does_not_understand_is_refused(
    shared: Services, method: str, path: str, query: str, status: int
) -> None:
    """A typing error is told, whatever sends it."""
    assert _ask(shared, method, path, query)[0] == status


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_it_tells_the_commands_and_ends_when_it_is_told_to(stop: signal.Signals) -> None:
    """Ctrl-C ends it without a traceback."""
    program = """
from functools import partial
from tools.sandbox import __main__ as sandbox
sandbox.services = partial(sandbox.services, people=5)
sandbox.serve((0, 0, 0, 0))
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        welcome = process.stdout.readline()
        process.send_signal(stop)
        assert process.wait(60) == 0
        welcome += process.stdout.read()
    assert "meltano --environment=sandbox run tap-amplitude target-posthog" in welcome


def test_a_fault_without_a_sandbox_is_said_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the command that starts one."""
    monkeypatch.setattr("tools.sandbox.__main__.disturb.__defaults__", (9,))
    assert main(["fault", "posthog-503"]) == 1
    assert "Start it with `make sandbox`." in capsys.readouterr().out
