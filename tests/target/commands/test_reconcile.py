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

if TYPE_CHECKING:
    from tests.fakes.posthog_query import PosthogQuery
    from tests.support.singer import Json
    from tests.support.target import Target

STATE = state({"bookmarks": {"events": {"next_export_hour": "2024-01-01T02:00:00Z"}}})


@pytest.fixture
def target(target: Target, api: PosthogQuery) -> Target:
    """A target that sent two hours, and may ask for them."""
    target.config.update(asking(api, target.folder))
    target.run([schema(), *records(hour_rows(0, 1)), STATE]).checked()
    return target


def test_it_ends_with_0_when_both_sides_agree_and_3_when_they_do_not(
    target: Target, api: PosthogQuery
) -> None:
    """The result goes to standard output, and no key anywhere."""
    agreed = target.command("reconcile").checked()
    assert agreed.stdout.splitlines()[-1] == "Both sides agree."
    api.loses = {target.capture.events[0]["uuid"]}
    lost = target.command("reconcile", "--wait=0")
    assert lost.exit_code == 3
    assert "2024-01-01T00Z  2024-01-01     3        2        1      0  viewed" in lost.stdout
    for finished in (agreed, lost):
        assert "Traceback" not in finished.stderr
        assert api.key not in finished.stdout + finished.stderr
        assert target.capture.api_key not in finished.stdout + finished.stderr


def test_a_signal_ends_the_wait(target: Target, api: PosthogQuery) -> None:
    """At once, in one line, with exit code 1."""
    api.loses = {event["uuid"] for event in target.capture.events}
    with start("target-posthog-reconcile", target.config, target.folder, "--wait=60") as command:
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
    target: Target, change: Json, code: int, words: str
) -> None:
    """2 when a setting is wrong, 1 when PostHog is away."""
    refused = reconcile(target, **change)
    assert refused.exit_code == code
    assert words in refused.failure
    assert refused.stdout == ""
    assert "hush" not in refused.failure
    assert "phx_" not in refused.failure.replace("phx_…", "")


@pytest.mark.parametrize(
    "arguments",
    [["--from", "yesterday"], ["--to", "2024-01-01T05:30:00Z"], ["--from", "2024-02-30"]],
)
def test_what_is_no_hour_is_refused(target: Target, arguments: list[str]) -> None:
    """By the name of its option."""
    refused = reconcile(target, *arguments)
    assert refused.exit_code == 2
    assert refused.failure.startswith(f"{arguments[0]} is not an hour.")


@pytest.mark.parametrize("hour", ["2024-01-01T01", "2024-01-01T01Z", "2024-01-01T01:00:00+00:00"])
def test_an_hour_may_be_written_as_it_is_shown(target: Target, hour: str) -> None:
    """And as the tap's settings are."""
    assert reconcile(target, "--json", "--from", hour).totals == (3, 3, 0, 0)
    assert reconcile(target, "--json", "--to", hour).totals == (3, 3, 0, 0)


def test_nothing_in_a_part_is_told(target: Target) -> None:
    """It is not taken for agreement."""
    assert reconcile(target, "--from", "2025-01-01").exit_code == 2
    assert reconcile(target, "--event", "never sent").exit_code == 2


def test_it_waits_while_posthog_throttles(target: Target, api: PosthogQuery) -> None:
    """And then compares."""
    api.throttle(1)
    assert reconcile(target).exit_code == 0
    assert api.asked[0].status == 429
    api.throttle(3600)
    refused = reconcile(target)
    assert (refused.exit_code, "asks to wait 60 minutes" in refused.failure) == (1, True)


def test_a_spreadsheet_gets_every_cell(target: Target, api: PosthogQuery) -> None:
    """Where both sides agree, too; a file is its owner's alone."""
    api.loses = {target.capture.events[0]["uuid"]}
    path = target.folder / "found.csv"
    finished = target.command("reconcile", "--csv", "--wait=0", f"--output={path}")
    assert (finished.exit_code, finished.stdout) == (3, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(one["hour"], one["booked"], one["held"], bool(one["command"])) for one in lines] == [
        ("2024-01-01T00:00:00Z", "3", "2", True),
        ("2024-01-01T01:00:00Z", "3", "3", False),
    ]
    nowhere = reconcile(target, "--output", str(target.folder / "no" / "where"))
    assert (nowhere.exit_code, "--output cannot be written" in nowhere.failure) == (1, True)


def test_people_are_left_out_on_demand(target: Target) -> None:
    """And named as none where no device was joined."""
    assert json.loads(reconcile(target, "--json", "--people=0").stdout)["people"] is None
    assert "People: the ledger has no joined devices." in reconcile(target).stdout
    assert uuid_of(1) not in reconcile(target).stdout
