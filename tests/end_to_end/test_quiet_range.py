"""A range of exported files that has none: read, and in the book, if later files tell so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.commands.whole_migration import whole_migration_in
from tests.support.batches import batch
from tests.support.export_files import file_name, packed, write_files
from tests.support.processes import run_tap, run_target
from tests.support.rows import hour_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture

DAY = "2024-01-01"


@pytest.mark.parametrize("more", [{}, batch("file://batches")], ids=["records", "files"])
def test_three_ranges_of_which_one_is_quiet_are_whole(
    tmp_path: Path, posthog: PosthogCapture, more: dict[str, Any]
) -> None:
    """Each a run with a state of its own; behind the last file nothing is known."""
    files = {file_name(hour): packed(hour_rows(hour, each=2)) for hour in (0, 2, 8)}
    tap = {"archive_path": str(write_files(tmp_path / "export", files))} | more
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    target = {"api_key": posthog.api_key, "host": posthog.url, "ledger_url": ledger}

    def move(start: int, end: int) -> None:
        dates = {"start_date": f"{DAY}T{start:02}:00:00Z", "end_date": f"{DAY}T{end:02}:00:00Z"}
        told = run_tap(tmp_path, tap | dates).checked()
        run_target(target, told.stdout.splitlines(), tmp_path).checked()

    for start, end in ((0, 3), (3, 6), (6, 9), (9, 11)):
        move(start, end)
    found = whole_migration_in(ledger, posthog.api_key, start=f"{DAY}T00", end=f"{DAY}T09")
    assert found.is_whole, found.as_json()
    assert found.totals.exported == found.totals.accepted == 6
    behind = whole_migration_in(ledger, posthog.api_key, start=f"{DAY}T00", end=f"{DAY}T11")
    assert [(gap.first, gap.last) for gap in behind.gaps] == [(f"{DAY}T09", f"{DAY}T10")]
