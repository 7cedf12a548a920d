"""What the plugins write holds people's data: nobody else on the machine may read it."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.batches import batch
from tests.support.export_files import file_name, packed, write_zip
from tests.support.processes import run_tap
from tests.support.rows import hour_rows, row
from tests.support.singer import record, schema, state
from tests.support.target import run_apart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.target import Target

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has other permissions")


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    """The umask of most systems, which lets everybody read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The permissions of others for everything in a folder, and for itself."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) & 0o077
        for path in (folder, *folder.rglob("*"))
    }


def test_what_the_tap_writes_is_private(tmp_path: Path) -> None:
    """The folder of batch files, and the files in it."""
    export = write_zip(tmp_path / "export.zip", {file_name(0): packed(hour_rows(0))})
    made = tmp_path / "made"
    run_tap(tmp_path, {"archive_path": str(export), **batch(made / "batches")}).checked()

    assert len(modes(made)) > 2
    assert set(modes(made).values()) == {0}


def test_what_the_target_writes_is_private(target: Target) -> None:
    """Ledger and rejects; and a preview."""
    folder = target.folder
    messages = [schema(), record(row(1)), record({**row(2), "event_type": None}), state({"at": 1})]
    for preview in ({}, {"preview_path": str(folder / "preview")}):
        run_apart(target, messages, None, rejects_path=str(folder / "rejects"), **preview)

    assert modes(folder / "rejects").keys() > {"."}
    assert modes(folder / "preview").keys() > {"."}
    ledger = stat.S_IMODE((folder / "target-posthog.db").stat().st_mode)
    others = {*modes(folder / "rejects").values(), *modes(folder / "preview").values()}
    assert (others, ledger & 0o077) == ({0}, 0)
