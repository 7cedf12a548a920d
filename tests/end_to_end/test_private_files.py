"""What the plugins write holds people's data: nobody else on the machine may read it."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.batches import batch
from tests.support.export_files import file_name, packed, write_zip
from tests.support.processes import run_tap, run_target
from tests.support.rows import hour_rows, row
from tests.support.singer import record, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture

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


def test_what_the_target_writes_is_private(tmp_path: Path, capture: PosthogCapture) -> None:
    """Ledger and rejects; and a preview."""
    settings: dict[str, Any] = {
        "api_key": capture.api_key,
        "host": capture.url,
        "ledger_url": f"sqlite:///{tmp_path}/made.db",
        "rejects_path": str(tmp_path / "rejects"),
    }
    messages = [schema(), record(row(1)), record({**row(2), "event_type": None}), state({"at": 1})]
    run_target({**settings, "max_reject_ratio": 1.0}, messages, tmp_path)
    preview = {"preview_path": str(tmp_path / "preview"), "max_reject_ratio": 1.0}
    run_target({**settings, **preview}, messages, tmp_path)

    assert modes(tmp_path / "rejects").keys() > {"."}
    assert modes(tmp_path / "preview").keys() > {"."}
    ledger = stat.S_IMODE((tmp_path / "made.db").stat().st_mode)
    others = {*modes(tmp_path / "rejects").values(), *modes(tmp_path / "preview").values()}
    assert (others, ledger & 0o077) == ({0}, 0)
