"""`target-posthog-reconcile` as a command: what it prints, where, and its exit codes."""

from __future__ import annotations

import csv
import json
import stat
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import start
from tests.support.reconciling import asking, reconcile
from tests.support.rows import hour_rows, uuid_of
from tests.support.singer import records, schema, state
from tests.support.target_in_process import run_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture
    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.processes import Finished
    from tests.support.singer import Json

STATE = state({"bookmarks": {"events": {"next_export_hour": "2024-01-01T02:00:00Z"}}})


@pytest.fixture
def own(config: Json, api: PosthogQuery, tmp_path: Path) -> Json:
    """The settings of a run that sent two hours, and may ask for them."""
    settings = asking(config, api, tmp_path)
    run_here(settings, [schema(), *records(hour_rows(0, 1)), STATE], tmp_path).checked()
    return settings


def ended(config: Json, folder: Path, *arguments: str) -> Finished:
    """Run the command as its users do."""
    return run_here(config, (), folder, *arguments, program="target-posthog-reconcile")


def test_it_ends_with_0_when_both_sides_agree_and_3_when_they_do_not(
    tmp_path: Path, own: Json, api: PosthogQuery, capture: PosthogCapture
) -> None:
    """The result goes to standard output, and no key anywhere."""
    agreed = ended(own, tmp_path).checked()
    assert agreed.stdout.splitlines()[-1] == "Both sides agree."
    api.loses = {capture.events[0]["uuid"]}
    lost = ended(own, tmp_path, "--wait=0")
    assert lost.exit_code == 3
    assert "2024-01-01T00Z  2024-01-01     3        2        1      0  viewed" in lost.stdout
    for finished in (agreed, lost):
        assert "Traceback" not in finished.stderr
        assert api.key not in finished.stdout + finished.stderr
        assert capture.api_key not in finished.stdout + finished.stderr


def test_a_signal_ends_the_wait(
    tmp_path: Path, own: Json, api: PosthogQuery, capture: PosthogCapture
) -> None:
    """At once, in one line, with exit code 1."""
    api.loses = {event["uuid"] for event in capture.events}
    with start("target-posthog-reconcile", own, tmp_path, "--wait=60") as command:
        command.wait_for(lambda: "Asking again in 10 s, for up to 3600 s" in command.stderr, 30)
        finished = command.stop()
    assert finished.exit_code == 1
    assert finished.stderr.splitlines()[-1].endswith("Stopped by SIGTERM. Run again to compare.")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"personal_api_key": "phx_other"}, 2, "refused the personal API key (401"),
        ({"personal_api_key": "phx_reader_of_another_scope"}, 2, "may not query project 7 at"),
        ({"personal_api_key": None}, 2, "`personal_api_key` is not set"),
        ({"personal_api_key": "phc_hush"}, 2, "`personal_api_key` is the project token"),
        ({"project_id": 8}, 2, "shows this key no project 8 (404"),
        ({"project_id": None}, 2, "`project_id` is not set"),
        ({"api_key": "phc_other"}, 2, "The book of this PostHog project has nothing to compare."),
        ({"app_host": "http://127.0.0.1:1", "max_retry_seconds": 1}, 1, "did not answer a query"),
    ],
)
def test_who_cannot_compare_is_told_why(
    tmp_path: Path, own: Json, change: Json, code: int, words: str
) -> None:
    """2 when a setting is wrong, 1 when PostHog is away."""
    refused = reconcile(own | change, tmp_path)
    assert refused.exit_code == code
    assert words in refused.failure
    assert refused.stdout == ""
    assert "hush" not in refused.failure
    assert "phx_" not in refused.failure.replace("phx_…", "")


@pytest.mark.parametrize(
    "arguments",
    [["--from", "yesterday"], ["--to", "2024-01-01T05:30:00Z"], ["--from", "2024-02-30"]],
)
def test_what_is_no_hour_is_refused(tmp_path: Path, own: Json, arguments: list[str]) -> None:
    """By the name of its option."""
    refused = reconcile(own, tmp_path, *arguments)
    assert refused.exit_code == 2
    assert refused.failure.startswith(f"{arguments[0]} is not an hour.")


@pytest.mark.parametrize("hour", ["2024-01-01T01", "2024-01-01T01Z", "2024-01-01T01:00:00+00:00"])
def test_an_hour_may_be_written_as_it_is_shown(tmp_path: Path, own: Json, hour: str) -> None:
    """And as the tap's settings are."""
    assert reconcile(own, tmp_path, "--json", "--from", hour).totals == (3, 3, 0, 0)
    assert reconcile(own, tmp_path, "--json", "--to", hour).totals == (3, 3, 0, 0)


def test_nothing_in_a_part_is_told(tmp_path: Path, own: Json) -> None:
    """It is not taken for agreement."""
    assert reconcile(own, tmp_path, "--from", "2025-01-01").exit_code == 2
    assert reconcile(own, tmp_path, "--event", "never sent").exit_code == 2


def test_it_waits_while_posthog_throttles(tmp_path: Path, own: Json, api: PosthogQuery) -> None:
    """And then compares."""
    api.throttle(1)
    assert reconcile(own, tmp_path).exit_code == 0
    assert api.asked[0].status == 429
    api.throttle(3600)
    refused = reconcile(own, tmp_path)
    assert (refused.exit_code, "asks to wait 60 minutes" in refused.failure) == (1, True)


def test_a_spreadsheet_gets_every_cell(
    tmp_path: Path, own: Json, api: PosthogQuery, capture: PosthogCapture
) -> None:
    """Where both sides agree, too; a file is its owner's alone."""
    api.loses = {capture.events[0]["uuid"]}
    path = tmp_path / "found.csv"
    finished = ended(own, tmp_path, "--csv", "--wait=0", f"--output={path}")
    assert (finished.exit_code, finished.stdout) == (3, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(one["hour"], one["booked"], one["held"], bool(one["command"])) for one in lines] == [
        ("2024-01-01T00:00:00Z", "3", "2", True),
        ("2024-01-01T01:00:00Z", "3", "3", False),
    ]
    nowhere = reconcile(own, tmp_path, "--output", str(tmp_path / "no" / "where"))
    assert (nowhere.exit_code, "--output cannot be written" in nowhere.failure) == (1, True)


def test_people_are_left_out_on_demand(tmp_path: Path, own: Json) -> None:
    """And named as none where no device was joined."""
    assert json.loads(reconcile(own, tmp_path, "--json", "--people=0").stdout)["people"] is None
    assert "People: the ledger has no joined devices." in reconcile(own, tmp_path).stdout
    assert uuid_of(1) not in reconcile(own, tmp_path).stdout
