"""A run that does not come to its end says what it had come to, and nothing that is not so."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from tests.fakes.posthog_capture import Fault
from tests.support.rows import row
from tests.support.singer import counts_in, hours_state, record, records, schema, state
from tests.support.target import started
from tests.support.target_in_process import run_here
from tests.target.books.test_book_of_runs import rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.target import Target


def said(log: str) -> list[str]:
    """Return the lines of a log, without their heads."""
    return [line.rpartition("| ")[2] for line in log.splitlines()]


def test_a_signal_is_told_with_what_is_accepted_and_what_is_open(target: Target) -> None:
    """What has no answer is not called accepted; the state is the one that was written."""
    first, second = rows_of(5, count=10)[5:10], rows_of(6, count=10)[5:10]
    with started(target) as running:
        running.write([schema(), *records(first), hours_state(6)])
        running.wait_for(lambda: running.stdout)
        target.capture.fail(Fault.SLOW, times=9, seconds=60)
        before = len(target.capture.requests)
        running.write([*records(second), hours_state(7)])
        running.wait_for(lambda: len(target.capture.requests) > before)
        ended = running.stop(signal.SIGTERM)
    assert ended.exit_code == 1
    counts = counts_in(ended.stderr)
    held = {key[0] for key in target.capture.held() if key[1] != "$create_alias"}
    answered = held - {one["uuid"] for one in second}
    assert counts["exported"] == 10
    assert counts["accepted"] == len(answered)
    lines = said(ended.stderr)
    begin = next(n for n, line in enumerate(lines) if line.startswith("Stopped after"))
    host = target.config["host"]
    assert lines[begin].endswith(f": not all records that came are accepted by {host}.")
    assert "  open                5  not settled; the next run reads them" in lines
    assert lines[-3:-1] == [
        "The state was written: the export hours before 2024-01-01T06Z are done.",
        "What was accepted and comes again, PostHog keeps once.",
    ]
    assert lines[-1].startswith("Stopped by SIGTERM. All records up to the last state")
    written = json.loads(ended.stdout.splitlines()[-1])
    assert written["bookmarks"]["events"]["next_export_hour"] == "2024-01-01T06:00:00Z"
    summary = json.loads((target.folder / "target-posthog-summary.json").read_text())
    assert (summary["exported"], summary["accepted"]) == (10, counts["accepted"])
    assert summary["exit_class"] == "retry"


def test_an_error_is_told_below_what_the_run_had_come_to(target: Target) -> None:
    """A key that is revoked under way; nothing was accepted, and no state written."""
    target.capture.fail(Fault.STATUS, times=9, status=401, body="no")
    ended = target.run([schema(), *records(rows_of(5)[10:20])])
    assert ended.exit_code == 2
    lines = said(ended.stderr)
    counts = counts_in(ended.stderr)
    assert (counts["exported"], counts["accepted"]) == (10, 0)
    assert "No state was written: the next run begins where this one did." in lines
    assert "PostHog keeps once" not in ended.stderr
    assert ended.log_lines[-1].count("| ERROR ") == 1


def test_a_run_that_took_nothing_says_only_why_it_ends(tmp_path: Path) -> None:
    """There is nothing to tell."""
    ended = run_here({"api_key": "phx_1"}, [schema(), record(row(1))], tmp_path)
    assert ended.exit_code == 2
    assert [line.partition(" | ")[2].split()[0] for line in ended.log_lines] == ["INFO", "ERROR"]
    assert "Stopped after" not in ended.stderr


def test_the_state_of_another_tap_is_told_too(target: Target) -> None:
    """It names no hours; what stands behind it is open."""
    order = {"id": 1, "user_id": "u", "time": "2024-01-01"}
    with started(target, source_format="fields") as running:
        running.write(
            [schema("orders", key=None, id={}), record(order, "orders"), state({"at": 1})]
        )
        running.wait_for(lambda: running.stdout)
        ended = running.stop(signal.SIGTERM)
    lines = said(ended.stderr)
    assert "The state was written: the next run goes on behind what it covers." in lines
    assert any(
        line.startswith("Stopped after 0:0") and "came to its end." in line for line in lines
    )
    assert "  open " not in ended.stderr
    assert len(target.capture.events) == 1


def test_too_many_rejects_at_the_end_are_told_below_the_block_of_the_end(target: Target) -> None:
    """The run came to its end: it was not stopped."""
    bad = [record(one | {"user_id": "u" * 201}) for one in rows_of(5)[10:20]]
    ended = target.run([schema(), *bad], max_reject_ratio=0.1)
    assert ended.exit_code == 3
    assert "Done in" in ended.stderr or "The input ended after" in ended.stderr
    assert "Stopped after" not in ended.stderr
