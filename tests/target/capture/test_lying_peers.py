"""A PostHog that says yes without meaning it moves no state, in every way to send."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.fakes.posthog_capture import Fault
from tests.support.histories import in_stretches
from tests.support.processes import SCRIPTS, Running, run_target, start
from tests.support.rows import uuid_of
from tests.support.target_in_process import no_waits, run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.support.processes import Finished
    from tests.support.singer import Json

WAYS = pytest.mark.parametrize("way", ["records", "batch files"])


def run(config: Json, way: str, folder: Path) -> Finished:
    """Run the target over six hundred rows: records without waits, files by workers."""
    sent = in_stretches(folder, way)
    if way == "batch files":
        return run_target({**config, "workers": 2}, sent, folder)
    with no_waits():
        return run_here(config, sent, folder)


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
    tmp_path: Path, capture: PosthogCapture, config: Json, way: str, protocol: str, answer: str
) -> None:
    """It is tried again as long as the user wants; then the run stops, and says what came."""
    capture.fail(Fault.STATUS, times=10_000, status=200, body=answer)
    settings = {**config, "protocol": protocol, "max_retry_seconds": 1}
    ended = run(settings, way, tmp_path)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert f"{capture.url} answered 200, but not as PostHog's ingestion does: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "\x1b" not in ended.stderr
    assert "phc_test" not in ended.stderr
    assert len(capture.requests) > 1


@WAYS
def test_a_maintenance_that_ends_loses_nothing(
    tmp_path: Path, capture: PosthogCapture, config: Json, way: str
) -> None:
    """What got a wrong yes goes again."""
    capture.fail(Fault.STATUS, times=2, status=200, body='{"status":"maintenance"}')
    run(config, way, tmp_path).checked()
    assert len(capture.held()) == 600


@WAYS
def test_a_limited_event_of_v1_moves_no_state(
    tmp_path: Path, capture: PosthogCapture, config: Json, way: str
) -> None:
    """Its quota is used up: to send it again would not help, nor would the rejects."""
    capture.judge_v1([uuid_of(4)], "limited")
    ended = run({**config, "protocol": "v1"}, way, tmp_path)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "its quota is used up" in ended.stderr
    assert len(capture.requests) < 6
    assert not list((tmp_path / "rejects").glob("*"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize(
    ("way", "files"), [("records", 7), ("batch files", 8), ("batch files", 14)]
)
def test_no_more_open_files_end_the_run_in_words(
    tmp_path: Path, config: Json, way: str, files: int
) -> None:
    """In the target and in its workers; a table of Python's own would help nobody."""
    sent = in_stretches(tmp_path, way)
    config["max_retry_seconds"] = 1
    with start("target-posthog", config, tmp_path, "--version") as written:
        written.finish().checked()
    target = f"{SCRIPTS / 'target-posthog'} --config {tmp_path / 'target-posthog.json'}"
    limited = ["sh", "-c", f"ulimit -n {files}; exec {target}"]
    with Running(limited, tmp_path) as running:
        running.write(sent)
        ended = running.finish()
    assert ended.exit_code == 1
    assert "This process may not open more files" in ended.stderr
    assert "Traceback" not in ended.stderr
