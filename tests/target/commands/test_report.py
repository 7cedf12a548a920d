"""`target-posthog-report` as a command: what it writes, and its exit codes."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

import pytest

from target_posthog.errors import FixConfiguration
from target_posthog.report.charts import Chart
from target_posthog.report.drawing import drawn
from tests.support.rows import row
from tests.support.singer import record, schema

if TYPE_CHECKING:
    from tests.support.target import Target


def test_a_run_is_reported(target: Target) -> None:
    """What came of its records, the rejects by place; the file is its owner's alone."""
    rows = [row(1), row(2, event_type=None, user_id="hushhush"), row(3)]
    target.run([schema(), *map(record, rows)], source_format="amplitude").checked()
    finished = target.command("report").checked()
    path = target.folder / "migration-report.html"
    assert finished.stdout.startswith("migration-report.html: ")
    assert "3 records, 2 accepted, 0 open." in finished.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    page = path.read_text()
    assert "missing_event_type" in page
    assert "The last run (" in page
    assert "hushhush" not in page
    assert [one.name for one in target.folder.glob("migration-report*")] == [path.name]

    target.command("report", "--with-examples", "--output=other.html").checked()
    assert "hushhush" in (target.folder / "other.html").read_text()


def test_an_empty_book_is_a_matter_of_configuration(target: Target) -> None:
    """A page without numbers would look like a migration without events."""
    finished = target.command("report")
    assert finished.exit_code == 2
    assert "The book of this PostHog project is empty." in finished.stderr
    assert not (target.folder / "migration-report.html").exists()


def test_a_place_that_cannot_be_written_is_told(target: Target) -> None:
    """Before it nothing is left behind."""
    target.run([schema(), record(row(1))]).checked()
    finished = target.command("report", "--output=no/such/folder.html")
    assert finished.exit_code == 1
    assert "cannot be written: No such file or directory" in finished.stderr


def test_without_the_extra_it_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2."""
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(FixConfiguration, match=r"pip install 'target-posthog\[report\]'"):
        drawn(Chart({}, ""), "wide")
