"""The summary of a run: where it is, what it says at each exit, and what it never holds."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from target_posthog.progress.summary import place_of
from tests.fakes.posthog_capture import Fault
from tests.support.processes import start
from tests.support.rows import row, rows
from tests.support.singer import hours_state, record, records, schema, state
from tests.support.target import started

if TYPE_CHECKING:
    from tests.support.singer import Json
    from tests.support.target import Target

PLACE = "target-posthog-summary.json"
#: The last state of a tap that came to its end.
END = hours_state(6, until=6)


def summary_in(folder: Path, name: str = PLACE) -> Json:
    """Return a summary, after seeing that it is the only file that was made for it."""
    parts = [path.name for path in folder.iterdir() if path.name.startswith(f".{name}")]
    assert parts == []
    summary: Json = json.loads((folder / name).read_text())
    return summary


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({}, PLACE),
        ({"ledger_url": "sqlite:///target-posthog.db"}, PLACE),
        ({"ledger_url": "sqlite:////var/lib/eu.sqlite"}, "/var/lib/eu-summary.json"),
        ({"ledger_url": "sqlite:///ledgers/eu"}, "ledgers/eu-summary.json"),
        ({"ledger_url": "sqlite://"}, PLACE),
        ({"ledger_url": "sqlite:///:memory:"}, PLACE),
        ({"ledger_url": "sqlite:///file:x.db?uri=true"}, PLACE),
        ({"ledger_url": "postgresql://u:hush@host/base"}, PLACE),
        ({"ledger_url": "no address"}, PLACE),
        ({"ledger_url": 5}, PLACE),
        ({"summary_path": "out/eu.json", "ledger_url": "sqlite:///a/b.db"}, "out/eu.json"),
        ({"summary_path": ""}, PLACE),
        ({"summary_path": 5}, None),
        ({"summary_path": "s3://bucket/summary.json"}, None),
        ({"summary_path": "out.json", "preview_path": "shown"}, "shown/summary.json"),
        ({"preview_path": ["x"]}, None),
    ],
)
def test_the_summary_lies_beside_the_ledger_unless_a_setting_says_where(
    config: Json, place: str | None
) -> None:
    """Whatever else is wrong with the settings: they may be what stops the run."""
    assert place_of(config) == (None if place is None else Path(place))


@pytest.mark.parametrize(
    ("state_id", "place"),
    [
        ("", PLACE),
        ("year-2023", "target-posthog-summary-year-2023.json"),
        ("prod:year/2023", "target-posthog-summary-prod_year_2023-8db64340.json"),
    ],
)
def test_ranges_in_one_folder_have_a_summary_each(state_id: str, place: str) -> None:
    """Unless a setting says where; two state ids never share one."""
    found = place_of({}, state_id)
    assert found is not None
    assert found.name == place
    assert place_of({}, "prod:year:2023") != place_of({}, "prod:year/2023")
    assert place_of({"summary_path": "a.json"}, state_id) == Path("a.json")


def test_a_run_of_a_range_writes_its_own(target: Target) -> None:
    """As the variable of `meltano el` says which it is."""
    (target.folder / PLACE).write_text("of another run")
    messages = [schema(), record(row(1)), END]
    target.run(messages, {"MELTANO_STATE_ID": "january"}).checked()
    summary = summary_in(target.folder, "target-posthog-summary-january.json")
    assert summary["exit_class"] == "done"
    assert (target.folder / PLACE).read_text() == "of another run"


def test_a_good_run_says_that_it_is_done(target: Target) -> None:
    """Everything that the log says, as data."""
    bad = row(9, event_time="never", server_upload_time="never")
    told = [row(number, server_upload_time="2024-01-01 01:30:00.000000") for number in (1, 2)]
    messages = [schema(), *records(told), hours_state(2, until=6), record(bad), END]
    target.run(messages).checked()
    summary = summary_in(target.folder)
    assert (summary["exit_code"], summary["exit_class"], summary["error"]) == (0, "done", None)
    assert summary["exported"] == 3
    assert summary["accepted"] == 2
    assert summary["rejected"] == {"bad_time": 1}
    assert summary["destination"] == target.capture.url
    assert summary["hours"] == {
        "from": "2024-01-01T01:00:00Z",
        "next": "2024-01-01T06:00:00Z",
        "until": "2024-01-01T06:00:00Z",
        "done": 5,
        "total": 5,
    }
    assert (summary["tap_ended"], summary["tap_end"]) == (True, None)
    assert "`target-posthog-rejects`" in summary["next"]
    assert (target.folder / summary["rejects"]).is_file()
    assert summary["speed"][-1]["accepted"] == 2
    assert summary["started_at"] <= summary["ended_at"]
    assert summary["seconds"] > 0
    assert stat.S_IMODE((target.folder / PLACE).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("behind", "kind", "tap_ended", "words"),
    [
        ([hours_state(2, until=6)], "retry", False, "2024-01-01T02Z"),
        # It does write states.
        ([state({"a": 1}), record(row(2))], "retry", False, ""),
        # Whether it came to its end only Meltano knows; to run it again for ever would not help.
        ([], "done", None, "wrote no STATE"),
    ],
    ids=["early", "between two states", "without a state"],
)
def test_a_tap_that_ended_early_is_in_the_summary(
    target: Target,
    behind: list[Json],
    kind: str,
    words: str,
    *,
    tap_ended: bool | None,
) -> None:
    """Its own exit code is not ours to know; doubt is told."""
    target.run([schema(), record(row(1)), *behind]).checked()
    summary = summary_in(target.folder)
    assert (summary["exit_code"], summary["exit_class"]) == (0, kind)
    assert summary["tap_ended"] is tap_ended
    assert words in summary["tap_end"]
    assert tap_ended is None or summary["next"] == "see the log of the tap. Run again."


@pytest.mark.parametrize(
    ("settings", "messages", "code", "kind", "words"),
    [
        pytest.param({"api_key": "phx_hush"}, [], 2, "fix", "personal API key", id="wrong setting"),
        pytest.param({"workers": -1}, [], 2, "fix", "`workers`", id="wrong number"),
        pytest.param({"fliter": 1}, [], 2, "fix", "fliter", id="unknown setting"),
        pytest.param(
            {"ledger_url": "sqlite:///no/such/folder/l.db", "summary_path": PLACE},
            [],
            1,
            "retry",
            "ledger",
            id="no ledger",
        ),
        pytest.param({}, ["{]"], 1, "retry", "not a Singer message", id="broken input"),
        pytest.param(
            {"max_reject_ratio": 0},
            [schema(), record(row(1, event_time="x", server_upload_time="x"))],
            3,
            "look",
            "max_reject_ratio",
            id="rejects",
        ),
    ],
)
def test_a_run_that_failed_says_how_and_what_to_do(
    target: Target,
    settings: Json,
    messages: list[Json | str],
    code: int,
    kind: str,
    words: str,
) -> None:
    """The line of its log is there, word for word, and its last words alone."""
    finished = target.run(messages, **settings)
    assert finished.exit_code == code, finished.stderr
    summary = summary_in(target.folder)
    assert (summary["exit_code"], summary["exit_class"]) == (code, kind)
    assert words in summary["error"]
    assert summary["error"] in finished.stderr
    assert summary["next"] in summary["error"]
    assert "hush" not in (target.folder / PLACE).read_text()


def test_a_signal_is_in_the_summary(target: Target) -> None:
    """While the run goes on, it says so: what an earlier run left there no longer holds."""
    (target.folder / PLACE).write_text('{"exit_class": "done"}')
    target.capture.fail(Fault.STATUS, times=1000, status=429, retry_after=60)
    with started(target, max_retry_seconds=1800) as running:
        running.write([schema(), *records(rows(range(10))), hours_state(1, until=6)])
        running.wait_for(lambda: target.capture.requests)
        before = summary_in(target.folder)
        finished = running.stop(signal.SIGTERM)
    parts = ("exit_class", "exit_code", "ended_at")
    assert [before[part] for part in parts] == ["running", None, None]
    assert (finished.exit_code, finished.stdout) == (1, "")
    (error,) = finished.lines("ERROR")
    assert "Stopped by SIGTERM" in error
    summary = summary_in(target.folder)
    assert (summary["exit_class"], summary["run"]) == ("retry", before["run"])
    assert summary["error"].startswith("Stopped by SIGTERM.")
    assert summary["tap_ended"] is None


def test_the_summary_and_the_book_name_the_run_and_the_project_alike(target: Target) -> None:
    """So that a report can tell which lines a run wrote."""
    from target_posthog.books.table import Book  # noqa: PLC0415 - only here
    from target_posthog.identity.ledger import Ledger  # noqa: PLC0415 - only here

    target.run([schema(), record(row(1)), state({})]).checked()
    summary = summary_in(target.folder)
    ledger = Ledger(f"sqlite:///{target.folder}/target-posthog.db", target.config["api_key"])
    (line,) = Book(ledger, "", lambda: None).lines()  # type: ignore[arg-type, return-value]
    ledger.close()
    assert (line.run, ledger.project) == (summary["run"], summary["project"])
    assert target.config["api_key"] not in (target.folder / PLACE).read_text()


def test_a_place_that_was_asked_for_and_cannot_be_written_stops_the_run_before_it_sends(
    target: Target,
) -> None:
    """Somebody waits for that file."""
    (target.folder / "folder").mkdir()
    for place in ("folder", os.devnull, "target-posthog.json/x"):
        finished = target.run([schema()], summary_path=place)
        assert finished.exit_code == 2, place
        assert "The summary cannot be written" in finished.stderr
    assert target.capture.requests == []
    assert not Path(os.devnull).is_file()


def test_a_place_that_nobody_asked_for_stops_no_run(target: Target) -> None:
    """With the ledger on a server the working folder may be read-only."""
    (target.folder / PLACE).mkdir()
    target.run([schema(), record(row(1)), state({})]).checked()


def test_an_address_is_no_place_for_the_summary(target: Target) -> None:
    """It is refused with the other settings, and nothing of that name is made here."""
    finished = target.run([], summary_path="s3://b/s.json")
    assert finished.exit_code == 2
    assert "`summary_path` is an address" in finished.stderr
    assert {path.name for path in target.folder.iterdir()} == {"target-posthog.json"}


def test_a_link_to_the_summary_stays_a_link(target: Target) -> None:
    """Its folder may be another volume."""
    (target.folder / "other").mkdir()
    (target.folder / PLACE).symlink_to(target.folder / "other" / "s.json")
    target.run([schema(), state({})]).checked()
    assert (target.folder / PLACE).is_symlink()
    assert summary_in(target.folder / "other", "s.json")["exit_class"] == "done"


def test_a_preview_leaves_the_summary_of_the_last_run_alone(target: Target) -> None:
    """It tells of itself in its own folder, when it fails, too."""
    target.run([schema(), state({})]).checked()
    before = (target.folder / PLACE).read_bytes()
    finished = target.run(["{]"], preview_path="shown")
    assert finished.exit_code == 1
    assert (target.folder / PLACE).read_bytes() == before
    assert summary_in(target.folder / "shown", "summary.json")["exit_class"] == "retry"


def test_what_is_no_run_leaves_no_summary(tmp_path: Path) -> None:
    """To ask for the version says nothing of a migration, and needs no settings."""
    for arguments, words in (
        (["--version"], "v0"),
        (["--about", "--format", "json"], '"api_key"'),
        (["--no-such-option"], ""),
    ):
        with start("target-posthog", {}, tmp_path, *arguments) as target:
            assert words in target.finish().stdout
    assert {path.name for path in tmp_path.iterdir()} == {"target-posthog.json"}
