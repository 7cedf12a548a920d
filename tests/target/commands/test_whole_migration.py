"""`target-posthog-whole-migration` as a command: what it prints, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from target_posthog.commands.whole_migration import whole_migration_in
from tests.support.rows import row
from tests.support.singer import record, schema, state

if TYPE_CHECKING:
    from tests.support.singer import Json
    from tests.support.target import Target

DAY = "2024-01-31"


def move(target: Target, first: int, end: int, *, rows: int = 2) -> None:
    """Run a range of hours, with some rows in its last one."""
    bookmark = {
        "next_export_hour": f"{DAY}T{end:02}:00:00Z",
        "export_until": f"{DAY}T{end:02}:00:00Z",
        "export_from": f"{DAY}T{first:02}:00:00Z",
        "project": "0123456789abcdef",
        "apps": f"7 {DAY}T{first:02}:00:00Z/{DAY}T{end:02}:00:00Z",
    }
    uploaded = f"{DAY} {end - 1:02}:10:00.000000"
    sent = [
        record(row(100 * end + number, app=7, server_upload_time=uploaded))
        for number in range(rows)
    ]
    messages = [schema(), *sent, state({"bookmarks": {"events": bookmark}})]
    target.run(messages).checked()


@pytest.fixture
def config(config: Json) -> Json:
    """The settings of ranges of Amplitude's rows."""
    return config | {"source_format": "amplitude"}


def test_ranges_that_follow_each_other_are_whole(target: Target) -> None:
    """With the quiet hours at the beginning of each, and a range without any record."""
    for first, end, rows in ((0, 3, 2), (3, 5, 0), (5, 8, 1)):
        move(target, first, end, rows=rows)
    found = target.command("whole-migration", f"--start={DAY}", f"--end={DAY}T08").checked()
    assert f"hours                  8  {DAY}T00Z to {DAY}T07Z" in found.stdout
    assert "exported               3" in found.stdout
    assert found.stdout.endswith("The migration is whole.\n")


def test_a_gap_is_named_with_the_command_that_reads_it(target: Target) -> None:
    """Exit code 3; for a program as JSON."""
    move(target, 0, 3)
    move(target, 5, 8)
    found = target.command("whole-migration")
    assert found.exit_code == 3
    command = (
        f"TAP_AMPLITUDE_START_DATE={DAY}T03:00:00Z TAP_AMPLITUDE_END_DATE={DAY}T05:00:00Z meltano "
        "run --no-state-update tap-amplitude target-posthog"
    )
    assert f"  {command}\n" in found.stdout
    assert f"{DAY}T03Z to {DAY}T04Z" in found.stdout
    assert "The migration is not whole: 2 hours of tap-amplitude" in found.stdout

    shown = json.loads(target.command("whole-migration", "--json", f"--end={DAY}T09").stdout)
    assert shown["is_whole"] is False
    assert shown["exported"] == shown["accepted"] == 4
    assert [(gap["first"][-2:], gap["last"][-2:]) for gap in shown["gaps"]] == [
        ("03", "04"),
        ("08", "08"),
    ]
    assert len(shown["commands"]) == 2
    assert shown["commands"][0] == command
    (part,) = shown["parts"]
    assert (part["hours"], part["gap_hours"], part["open"]) == (6, 2, 0)
    assert "by_hour" not in shown


def test_for_a_program_each_hour_has_its_own_sums(target: Target) -> None:
    """Quiet ones, too."""
    move(target, 0, 2)
    shown = json.loads(target.command("whole-migration", "--by-hour").checked().stdout)
    exported = {hour: sums["exported"] for hour, sums in shown["by_hour"].items()}
    assert exported == {f"{DAY}T00": 0, f"{DAY}T01": 2}


def test_hours_of_a_lost_ledger_stay_a_gap(target: Target) -> None:
    """A run that goes on writes nothing of the hours that its state says earlier runs have read."""
    bookmark = {
        "next_export_hour": f"{DAY}T05:00:00Z",
        "export_until": f"{DAY}T08:00:00Z",
        "export_from": f"{DAY}T00:00:00Z",
        "project": "0123456789abcdef",
        "apps": f"7 {DAY}T00:00:00Z/{DAY}T05:00:00Z",
    }
    later = {"next_export_hour": f"{DAY}T08:00:00Z", "apps": f"7 {DAY}T00:00:00Z/{DAY}T08:00:00Z"}
    sent = row(1, app=7, server_upload_time=f"{DAY} 06:10:00.000000")
    messages = [
        state({"bookmarks": {"events": bookmark}}),
        *(schema(), record(sent)),
        state({"bookmarks": {"events": bookmark | later}}),
    ]
    target.run(messages).checked()
    shown = json.loads(target.command("whole-migration", "--json", f"--start={DAY}").stdout)
    assert [(gap["first"][-2:], gap["last"][-2:]) for gap in shown["gaps"]] == [("00", "04")]


def test_an_engine_asks_without_a_process(target: Target) -> None:
    """The function finds what the command prints."""
    move(target, 0, 3)
    url, key = f"sqlite:///{target.folder}/target-posthog.db", target.config["api_key"]
    assert whole_migration_in(url, key).is_whole
    assert whole_migration_in(url, key, start=f"{DAY}T00", end=f"{DAY}T03").is_whole
    assert not whole_migration_in(url, key, start=f"{DAY}T00", end=f"{DAY}T04").is_whole
    assert not whole_migration_in(url, "phc_of_another").is_whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "The book of this PostHog project has nothing of this range."),
        (["--start=yesterday"], "--start is not an hour."),
        ([f"--start={DAY}T02", f"--end={DAY}T02"], "--end is not after --start."),
    ],
)
def test_what_cannot_be_judged_is_a_matter_of_configuration(
    target: Target, arguments: list[str], message: str
) -> None:
    """An empty book is more likely another ledger than a migration without events."""
    found = target.command("whole-migration", *arguments)
    assert found.exit_code == 2
    assert message in found.stderr
