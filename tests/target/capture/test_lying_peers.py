"""A PostHog that says yes without meaning it moves no state, in every way to send."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.histories import in_stretches
from tests.support.processes import Running, command_line
from tests.support.rows import uuid_of
from tests.support.target import run_apart
from tests.support.target_in_process import no_waits

if TYPE_CHECKING:
    from tests.support.processes import Finished
    from tests.support.target import Target

WAYS = pytest.mark.parametrize("way", ["records", "batch files"])


def run(target: Target, way: str, **settings: Any) -> Finished:
    """Run the target over six hundred rows: records without waits, files by workers."""
    sent = in_stretches(target.folder, way)
    if way == "batch files":
        return run_apart(target, sent, workers=2, **settings)
    with no_waits():
        return target.run(sent, **settings)


@pytest.mark.parametrize(
    ("way", "protocol", "answer"),
    [
        ("records", "batch", '{"status":"error"}'),
        ("records", "v1", "<html>Maintenance for phc_test\x1b[31m</html>"),
        ("batch files", "batch", "<html>Maintenance for phc_test\x1b[31m</html>"),
        ("batch files", "v1", '{"status":"error"}'),
    ],
)
def test_a_200_without_posthogs_yes_moves_no_state(
    target: Target, way: str, protocol: str, answer: str
) -> None:
    """It is tried again as long as the user wants; then the run stops, and says what came."""
    target.capture.fail(Fault.STATUS, times=10_000, status=200, body=answer)
    ended = run(target, way, protocol=protocol, max_retry_seconds=1)
    assert (ended.exit_code, ended.stdout) == (1, "")
    host = target.capture.url
    assert f"{host} answered 200, but not as PostHog's ingestion does: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "\x1b" not in ended.stderr
    assert "phc_test" not in ended.stderr
    assert len(target.capture.requests) > 1


@WAYS
def test_a_maintenance_that_ends_loses_nothing(target: Target, way: str) -> None:
    """What got a wrong yes goes again."""
    target.capture.fail(Fault.STATUS, times=2, status=200, body='{"status":"maintenance"}')
    run(target, way).checked()
    assert len(target.capture.held()) == 600


@WAYS
def test_a_limited_event_of_v1_moves_no_state(target: Target, way: str) -> None:
    """Its quota is used up: to send it again would not help, nor would the rejects."""
    target.capture.judge_v1([uuid_of(4)], "limited")
    ended = run(target, way, protocol="v1")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "its quota is used up" in ended.stderr
    assert len(target.capture.requests) < 6
    assert not list((target.folder / "rejects").glob("*"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize(
    ("way", "files"), [("records", 7), ("batch files", 8), ("batch files", 14)]
)
def test_no_more_open_files_end_the_run_in_words(target: Target, way: str, files: int) -> None:
    """In the target and in its workers; a table of Python's own would help nobody."""
    sent = in_stretches(target.folder, way)
    target.config["max_retry_seconds"] = 1
    command = shlex.join(command_line("target-posthog", target.folder, target.config))
    limited = ["sh", "-c", f"ulimit -n {files}; exec {command}"]
    with Running(limited, target.folder) as running:
        running.write(sent)
        ended = running.finish()
    assert ended.exit_code == 1
    assert "This process may not open more files" in ended.stderr
    assert "Traceback" not in ended.stderr
