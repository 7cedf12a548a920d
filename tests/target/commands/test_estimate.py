"""`target-posthog-estimate` as a command: what it reads, prints, and its exit codes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from target_posthog.books.lines import Kind, Line, Unit
from target_posthog.books.table import Book
from target_posthog.commands.estimate import _USUAL_SPEED
from target_posthog.identity.ledger import Ledger
from tests.support.meltano_project import REPOSITORY
from tests.support.target_in_process import run_here
from tests.target.estimate.test_weights import SOUND

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Finished
    from tests.support.singer import Json


#: Of an hour in which nothing happened.
EMPTY = {"packed_bytes": 0, "read": {"rows": 0, "packed_bytes": 0, "unpacked_bytes": 0}}


def estimate(folder: Path, config: Json, *arguments: str, given: str | None = None) -> Finished:
    """Run the command, with a text on standard input."""
    lines = [] if given is None else [given]
    return run_here(config, lines, folder, *arguments, program="target-posthog-estimate")


def test_a_file_and_standard_input_tell_the_same(tmp_path: Path) -> None:
    """Before there is a project: no token, no ledger, nothing made. A BOM is none of it."""
    (tmp_path / "weights.json").write_text(json.dumps(SOUND))
    of_file = estimate(tmp_path, {}, "weights.json").checked()
    of_input = estimate(tmp_path, {}, "-", given=f"\ufeff{json.dumps(SOUND)}").checked()
    assert of_file.stdout == of_input.stdout
    assert of_file.stdout.startswith("2024-01-01T00:00:00Z to 2024-02-01T00:00:00Z (744 hours)")
    assert of_file.stdout.endswith("Please tell us when we may begin.\n")
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"weights.json", "target-posthog-estimate.json"}


def test_a_machine_gets_json(tmp_path: Path) -> None:
    """With the settings that are set."""
    config = {"max_events_per_second": 100}
    run = estimate(tmp_path, config, "--json", "-", given=json.dumps(SOUND)).checked()
    told = json.loads(run.stdout)
    assert told["events"]["likely"] == 7440
    assert told["agreed_seconds"] == 74.4
    assert "at most 100 events per second" in told["support_request"]


def test_the_book_tells_what_is_left_and_how_fast_the_last_run_was(
    tmp_path: Path, ledger_url: str
) -> None:
    """Without a file."""
    now = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    ledger = Ledger(ledger_url, "phc_test")
    written = now - timedelta(days=4)
    book = Book(ledger, "run", lambda: written)
    for number in range(3):
        line = Line()
        line.events[Kind("2024-01-01", "Order")] += 6000
        hour = f"{now - timedelta(hours=13 - number):%Y-%m-%dT%H}"
        book.write([(Unit("events", "1", hour), line)])
        written += timedelta(seconds=30)
    ledger.close()
    config = {"api_key": "phc_test", "ledger_url": ledger_url}
    told = json.loads(estimate(tmp_path, config, "--json").checked().stdout)
    assert (told["source"], told["hours"]) == ("book", 10)
    assert told["events"]["likely"] == 60_000
    assert told["measured_speed"] == 200
    assert told["packed_bytes"] is None


@pytest.mark.parametrize(
    ("config", "arguments", "given", "words"),
    [
        ({}, (), None, "has no export hours"),
        ({}, ("nowhere.json",), None, "No such file"),
        ({}, ("-",), '{"type": "RECORD"}', "not one of version 1"),
        ({"max_events_per_second": "fast"}, ("-",), "{}", "not a valid number"),
        ({"hots": "x"}, ("-",), "{}", "Did you mean `host`?"),
        ({}, ("-",), json.dumps(SOUND | {"samples": [EMPTY]}), "None of the sample hours (1)"),
    ],
    ids=["no book", "no file", "another file", "a wrong speed", "a wrong name", "no event"],
)
def test_what_cannot_be_estimated_ends_with_2(
    tmp_path: Path, config: Json, arguments: tuple[str, ...], given: str | None, words: str
) -> None:
    """In one line."""
    run = estimate(tmp_path, config, *arguments, given=given)
    assert (run.exit_code, run.stdout) == (2, "")
    assert words in run.stderr
    assert "Traceback" not in run.stderr


def test_the_usual_speed_is_the_one_that_the_readme_tells() -> None:
    """Measured by `make bench`; nobody is told another one."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert f"about {_USUAL_SPEED:,.0f} events a second on two cores" in readme
