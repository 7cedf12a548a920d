"""A range of exported files that has none: read, and in the book, if later files tell so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.commands.whole_migration import whole_migration_in
from tests.support.batches import batch
from tests.support.export_files import file_name, packed, write_files
from tests.support.processes import run_tap
from tests.support.rows import hour_rows
from tests.support.target import run_apart

if TYPE_CHECKING:
    from tests.support.target import Target

DAY = "2024-01-01"


@pytest.mark.parametrize("more", [{}, batch("file://batches")], ids=["records", "files"])
def test_three_ranges_of_which_one_is_quiet_are_whole(target: Target, more: dict[str, Any]) -> None:
    """Each a run with a state of its own; behind the last file nothing is known."""
    files = {file_name(hour): packed(hour_rows(hour, each=2)) for hour in (0, 2, 8)}
    tap = {"archive_path": str(write_files(target.folder / "export", files))} | more
    ledger, key = f"sqlite:///{target.folder}/target-posthog.db", target.capture.api_key

    def move(start: int, end: int) -> None:
        dates = {"start_date": f"{DAY}T{start:02}:00:00Z", "end_date": f"{DAY}T{end:02}:00:00Z"}
        told = run_tap(target.folder, tap | dates).checked()
        run_apart(target, told.stdout.splitlines()).checked()

    for start, end in ((0, 3), (3, 6), (6, 9), (9, 11)):
        move(start, end)
    found = whole_migration_in(ledger, key, start=f"{DAY}T00", end=f"{DAY}T09")
    assert found.is_whole, found.as_json()
    assert found.totals.exported == found.totals.accepted == 6
    behind = whole_migration_in(ledger, key, start=f"{DAY}T00", end=f"{DAY}T11")
    assert [(gap.first, gap.last) for gap in behind.gaps] == [(f"{DAY}T09", f"{DAY}T10")]
